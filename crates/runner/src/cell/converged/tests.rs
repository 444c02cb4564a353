//! With pooled pixels in the place of Inception, which needs weights.

use fewstep_fid::{Pixel8, frechet_distance};
use fewstep_sampler::{Method, Request};
use tempfile::TempDir;

use super::*;
use crate::{
    cell::{Cell, Done, Needs, Samples, Targets, measure},
    device::DeviceName,
    experiment::Experiment,
    results::Metric,
};

const SAMPLES: usize = 20;

fn loaded(folder: &TempDir, batch: usize) -> Loaded {
    let text = format!(
        r#"samples = {SAMPLES}
batch = {batch}
nfe = [4]
metrics = ["fid_solution", "fid_paired", "feature_rmse"]
method = [{{ name = "ddim" }}, {{ name = "ddpm" }}]
grid = "quadratic"
solution = {{ nfe = 60, samples = 4, floor = 40 }}
model = {{ kind = "mixture", size = 8, component = [{{ weight = 1, mean = 0.4, variance = 0.1 }}, {{ weight = 2, mean = -0.3, variance = 0.3 }}] }}
"#
    );
    let path = folder.path().join("x.toml");
    std::fs::write(&path, text).unwrap();
    let mut loaded = Loaded::network(Experiment::read(&path).unwrap(), DeviceName::Cpu).unwrap();
    let extractor = Box::new(Pixel8);
    loaded.spaces.push(Space { features: Features::Inception, extractor, canary: "c".into(), data: None });
    loaded
}

fn cell(loaded: &Loaded, method: usize, folder: &TempDir) -> Cell {
    let entry = &loaded.experiment.methods[method];
    let plan = entry.plan(&loaded.sampler.schedule, 4, None).unwrap();
    Cell::of_method(loaded, entry, plan, 4, 0, folder.path()).unwrap()
}

fn needs() -> Needs {
    let mut needs = Needs::default();
    [Metric::FidSolution, Metric::FidPaired, Metric::FeatureRmse].into_iter().for_each(|metric| needs.add(metric));
    needs
}

fn kept(folder: &TempDir) -> Kept {
    Kept::at(folder.path().to_owned(), false)
}

fn targets(loaded: &Loaded, folder: &TempDir) -> Targets {
    let spec = loaded.experiment.solution.unwrap();
    let progress = Progress::new(1, "evaluations");
    Targets::find(loaded, &needs(), (&spec, 0), &kept(folder), &progress).unwrap()
}

fn measured(loaded: &Loaded, folder: &TempDir) -> Done {
    let (cell, targets) = (cell(loaded, 0, folder), targets(loaded, folder));
    let wanted = cell.wanted(loaded, None).unwrap();
    let samples = Samples::Of(cell.plan.as_ref().unwrap(), SAMPLES);
    measure(loaded, &cell, samples, (&wanted, &wanted), &targets, &kept(folder), &Progress::new(1, "evaluations"))
        .unwrap()
        .0
}

