//! What a fit leaves to be done, as pictures: error and power by octave of frequency.

use std::path::Path;

use fewstep_fit::Bands;

use super::{
    OLSS,
    table::{Measured, Row},
};
use crate::{
    failure::Result,
    files,
    report::chart::{Chart, Line},
};

/// Writes `error.svg`, `power.svg` and the same as PNG, of the plans that were chosen and of OLSS's, where they were measured.
pub fn write(folder: &Path, rows: &[Row], bands: &Bands) -> Result<()> {
    for (name, chart) in [("error", error(rows, bands)), ("power", power(rows, bands))] {
        let stem = folder.join(name);
        if chart.lines.is_empty() {
            // Another run's would be of something else.
            ["svg", "png"].into_iter().try_for_each(|ending| files::remove(&stem.with_extension(ending)))?;
        } else {
            chart.write(&stem)?;
        }
    }
    Ok(())
}

/// E_b/P_b: 1 where a band is missing altogether, 2 where it has the right power and nothing to do with the solution's.
fn error(rows: &[Row], bands: &Bands) -> Chart {
    let lines = lines(rows, bands, |measured| &measured.by_band);
    Chart { log_y: true, ..over_frequency("Error by frequency", "power of the error over that of the solution", lines) }
}

/// Above 1 noise was left, below it detail is missing.
fn power(rows: &[Row], bands: &Bands) -> Chart {
    let lines = lines(rows, bands, |measured| &measured.power);
    over_frequency("Noise and blur by frequency", "power over that of the solution", lines)
}

fn over_frequency(title: &str, y: &str, lines: Vec<Line>) -> Chart {
    Chart {
        title: format!("{title}, images that were not fitted to"),
        x: "frequency: the octave's lowest index of the cosine transform".into(),
        y: y.into(),
        lines,
        marks: true,
        log_x: true,
        log_y: false,
        floor: None,
        named_at_ends: true,
    }
}

/// All octaves but the mean, which has no place on a logarithmic axis, and those in which solutions have no power.
fn lines(rows: &[Row], bands: &Bands, of: fn(&Measured) -> &[f64]) -> Vec<Line> {
    let shown = rows.iter().filter(|row| row.chosen || row.stage == OLSS);
    let line = |row: &Row| {
        let values = of(row.measured.as_ref()?);
        let there = (1..bands.count()).filter(|&band| values[band] > 0.0);
        let points = there.map(|band| (f64::from(1 << (band - 1)), values[band])).collect();
        let name = if row.chosen { "fitted" } else { OLSS };
        Some(Line { dashed: !row.chosen, ..Line::new(format!("{name}, {} NFE", row.nfe), points) })
    };
    shown.filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use fewstep_fit::Errors;
    use fewstep_sampler::{Plan, Threshold};

    use super::*;

    fn row(stage: &str, chosen: bool, measured: Option<[Vec<f64>; 2]>) -> Row {
        let errors = Errors { objective: 0.1, rmse: 0.1 };
        Row {
            nfe: 5,
            stage: stage.into(),
            note: String::new(),
            fit: errors,
            validation: errors,
            condition: 0.0,
            measured: measured.map(|[by_band, power]| Measured { error: errors, by_band, power }),
            chosen,
            plan: Plan {
                method: "fitted".into(),
                order: 0,
                nfe: 5,
                grid: "own".into(),
                threshold: Threshold::None,
                start: 1.0,
                tau: Vec::new(),
                timestep: Vec::new(),
                steps: Vec::new(),
            },
        }
    }

    #[test]
    fn chosen_plans_and_olss_are_drawn_over_octaves() {
        let bands = Bands::new(8);
        let measured =
            |factor: f64| Some([0.1, 0.2, 0.3, 0.4].map(|x| x * factor)).map(|x| [x.to_vec(), vec![factor; 4]]);
        let rows =
            [row(OLSS, false, measured(2.0)), row("grid", false, measured(3.0)), row("joint", true, measured(1.0))];
        let chart = error(&rows, &bands);
        let names: Vec<&str> = chart.lines.iter().map(|line| &*line.label).collect();
        assert_eq!(names, ["OLSS, 5 NFE", "fitted, 5 NFE"]);
        assert_eq!(chart.lines[1].points, [(1.0, 0.2), (2.0, 0.3), (4.0, 0.4)]);
        assert_eq!(power(&rows, &bands).lines[0].points, [(1.0, 2.0), (2.0, 2.0), (4.0, 2.0)]);
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &rows, &bands).unwrap();
        assert!(folder.path().join("error.png").is_file() && folder.path().join("power.svg").is_file());
        // Without measured images there is nothing to draw, and nothing of another run stays.
        write(folder.path(), &[row("joint", true, None)], &bands).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
