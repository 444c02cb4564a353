//! The sampling error of a Fréchet distance by drawing its images again.

use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};

use crate::{Error, Gaussian, Moments, Result, frechet_distance};

/// How often, and by which generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resamples {
    /// How many.
    pub count: usize,
    /// Of the generator that draws them.
    pub seed: u64,
}

/// What the distances of resamples say of a distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// Their mean. It lies above the distance by about what that lies above its limit of many images: a resample holds 63 % of the images,
    /// the rest of it repeats them.
    pub mean: f64,
    /// Their standard deviation, dividing by one less than their number: the distance's standard error.
    pub spread: f64,
    /// Where 95 % of them lie, less their mean, around the distance itself: an interval for distances of as many other images.
    pub interval: [f64; 2],
}

/// Ends of the interval among the resamples in their order.
const ENDS: [f64; 2] = [0.025, 0.975];

/// The bootstrap (Efron 1979, *Bootstrap methods: another look at the jackknife*) of [`frechet_distance`] of the rows `[n, dim]` to `other`, which is taken
/// as it is; `progress` hears of every resample.
///
/// # Errors
/// With fewer than two rows or resamples; as [`frechet_distance`].
pub fn frechet_bootstrap(
    rows: &[f32],
    other: &Gaussian,
    resamples: Resamples,
    progress: impl Fn(),
) -> Result<Bootstrap> {
    let dim = other.mean().len();
    let n = rows.len() / dim;
    if n < 2 || resamples.count < 2 || !rows.len().is_multiple_of(dim) {
        return Err(Error::Values(format!(
            "a bootstrap of {n} images of {dim} features by {} resamples; expected at least two of either",
            resamples.count
        )));
    }
    let distance = |which: &mut dyn Iterator<Item = usize>| {
        let mut moments = Moments::new(dim);
        let mut some = Vec::with_capacity(BATCH * dim);
        loop {
            some.clear();
            which.take(BATCH).for_each(|i| some.extend_from_slice(&rows[i * dim..(i + 1) * dim]));
            if some.is_empty() {
                break frechet_distance(&moments.gaussian()?, other);
            }
            moments.push(&some)?;
        }
    };
    let own = distance(&mut (0..n))?;
    let mut random = ChaCha12Rng::seed_from_u64(resamples.seed);
    let mut all = Vec::with_capacity(resamples.count);
    for _ in 0..resamples.count {
        // A remainder of 64 bits favours no image by more than n/2⁶⁴.
        let picks: Vec<usize> = (0..n).map(|_| (random.next_u64() % n as u64) as usize).collect();
        all.push(distance(&mut picks.into_iter())?);
        progress();
    }
    Ok(summary(own, all))
}

/// Rows that moments take in one go.
const BATCH: usize = 512;

fn summary(own: f64, mut all: Vec<f64>) -> Bootstrap {
    let count = all.len() as f64;
    let mean = all.iter().sum::<f64>() / count;
    let spread = (all.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
    all.sort_by(f64::total_cmp);
    Bootstrap { mean, spread, interval: ENDS.map(|end| own + quantile(&all, end) - mean) }
}

/// Linear between the values, as NumPy's default.
fn quantile(ascending: &[f64], share: f64) -> f64 {
    let at = share * (ascending.len() - 1) as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(ascending.len() - 1);
    ascending[below] + (at - below as f64) * (ascending[above] - ascending[below])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        frechet_influence,
        influence::tests::{gaussian, rows},
    };

    /// By `numpy.quantile([1, 2, 4, 8, 16], [0.025, 0.975])` and `numpy.std(…, ddof=1)`.
    #[test]
    fn quantiles_and_spread_are_numpys() {
        let found = summary(5.0, vec![16.0, 2.0, 1.0, 8.0, 4.0]);
        assert_eq!(found.mean, 6.2);
        assert!((found.spread - 6.099_180_272_790_763).abs() < 1e-14, "{found:?}");
        let expected = [5.0 + 1.1 - 6.2, 5.0 + 15.2 - 6.2];
        assert!(found.interval.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
    }

    /// Where images are many more than dimensions the spread is what influences give, and what repeated draws have: the interval holds
    /// the distances of 95 % of them.
    #[test]
    fn its_spread_is_that_of_other_draws_and_of_influences() {
        let (n, dim) = (300, 8);
        let other = gaussian(&rows(4000, dim, 2.5, 1), dim);
        let stream = rows(201 * n, dim, 2.0, 2);
        let draws: Vec<&[f32]> = stream.chunks(n * dim).collect();
        let distances: Vec<f64> = draws.iter().map(|x| frechet_distance(&gaussian(x, dim), &other).unwrap()).collect();
        let truth = summary(0.0, distances[1..].to_vec());
        let found = frechet_bootstrap(draws[0], &other, Resamples { count: 400, seed: 5 }, || {}).unwrap();
        // The spreads of 200 draws and of 400 resamples are known to 5 and 4 %, that of one draw of images from another to some 6 %.
        assert!((found.spread / truth.spread - 1.0).abs() < 0.2, "{found:?} {truth:?}");
        let influence = frechet_influence(draws[0], &gaussian(draws[0], dim), &other).unwrap();
        let error = (influence.iter().map(|value| value * value).sum::<f64>() / (n * (n - 1)) as f64).sqrt();
        assert!((found.spread / error - 1.0).abs() < 0.12, "{found:?} {error}");
        assert!(found.mean > distances[0], "{found:?} {}", distances[0]);
        let width = found.interval[1] - found.interval[0];
        assert!((width / (2.0 * 1.96 * found.spread) - 1.0).abs() < 0.15, "{found:?}");
        assert!(found.interval[0] < distances[0] && distances[0] < found.interval[1], "{found:?}");
    }

    #[test]
    fn resamples_are_those_of_their_seed_whatever_the_number_of_threads() {
        let (n, dim) = (40, 5);
        let (x, other) = (rows(n, dim, 2.0, 1), gaussian(&rows(50, dim, 3.0, 2), dim));
        let on = |threads, seed| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| frechet_bootstrap(&x, &other, Resamples { count: 12, seed }, || {}).unwrap())
        };
        assert!(on(1, 3) == on(4, 3) && on(1, 3) != on(1, 4));
        for (rows, count) in [(&x[..dim], 12), (&x[..], 1), (&x[..dim + 1], 12)] {
            let error = frechet_bootstrap(rows, &other, Resamples { count, seed: 0 }, || {}).unwrap_err().to_string();
            assert!(error.contains("at least two"), "{error}");
        }
    }
}