#[test]
fn figures_are_those_of_the_features_whatever_the_batch() {
    let folder = tempfile::tempdir().unwrap();
    let once = loaded(&folder, 16);
    // The definition: all samples at once, three sets of features, and their moments.
    let rows = |x: Vec<f32>| once.spaces[0].extractor.features(&images_of(&x, 8).unwrap()).unwrap();
    let gaussian = |rows: &[f32]| {
        let mut moments = Moments::new(192);
        moments.push(rows).unwrap();
        moments.gaussian().unwrap()
    };
    let plan =
        |method: Method, nfe| method.plan(&Request::new(&once.sampler.schedule, &solution::grid(), nfe)).unwrap();
    let sampler = &once.sampler;
    let run = |method, nfe, start| rows(sampler.end(&plan(method, nfe), 0, start, 0..SAMPLES, |_, _| {}).unwrap());
    let ddim = run(Method::new("ddim", None).unwrap(), 4, sampler.noise(0, 0..SAMPLES));
    let same = run(Method::deis(2), 40, sampler.noise(0, 0..SAMPLES));
    let other = run(Method::deis(2), 40, sampler.converged_noise(0, 0..SAMPLES));
    let squares: Vec<f64> = ddim.chunks(192).zip(same.chunks(192)).map(|(a, b)| squared_distance(a, b)).collect();
    let paired = frechet_distance(&gaussian(&ddim), &gaussian(&same)).unwrap();
    let expected = [
        frechet_distance(&gaussian(&ddim), &gaussian(&other)).unwrap(),
        paired,
        (squares.iter().sum::<f64>() / SAMPLES as f64).sqrt(),
    ];
    // A coupling costs at least what the best one of Gaussians with these moments does (of n images, n/(n − 1) times their variance).
    assert!(paired * (SAMPLES - 1) as f64 / SAMPLES as f64 <= expected[2].powi(2), "{expected:?}");
    assert!(paired > 1e-3 && expected[0] > paired, "{expected:?}");
    for batch in [16, 7, 1] {
        let folder = tempfile::tempdir().unwrap();
        let done = measured(&loaded(&folder, batch), &folder);
        let found: Vec<f64> = done.measured.iter().map(|measured| measured.value.unwrap()).collect();
        assert_eq!(found, expected, "batch {batch}");
        assert_eq!(done.measured[2].per_image, squares, "batch {batch}");
    }
}

#[test]
fn converged_features_are_kept_and_believed_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = loaded(&folder, 16);
    let evaluated = || loaded.sampler.predictor.evaluated();
    let find = || {
        let before = evaluated();
        let found = targets(&loaded, &folder);
        let [same, other] = [Metric::FeatureRmse, Metric::FidSolution].map(|metric| found.converged(metric).unwrap());
        let rows = (same.rows.clone(), other.rows.clone(), same.check.clone());
        (rows, evaluated() - before)
    };
    let (rows, made) = find();
    // Both sets with 40 evaluations, and 8 images with 80, for the samples' own error and for their features'.
    assert_eq!(made, (2 * SAMPLES * 40 + 2 * 8 * 80) as u64);
    assert_eq!(rows.2.len(), 8);
    assert!(rows.2.iter().all(|square| *square > 0.0 && *square < 1e-3), "{:?}", rows.2);
    assert_ne!(rows.0, rows.1);
    assert_eq!(find(), (rows.clone(), 0));
    let numbers = |path: &std::path::Path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("converged-") && name.ends_with(".f32")
    };
    let paths = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().path()).filter(|path| numbers(path));
    let paths: Vec<_> = paths.collect();
    assert_eq!(paths.len(), 2);
    for path in paths {
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[5] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    assert_eq!(find(), (rows, (SAMPLES * 40 + 8 * 80) as u64));
}

#[test]
fn what_solves_no_ode_is_compared_as_a_set_alone_and_the_solution_with_itself_not() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = loaded(&folder, 16);
    let names = |cell: &Cell| {
        let wanted = cell.wanted(&loaded, None).unwrap();
        wanted.iter().map(|wanted| wanted.metric.name()).collect::<Vec<_>>()
    };
    assert_eq!(names(&cell(&loaded, 0, &folder)), ["fid_solution", "fid_paired", "feature_rmse"]);
    assert_eq!(names(&cell(&loaded, 1, &folder)), ["fid_solution"]);
    let spec = loaded.experiment.solution.unwrap();
    let own = Cell::of_solution(&loaded, &spec, 0, folder.path()).unwrap();
    assert_eq!(names(&own), ["fid_solution", "feature_rmse"]);
    let keys = |cell: &Cell| -> Vec<String> {
        cell.wanted(&loaded, None).unwrap().iter().map(|wanted| wanted.key.as_str().to_owned()).collect()
    };
    // The own error is another measure than a method's.
    assert_ne!(keys(&own)[1], keys(&cell(&loaded, 0, &folder))[2]);
}
