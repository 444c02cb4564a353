//! What is shown of each kind of results without cells, which a file of theirs tells.

use std::path::Path;

use fewstep_sampler::Method;

use super::{Csv, Curve, Figures, Picture, Plot, Table};
use crate::{
    failure::{Failure, Result},
    files,
    report::{
        curves::WITHIN,
        families::{FAMILIES, ROUNDING, family},
        look,
        page::provenance::Section,
        table::{number, plus_minus},
    },
};

type Read = fn(&Path, &Csv) -> Result<Figures>;

/// The files that tell, and what is made of them.
pub const ALL: [(&str, Read); 5] =
    [("curves.csv", curves), ("orders.csv", orders), ("peers.csv", bench), ("loss.csv", training), ("fit.csv", fit)];

impl Figures {
    fn new(title: &str, about: &str, found: Vec<String>) -> Self {
        Figures {
            title: title.into(),
            experiment: String::new(),
            found,
            about: about.into(),
            charts: Vec::new(),
            pictures: Vec::new(),
            tables: Vec::new(),
            links: Vec::new(),
            provenance: Vec::new(),
        }
    }
}

/// Places of equal values of a column that stand together, in the file's order.
fn groups<'a>(column: &[&'a str]) -> Vec<(&'a str, std::ops::Range<usize>)> {
    let mut all: Vec<(&str, std::ops::Range<usize>)> = Vec::new();
    for (i, &value) in column.iter().enumerate() {
        match all.last_mut() {
            Some((last, range)) if *last == value => range.end = i + 1,
            _ => all.push((value, i..i + 1)),
        }
    }
    all
}

/// τ at which the networks are put beside one another in words.
const SAID: f64 = 0.01;

fn curves(folder: &Path, file: &Csv) -> Result<Figures> {
    let (tau, sigma, r) = (file.numbers("tau")?, file.numbers("sigma")?, file.numbers("mean_abs_eps")?);
    let (networks, errors) = (file.column("network")?, file.numbers("error")?);
    let (mut by_r, mut by_score, mut said) = (Vec::new(), Vec::new(), Vec::new());
    for (name, range) in groups(&networks) {
        // Others publish no error.
        let known = errors[range.clone()].iter().any(|error| error.is_finite());
        let line = |over: &dyn Fn(usize) -> f64| Curve {
            label: name.to_owned(),
            colour: look::network(name),
            dashed: !known,
            hollow: !known,
            x: tau[range.clone()].to_vec(),
            y: range.clone().map(|i| r[i] / over(i)).collect(),
            errors: range.clone().filter(|_| known).map(|i| errors[i] / over(i)).collect(),
        };
        by_r.push(line(&|_| 1.0));
        by_score.push(line(&|i| sigma[i]));
        let off = |i: &usize| (tau[*i] / SAID).ln().abs();
        let nearest = range.clone().min_by(|a, b| off(a).total_cmp(&off(b))).filter(|i| off(i) < 0.15);
        let error = |i: usize| Some(errors[i]).filter(|error| error.is_finite());
        said.extend(nearest.map(|i| (r[i], format!("{name} {}{}", number(r[i]), plus_minus(error(i))))));
    }
    said.sort_by(|a, b| a.0.total_cmp(&b.0));
    let ends: Vec<f64> = by_r.iter().filter_map(|line: &Curve| line.y.last().copied()).collect();
    let (low, high) = ends.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), &end| (low.min(end), high.max(end)));
    let list: Vec<String> = said.into_iter().map(|(_, text)| text).collect();
    let found = vec![
        format!("Mean |ε| of {} curves near τ = {SAID}, the lowest first: {}.", list.len(), list.join(", ")),
        format!(
            "At their ends, where a sample is noise, they are from {} to {}; the mean of a standard normal number's size is √(2/π) = 0.7979.",
            number(low),
            number(high)
        ),
    ];
    let about = format!(
        "r(τ) = σ|s|, the mean of |ε(x_τ, τ)| over pixels and images along a many-step run, and |s| = r/σ. Dashed, and without an error: published by others, who do not say how many images. Images for {0:.0} %: how many a standard error of {0:.0} % takes at the τ that takes most; settled: from how many images on the mean of the first ones stayed within {0:.0} % of the mean of all, at every τ.",
        100.0 * WITHIN
    );
    let plot = |name: &str, y, lines| Plot {
        name: name.into(),
        x: "τ",
        y,
        unit: "= τ",
        log_x: true,
        log_y: name != BY_R,
        dense: true,
        lines,
    };
    let summary = Csv::read(&folder.join("summary.csv"))?;
    let mut figures = Figures::new("The score's curves", &about, found);
    figures.charts = vec![plot(BY_R, "mean |ε|", by_r), plot("|s| = r/σ", "|s|", by_score)];
    figures.tables = vec![Table::of("Curves of the score, ± standard error over images", &summary)?];
    figures.links =
        vec![("curve-swap", "What each curve does to one network's cells when it is used in place of its own")];
    Ok(figures)
}

