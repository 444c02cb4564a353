//! `fewstep orders`: the measured order of convergence of every method, as a table and charts.

mod plans;

use std::{fmt::Write, path::Path};

use fewstep_sampler::{
    Method,
    convergence::{Measured, measure, order},
};

use crate::{
    failure::{Failure, Result},
    files,
    report::{
        chart::{Chart, Line},
        families::{FAMILIES, ROUNDING, family},
        figures, look,
    },
    results::{BUILD, Provenance},
};
pub use plans::run as of_plans;

/// Numbers of evaluations. All leave DPM-Solver-2 and -3 no step of order 1.
const NFES: [usize; 9] = [20, 32, 50, 80, 128, 200, 320, 512, 800];
/// Between these two the order is measured.
const ENDS: (usize, usize) = (200, 800);

/// Measures, and writes `orders.csv`, `table.md` and the charts.
pub fn run(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(Failure::file(folder))?;
    let methods: Vec<Method> = Method::all().into_iter().filter(|method| !method.is_stochastic()).collect();
    let mut csv = "method,order,claimed,measured,nfe,nfe_spent,error\n".to_owned();
    let mut table = TITLE.to_owned();
    let mut lines: Vec<(bool, &str, Line)> = Vec::new();
    for method in methods {
        let claimed = method.solver.traits().convergence;
        let found = NFES.map(|nfe| measure(method, nfe).map(|measured| (nfe, measured)));
        let found = found.into_iter().collect::<fewstep_sampler::Result<Vec<(usize, Measured)>>>()?;
        let at = |nfe: usize| found.iter().find(|(asked, _)| *asked == nfe).map(|(_, measured)| *measured);
        let measured = at(ENDS.0).zip(at(ENDS.1)).map_or(f64::NAN, |(coarse, fine)| order(coarse, fine));
        // Writing to a string cannot fail.
        for (nfe, Measured { nfe: spent, error }) in &found {
            _ = writeln!(csv, "{},{},{claimed},{measured},{nfe},{spent},{error:e}", method.name(), method.order());
        }
        let errors = [20, 80, 320, 800].map(|nfe| at(nfe).map_or(String::new(), |m| format!("{:.1e}", m.error)));
        _ = writeln!(table, "| {} | {claimed} | {measured:.2} | {} |", method.label(), errors.join(" | "));
        let points = found.iter().map(|(_, m)| (m.nfe as f64, m.error)).filter(|point| point.1 > ROUNDING).collect();
        let label = format!("{}: {measured:.2}", method.label());
        let look = look::of(&method.solver.traits().name, method.order() as u32, method.normalise);
        let line = Line { colour: Some(look.colour), ..Line::new(label, points) };
        lines.push((method.normalise, family(method.solver), line));
    }
    files::write(&folder.join("orders.csv"), csv.as_bytes())?;
    files::write(&folder.join("table.md"), table.as_bytes())?;
    for (name, title) in FAMILIES {
        for (normalise, ending, with) in [(false, "", ""), (true, "-sn", ", with score normalisation")] {
            let chart = Chart {
                title: format!("Order of convergence: {title}{with}"),
                x: "evaluations".into(),
                y: "error on Gaussian data".into(),
                lines: lines.iter().filter(|l| (l.0, l.1) == (normalise, name)).map(|l| l.2.clone()).collect(),
                marks: true,
                log_x: true,
                log_y: true,
                floor: None,
                named_at_ends: true,
            };
            chart.write(&folder.join(format!("{name}{ending}")))?;
        }
    }
    // A figure of pure arithmetic: the program that computed it is all its origin.
    let builds = [(BUILD.to_owned(), lines.len())].into();
    let fewstep = env!("CARGO_PKG_VERSION").to_owned();
    Provenance { experiment: "convergence".into(), fewstep, builds, ..Provenance::default() }.write(folder)?;
    figures::write(folder)?;
    print!("{table}");
    println!("{}", folder.display());
    Ok(())
}

const TITLE: &str = "# Measured orders of convergence

Gaussian data, whose probability-flow ODE has a formula for its solution; double precision; from τ = 0.6 to 0.2 on the
continuous schedule, multistep methods from exact history (`fewstep orders`). Between 200 and 800 evaluations.

| method | claimed | measured | error at 20 | 80 | 320 | 800 |
|---|---:|---:|---:|---:|---:|---:|
";
