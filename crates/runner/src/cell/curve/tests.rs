use std::{cell::Cell, path::Path};

use fewstep_sampler::Grid;

use super::*;
use crate::cell::{key, parts::Widths, sampler::tests::sampler};

fn spec(samples: usize) -> CollectSpec {
    CollectSpec { nfe: 50, samples, seed: 3, grid: Grid::quadratic() }
}

/// The curve of so many images, evaluations that were made for it, and those that were known.
fn collected(folder: &Path, samples: usize, keep: bool) -> (Normaliser, u64, u64) {
    let (sampler, spec) = (sampler(None), spec(samples));
    let plan = plan(&sampler, &spec).unwrap();
    let key = key::frechet_to_data("a curve").unwrap();
    let mut parts = Parts::new(key, folder, &[], Widths { x: spec.nfe, ..Widths::default() });
    let (before, known) = (sampler.asked(), Cell::new(0));
    let normaliser = collect(&sampler, &spec, &plan, Some(&mut parts), |_| {}, |n| known.set(known.get() + n)).unwrap();
    if keep {
        parts.keep().unwrap();
    }
    (normaliser, sampler.asked() - before, known.get())
}

#[test]
fn a_curve_goes_on_where_it_was_and_has_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let (sampler, spec) = (sampler(None), spec(9));
    let plan = plan(&sampler, &spec).unwrap();
    let whole = collect(&sampler, &spec, &plan, None, |_| {}, |_| {}).unwrap();
    let text = |normaliser: &Normaliser| normaliser.to_csv(&[]);

    let (five, made, known) = collected(folder.path(), 5, true);
    assert_eq!((made, known), (5 * 50, 0));
    assert_ne!(text(&five), text(&whole));
    let (nine, made, known) = collected(folder.path(), 9, false);
    assert_eq!((made, known), (4 * 50, 5 * 50));
    assert_eq!(text(&nine), text(&whole));

    // The same by image, which nothing keeps.
    let by_image = by_image(&sampler, &spec, &plan, |_| {}).unwrap();
    let means = means(&sampler, &spec, &plan, |_| {}).unwrap();
    assert!(by_image.iter().zip(&means).all(|(of, mean)| of.len() == 9 && of.iter().sum::<f64>() / 9.0 == *mean));
    // The curve ascends, a run descends.
    for ((of, mean), error) in by_image.iter().zip(&means).zip(whole.errors().iter().rev()) {
        let variance = of.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 8.0;
        assert!((error / (variance / 9.0).sqrt() - 1.0).abs() < 1e-6, "{error} {variance}");
    }
}