const BY_R: &str = "r = σ|s|";

fn orders(_: &Path, file: &Csv) -> Result<Figures> {
    let (names, orders) = (file.column("method")?, file.numbers("order")?);
    let (claimed, measured) = (file.numbers("claimed")?, file.numbers("measured")?);
    let (asked, spent, errors) = (file.numbers("nfe")?, file.numbers("nfe_spent")?, file.numbers("error")?);
    let keys: Vec<String> = names.iter().zip(&orders).map(|(name, order)| format!("{name} {order}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let (mut lines, mut rows, mut least) = (Vec::new(), Vec::new(), None::<(f64, String)>);
    for (_, range) in groups(&keys) {
        let i = range.start;
        let wrong = |_| Failure::Request(format!("orders.csv: no method '{}' of order {}", names[i], orders[i]));
        let method =
            Method::new(names[i], Method::recommended_order(names[i]).map(|_| orders[i] as usize)).map_err(wrong)?;
        let above = measured[i] - claimed[i];
        if least.as_ref().is_none_or(|(lowest, _)| above < *lowest) {
            least = Some((above, method.label()));
        }
        let error_at =
            |nfe: f64| range.clone().find(|&k| asked[k] == nfe).map_or(String::new(), |k| format!("{:.1e}", errors[k]));
        let mut row = vec![method.label(), claimed[i].to_string(), format!("{:.2}", measured[i])];
        row.extend([20.0, 80.0, 320.0, 800.0].map(error_at));
        rows.push(row);
        // What lies below is double precision's rounding.
        let kept: Vec<usize> = range.filter(|&k| errors[k] > ROUNDING).collect();
        let line = Curve {
            label: format!("{}: {:.2}", method.label(), measured[i]),
            colour: look::of(&method.solver.traits().name, method.order() as u32, method.normalise).colour,
            hollow: method.normalise,
            x: kept.iter().map(|&k| spent[k]).collect(),
            y: kept.iter().map(|&k| errors[k]).collect(),
            ..Curve::default()
        };
        lines.push((family(method.solver), method.normalise, line));
    }
    let (above, label) = least.unwrap_or_default();
    let found = vec![format!(
        "{} methods; measured less claimed order of convergence is lowest for {label}: {}{:.2}.",
        rows.len(),
        if above < 0.0 { "−" } else { "+" },
        above.abs()
    )];
    let about = "Error at the end on Gaussian data, whose probability-flow ODE has a formula for its solution; double precision; from τ = 0.6 to 0.2 on the continuous schedule, multistep methods from exact history. The order is measured between 200 and 800 evaluations.";
    let mut figures = Figures::new("Measured orders of convergence", about, found);
    let mut lines = lines;
    for (name, title) in FAMILIES {
        for (normalised, with) in [(false, ""), (true, ", with score normalisation")] {
            let (here, others) = lines.into_iter().partition(|line| (line.0, line.1) == (name, normalised));
            lines = others;
            let here: Vec<_> = here;
            if here.is_empty() {
                continue;
            }
            figures.charts.push(Plot {
                name: format!("{title}{with}"),
                x: "evaluations",
                y: "error on Gaussian data",
                unit: "evaluations",
                log_x: true,
                log_y: true,
                dense: false,
                lines: here.into_iter().map(|line| line.2).collect(),
            });
        }
    }
    let columns = ["method", "claimed", "measured", "error at 20", "80", "320", "800"].map(str::to_owned).to_vec();
    figures.tables =
        vec![Table { about: "Orders of convergence, and errors by number of evaluations".into(), columns, rows }];
    Ok(figures)
}

/// Tables of `just bench-peers` beside their machines; one machine has its name behind.
const MACHINES: [(&str, &str); 2] = [("peers.csv", "machine.toml"), ("peers-intel.csv", "machine-intel.toml")];
const SHOWN: [&str; 9] =
    ["work", "ours", "peer", "unit", "ratio", "ratio_least", "ratio_greatest", "share_of_limit", "difference"];

fn bench(folder: &Path, _: &Csv) -> Result<Figures> {
    let mut figures = Figures::new("Beside the Python stack", "", Vec::new());
    "Ours and the peer's take turns on the same cores (just bench-peers); a ratio is of one round, and what stands here is the median of the rounds with the least and the greatest of them. A share of the limit is against what the machine gives to a loop of multiply-adds on registers, convolutions counted directly, so that a faster algorithm may exceed it. Difference: between both sides' results in the same run."
        .clone_into(&mut figures.about);
    for (table, machine) in MACHINES {
        let (path, machine) = (folder.join(table), folder.join(machine));
        if !(path.is_file() && machine.is_file()) {
            continue;
        }
        let toml: toml::Table = files::text(&machine)?.parse().map_err(|error: toml::de::Error| {
            Failure::Request(format!("{}: {}", machine.display(), error.message()))
        })?;
        let of = |section: &str, name: &str| {
            let value = toml.get(section).and_then(|section| section.get(name));
            value.map_or(String::new(), |value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        };
        let cpu = format!("{}, {} cores", of("machine", "cpu"), of("machine", "cores"));
        let file = Csv::read(&path)?;
        let (work, ratio) = (file.column("work")?, file.numbers("ratio")?);
        let (least, greatest) = (file.numbers("ratio_least")?, file.numbers("ratio_greatest")?);
        let place =
            |by: fn(f64, f64) -> bool| (0..work.len()).reduce(|a, b| if by(ratio[b], ratio[a]) { b } else { a });
        if let Some((low, high)) = place(|a, b| a < b).zip(place(|a, b| a > b)) {
            let say = |i: usize| format!("{:.2} times ({:.2} to {:.2}; {})", ratio[i], least[i], greatest[i], work[i]);
            figures.found.push(format!("On {cpu}: from {} to {} as fast as the peer.", say(low), say(high)));
        }
        figures.tables.push(Table::some(format!("{cpu}; build {}", of("versions", "commit")), &file, &SHOWN)?);
        for (title, values) in &toml {
            let entries = values.as_table().into_iter().flatten();
            let entries = entries
                .map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
            figures.provenance.extend(Section::new(format!("{title}, {cpu}"), entries.collect()));
        }
    }
    figures.pictures.extend(Picture::of(
        &folder.join("cell.svg"),
        "Where the time of one cell goes, ours and the peer's, each stage against its floor",
    )?);
    for (name, about) in [
        ("scaling.csv", "Cost against images, evaluations and batch"),
        ("fid.csv", "fewstep fid, called as pytorch-fid is, beside pytorch-fid"),
        ("edm.csv", "A network of the size of EDM's"),
    ] {
        if folder.join(name).is_file() {
            figures.tables.push(Table::of(about, &Csv::read(&folder.join(name))?)?);
        }
    }
    Ok(figures)
}

/// Steps that a smoothed loss is the mean of, and points that a chart has.
const WINDOW: usize = 100;
const POINTS: usize = 800;

fn training(folder: &Path, file: &Csv) -> Result<Figures> {
    let (steps, loss) = (file.numbers("step")?, file.numbers("loss")?);
    let every = steps.len().div_ceil(POINTS).max(1);
    let mean = |i: usize| {
        let part = &loss[(i + 1).saturating_sub(WINDOW)..=i];
        part.iter().sum::<f64>() / part.len() as f64
    };
    let line = |label: &str, colour, of: &dyn Fn(usize) -> f64| {
        let places: Vec<usize> = (0..steps.len()).step_by(every).collect();
        let (x, y) = (places.iter().map(|&i| steps[i]).collect(), places.iter().map(|&i| of(i)).collect());
        Curve { label: label.into(), colour, x, y, ..Curve::default() }
    };
    let lines = vec![
        line("a step's batch", [150, 170, 190], &|i| loss[i]),
        line(&format!("mean of the last {WINDOW}"), [0, 90, 170], &mean),
    ];
    let end = steps.len().checked_sub(1);
    let found = end
        .map(|end| format!("After {} steps the mean loss of the last {WINDOW} is {}.", steps[end], number(mean(end))));
    let about = "Mean squared error of the network's prediction, on the batch of each step (fewstep train), and samples of the averaged weights on the way.";
    let mut figures = Figures::new("A training run", about, found.into_iter().collect());
    figures.charts = vec![Plot {
        name: "loss".into(),
        x: "step",
        y: "mean squared error",
        unit: "steps",
        log_x: false,
        log_y: true,
        dense: true,
        lines,
    }];
    let mut names: Vec<String> = Vec::new();
    for entry in folder.read_dir().map_err(Failure::file(folder))? {
        names.push(entry.map_err(Failure::file(folder))?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    for (name, step) in
        names.iter().filter_map(|name| Some((name, name.strip_prefix("samples-")?.strip_suffix(".png")?)))
    {
        let step = step.trim_start_matches('0');
        figures.pictures.extend(Picture::of(&folder.join(name), format!("Samples after {step} steps"))?);
    }
    Ok(figures)
}

/// What is said of a fitted plan; the rest is in the file.
const FITTED: [&str; 6] = ["nfe", "stage", "chosen", "fit_rmse", "validation_rmse", "measured_rmse"];

fn fit(folder: &Path, file: &Csv) -> Result<Figures> {
    let (nfe, chosen) = (file.numbers("nfe")?, file.column("chosen")?);
    let places: Vec<usize> = (0..nfe.len()).filter(|&i| chosen[i] == "true").collect();
    let measured = file.numbers("measured_rmse")?;
    let line = |label: &str, colour, column: &str| -> Result<Curve> {
        let values = file.numbers(column)?;
        let (x, y) = (places.iter().map(|&i| nfe[i]).collect(), places.iter().map(|&i| values[i]).collect());
        Ok(Curve { label: label.into(), colour, x, y, ..Curve::default() })
    };
    let lines = vec![
        line("images of the fit", [0, 90, 170], "fit_rmse")?,
        line("validation", [200, 100, 0], "validation_rmse")?,
        line("measurement", [10, 125, 60], "measured_rmse")?,
    ];
    let said: Vec<String> = places.iter().map(|&i| format!("{} at {} NFE", number(measured[i]), nfe[i])).collect();
    let found = vec![format!(
        "Distance of the plans that were chosen to the solution, on images that no fit has seen: {}.",
        said.join(", ")
    )];
    let about = "fewstep fit: root-mean-square distance to the many-step solution, on the images that a plan was fitted to, on those that stages were chosen by, and on those of a measurement; every stage in the table, and in fit.csv its error and power by band of frequency.";
    let mut figures = Figures::new("Fitted plans, stage by stage", about, found);
    figures.charts = vec![Plot {
        name: "chosen plans".into(),
        x: "network evaluations (NFE)",
        y: "RMS distance to the solution",
        unit: "NFE",
        log_x: false,
        log_y: true,
        dense: false,
        lines,
    }];
    for (name, about) in [
        ("error.svg", "Error by octave of frequency, of the chosen plans and of OLSS's"),
        ("power.svg", "Power of the samples by octave of frequency over the solution's, of the same plans"),
    ] {
        figures.pictures.extend(Picture::of(&folder.join(name), about)?);
    }
    figures.tables = vec![Table::some("Every stage", file, &FITTED)?];
    figures.links = vec![
        ("fitted", "Fitted plans beside every solver"),
        ("fit-choices", "What each choice of the fit is worth, in features"),
        ("fid-solution", "Fitted plans in Inception features"),
    ];
    Ok(figures)
}
