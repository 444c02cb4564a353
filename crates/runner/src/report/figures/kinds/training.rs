//! `fewstep train`: a training run's loss and samples.

use std::path::Path;

use super::{Csv, Curve, Figures, Picture, Plot};
use crate::{
    failure::{Failure, Result},
    report::table::number,
};

/// Steps that a smoothed loss is the mean of, and points that a line has at most.
const WINDOW: usize = 100;
const POINTS: usize = 800;

pub(super) fn read(folder: &Path, file: &Csv) -> Result<Figures> {
    let (steps, loss) = (file.numbers("step")?, file.numbers("loss")?);
    let every = steps.len().div_ceil(POINTS).max(1);
    let last = steps.len() - 1;
    // Counted from the end, which what was found is of.
    let places: Vec<usize> = (0..=last).filter(|i| (last - i).is_multiple_of(every)).collect();
    let mean = |i: usize| {
        let part = &loss[(i + 1).saturating_sub(WINDOW)..=i];
        part.iter().sum::<f64>() / part.len() as f64
    };
    let line = |label: &str, colour, of: &dyn Fn(usize) -> f64| {
        let (x, y) = (places.iter().map(|&i| steps[i]).collect(), places.iter().map(|&i| of(i)).collect());
        Curve { label: label.into(), colour, x, y, ..Curve::default() }
    };
    let lines = vec![
        line("a step's batch", [150, 170, 190], &|i| loss[i]),
        line(&format!("mean of the last {WINDOW}"), [0, 90, 170], &mean),
    ];
    let found = format!("After {} steps the mean loss of the last {WINDOW} is {}.", steps[last], number(mean(last)));
    let about = format!(
        "Mean squared error of the network's prediction, on the batch of each step (fewstep train), drawn at one of {every} steps, and samples of the averaged weights on the way."
    );
    let mut figures = Figures::new("A training run", &about, vec![found]);
    figures.charts = vec![Plot {
        name: "loss".into(),
        x: "step",
        y: "mean squared error".into(),
        log_x: false,
        log_y: true,
        dense: true,
        lines,
    }];
    let mut sheets: Vec<(u64, String)> = Vec::new();
    for entry in folder.read_dir().map_err(Failure::file(folder))? {
        let name = entry.map_err(Failure::file(folder))?.file_name().to_string_lossy().into_owned();
        let step = name.strip_prefix("samples-").and_then(|name| name.strip_suffix(".png")).map(str::parse);
        // Later ones are of another run in this folder.
        if let Some(Ok(step)) = step
            && step as f64 <= steps[last]
        {
            sheets.push((step, name));
        }
    }
    sheets.sort();
    for (step, name) in sheets {
        figures.pictures.extend(Picture::of(&folder.join(name), format!("Samples after {step} steps"))?);
    }
    Ok(figures)
}
