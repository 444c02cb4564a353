//! What is made small at the end of a run.
//!
//! The root-mean-square distance to the solution sees little of what is wrong where images have little power: of natural images that
//! is fine detail, and a plan of the least distance leaves noise there. [`Objective::Bands`] is relative to the solution's own power
//! in bands of frequency, so that it sees that; it needs no network but the one that is sampled.

use std::sync::Arc;

use faer::{Accum, Mat, MatRef, Par, linalg::matmul::matmul};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What is minimised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// √ mean over images and pixels of (x_0 − x_0*)²: `ode_rmse`.
    Rms,
    /// √ mean over bands b of E_b/P_b: the power of x_0 − x_0* in each octave of frequency over that of x_0*.
    Bands,
    /// √ mean over coefficients of the transform of E/P of their band: as [`Objective::Bands`] with each octave weighted by its number
    /// of coefficients, so that the finest counts for three quarters.
    White,
    /// [`Objective::Bands`] and, 25 times, mean_b (√(power of x_0 in b / P_b) − 1)²: the least error leaves too little power where few
    /// evaluations cannot tell where a sample goes, which is blur; and it is by their spectrum, not image by image, that sets of
    /// samples are compared.
    Spectrum,
    /// √ mean over images and the 8×8 means of each plane of the squared difference of these: what `fd_pixel` looks at, so that this metric
    /// is no judge of a plan that was fitted so.
    Pooled,
    /// √ mean over images and features of the squared difference of FID-Inception's features, of images that are not rounded to 8 bits: what all
    /// metrics in these features look at, so that none of them is a judge of a plan that was fitted so.
    Inception,
}

/// Samples `[images, numbers of an image]` to features, each image's on its own.
pub type Features = dyn Fn(&[f32]) -> Result<Vec<f32>> + Send + Sync;

/// Weight of amplitudes beside errors in [`Objective::Spectrum`].
const AMPLITUDES: f64 = 25.0;

impl Objective {
    /// All of them.
    pub const ALL: [Objective; 6] = [
        Objective::Rms,
        Objective::Bands,
        Objective::White,
        Objective::Spectrum,
        Objective::Pooled,
        Objective::Inception,
    ];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Objective::Rms => "rms",
            Objective::Bands => "bands",
            Objective::White => "white",
            Objective::Spectrum => "spectrum",
            Objective::Pooled => "pooled",
            Objective::Inception => "inception",
        }
    }
}

/// Means of a plane in each direction, where it has so many pixels.
const POOLS: usize = 8;

/// Octaves of frequency: of the larger of the two indices of the discrete cosine transform, 0 alone, 1, 2 to 3, 4 to 7, …
#[derive(Debug, Clone)]
pub struct Bands {
    side: usize,
    transform: Mat<f32>,
    /// Of each coefficient of a plane.
    band: Vec<usize>,
    count: usize,
}

impl Bands {
    /// Of square images.
    pub fn new(side: usize) -> Self {
        let n = side as f64;
        let entry = |k: usize, i: usize| {
            let scale = if k == 0 { (1.0 / n).sqrt() } else { (2.0 / n).sqrt() };
            (scale * (std::f64::consts::PI * (i as f64 + 0.5) * k as f64 / n).cos()) as f32
        };
        let octave = |k: usize| (usize::BITS - k.leading_zeros()) as usize;
        let band: Vec<usize> = (0..side * side).map(|at| octave((at / side).max(at % side))).collect();
        let count = 1 + band.iter().max().copied().unwrap_or(0);
        Bands { side, transform: Mat::from_fn(side, side, entry), band, count }
    }

    /// How many bands there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The range of indices of a band, for people.
    pub fn name(&self, band: usize) -> String {
        match band {
            0 | 1 => band.to_string(),
            _ => format!("{}–{}", 1 << (band - 1), ((1 << band) - 1).min(self.side - 1)),
        }
    }

    /// The orthonormal cosine transform (DCT-II) of every plane.
    pub fn transformed(&self, x: &[f32]) -> Vec<f32> {
        let side = self.side;
        let mut all = x.to_vec();
        all.par_chunks_mut(side * side).for_each(|plane| {
            let (mut half, mut whole) = (Mat::<f32>::zeros(side, side), Mat::<f32>::zeros(side, side));
            let x = MatRef::from_row_major_slice(plane, side, side);
            matmul(half.as_mut(), Accum::Replace, self.transform.as_ref(), x, 1.0, Par::Seq);
            matmul(whole.as_mut(), Accum::Replace, half.as_ref(), self.transform.transpose(), 1.0, Par::Seq);
            for (at, value) in plane.iter_mut().enumerate() {
                *value = whole[(at / side, at % side)];
            }
        });
        all
    }

    /// Power of each band: Σ of squared coefficients over all planes of an image, mean over images of `planes` planes.
    pub fn power(&self, x: &[f32], planes: usize) -> Vec<f64> {
        let coefficients = self.transformed(x);
        let of_image = |image: &[f32]| {
            let mut power = vec![0.0; self.count];
            for (at, value) in image.iter().enumerate() {
                power[self.band[at % self.band.len()]] += f64::from(*value).powi(2);
            }
            power
        };
        let images: Vec<Vec<f64>> = coefficients.par_chunks(planes * self.band.len()).map(of_image).collect();
        (0..self.count).map(|b| images.iter().map(|image| image[b]).sum::<f64>() / images.len() as f64).collect()
    }
}

/// An objective against given solutions.
#[derive(Clone)]
pub struct Target {
    objective: Objective,
    bands: Bands,
    /// x_0*.
    pub solution: Vec<f32>,
    /// Numbers of an image.
    pub len: usize,
    /// Of each coefficient of a plane, for bands.
    weight: Vec<f32>,
    /// Power of the solutions.
    power: Vec<f64>,
    /// The network of features, and those of the solutions.
    features: Option<(Arc<Features>, Vec<f32>)>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Target").field("objective", &self.objective).finish_non_exhaustive()
    }
}

impl Target {
    /// Of solutions of square images, `len` numbers each.
    pub fn new(objective: Objective, side: usize, len: usize, solution: Vec<f32>) -> Self {
        let bands = Bands::new(side);
        let power = bands.power(&solution, len / (side * side));
        let count = power.iter().filter(|power| **power > 0.0).count();
        // What a band counts for, of 1.
        let share = |b: usize| match objective {
            Objective::White => bands.band.iter().filter(|&&other| other == b).count() as f64 / bands.band.len() as f64,
            _ => 1.0 / count as f64,
        };
        let of = |b: usize| if power[b] > 0.0 { (share(b) / power[b]).sqrt() as f32 } else { 0.0 };
        let weight = bands.band.iter().map(|&b| of(b)).collect();
        Target { objective, bands, solution, len, weight, power, features: None }
    }

    /// With the features of [`Objective::Inception`], which has no value without.
    ///
    /// # Errors
    /// The network's; where it gives no whole number of features for each image.
    pub fn with_features(self, features: &Arc<Features>) -> Result<Self> {
        let found = features(&self.solution)?;
        let images = self.solution.len() / self.len;
        if found.is_empty() || !found.len().is_multiple_of(images) {
            return Err(Error::Network(format!("{} features of {images} images", found.len())));
        }
        Ok(Target { features: Some((features.clone(), found)), ..self })
    }

    /// Numbers of an image's residual.
    pub fn width(&self) -> usize {
        match self.objective {
            Objective::Spectrum => self.len + self.bands.count,
            Objective::Pooled => self.len / self.weight.len() * self.pools().pow(2),
            Objective::Inception => {
                let features = self.features.as_ref().map_or(0, |(_, features)| features.len());
                features / (self.solution.len() / self.len)
            }
            _ => self.len,
        }
    }

    /// r with |r|² of each image what it adds to the square of the objective: [`width`](Self::width) numbers an image.
    ///
    /// # Errors
    /// The network's of features, or where they are wanted and there is none.
    pub fn residual(&self, x: &[f32]) -> Result<Vec<f32>> {
        if self.objective == Objective::Inception {
            let missing = || Error::Request("an objective in Inception's features needs its network".into());
            let (features, solved) = self.features.as_ref().ok_or_else(missing)?;
            return Ok(self.mean_difference(&features(x)?, solved));
        }
        if self.objective == Objective::Rms {
            return Ok(self.mean_difference(x, &self.solution));
        }
        let difference: Vec<f32> = x.par_iter().zip(&self.solution).map(|(x, y)| x - y).collect();
        if self.objective == Objective::Pooled {
            return Ok(self.pooled(&difference));
        }
        let mut all = self.bands.transformed(&difference);
        all.par_chunks_mut(self.weight.len())
            .for_each(|plane| plane.iter_mut().zip(&self.weight).for_each(|(value, weight)| *value *= weight));
        if self.objective == Objective::Spectrum {
            // Of all images together, and the same for each.
            let count = self.power.iter().filter(|power| **power > 0.0).count() as f64;
            let of = |ratio: f64| ((AMPLITUDES / count).sqrt() * (ratio.sqrt() - 1.0)) as f32;
            let ratios = self.power_ratio(x).into_iter().zip(&self.power);
            let amplitudes: Vec<f32> =
                ratios.map(|(ratio, power)| if *power > 0.0 { of(ratio) } else { 0.0 }).collect();
            all = all.chunks(self.len).flat_map(|image| image.iter().chain(&amplitudes).copied()).collect();
        }
        Ok(all)
    }

    /// Differences, each over the root of how many an image has.
    fn mean_difference(&self, x: &[f32], solved: &[f32]) -> Vec<f32> {
        let weight = (1.0 / self.width() as f64).sqrt() as f32;
        x.par_iter().zip(solved).map(|(x, y)| (x - y) * weight).collect()
    }

    fn pools(&self) -> usize {
        POOLS.min(self.bands.side)
    }

    /// Means over the pools of every plane, each over the root of how many an image has.
    fn pooled(&self, x: &[f32]) -> Vec<f32> {
        let (side, pools) = (self.bands.side, self.pools());
        let pool = |at: usize| at / side * pools / side * pools + at % side * pools / side;
        let mut sizes = vec![0.0; pools * pools];
        (0..side * side).for_each(|at| sizes[pool(at)] += (self.width() as f64).sqrt());
        let of_plane = |plane: &[f32]| {
            let mut sums = vec![0.0; pools * pools];
            plane.iter().enumerate().for_each(|(at, value)| sums[pool(at)] += f64::from(*value));
            sums.iter().zip(&sizes).map(|(sum, size)| (sum / size) as f32).collect::<Vec<f32>>()
        };
        x.par_chunks(side * side).flat_map_iter(of_plane).collect()
    }

    /// The objective at x_0.
    ///
    /// # Errors
    /// As of [`residual`](Self::residual).
    pub fn value(&self, x: &[f32]) -> Result<f64> {
        let squares: Vec<f64> = self
            .residual(x)?
            .par_chunks(self.width())
            .map(|image| image.iter().map(|value| f64::from(*value).powi(2)).sum())
            .collect();
        Ok(crate::vectors::root_mean(&squares))
    }

    /// E_b/P_b of each band.
    pub fn by_band(&self, x: &[f32]) -> Vec<f64> {
        let difference: Vec<f32> = x.iter().zip(&self.solution).map(|(x, y)| x - y).collect();
        let error = self.bands.power(&difference, self.len / self.weight.len());
        error.iter().zip(&self.power).map(|(error, power)| if *power > 0.0 { error / power } else { 0.0 }).collect()
    }

    /// The power of x_0 in each band over that of the solution: above 1 noise is left, below there is blur.
    pub fn power_ratio(&self, x: &[f32]) -> Vec<f64> {
        let own = self.bands.power(x, self.len / self.weight.len());
        own.iter().zip(&self.power).map(|(own, power)| if *power > 0.0 { own / power } else { 0.0 }).collect()
    }

    /// The bands.
    pub fn bands(&self) -> &Bands {
        &self.bands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(side: usize, k: usize, amplitude: f32) -> Vec<f32> {
        let of = |x: usize| (std::f32::consts::PI * (x as f32 + 0.5) * k as f32 / side as f32).cos();
        (0..3 * side * side).map(|at| amplitude * of(at % side)).collect()
    }

    fn small_pair() -> Target {
        Target::new(Objective::Inception, 4, 48, vec![0.0; 96])
    }

    #[test]
    fn a_cosine_has_its_power_in_its_band() {
        let bands = Bands::new(16);
        assert_eq!(
            (bands.count(), bands.name(0), bands.name(2), bands.name(4)),
            (5, "0".into(), "2–3".into(), "8–15".into())
        );
        for (k, band) in [(0, 0), (1, 1), (3, 2), (4, 3), (15, 4)] {
            let x = wave(16, k, 0.5);
            let power = bands.power(&x, 3);
            // Parseval: the transform keeps lengths.
            let all: f64 = x.iter().map(|x| f64::from(*x).powi(2)).sum();
            assert!((power[band] / all - 1.0).abs() < 1e-5 && (power.iter().sum::<f64>() / all - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn objectives_are_the_ratios_that_they_are_called() {
        let (coarse, fine) = (wave(16, 2, 1.0), wave(16, 12, 0.1));
        let solution: Vec<f32> = coarse.iter().zip(&fine).map(|(x, y)| x + y).collect();
        // All of the fine wave is missing: a hundredth of the power and all of its band.
        let rms = Target::new(Objective::Rms, 16, 768, solution.clone());
        let expected = (fine.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / 768.0).sqrt();
        assert!((rms.value(&coarse).unwrap() / expected - 1.0).abs() < 1e-5);
        let bands = Target::new(Objective::Bands, 16, 768, solution);
        let shares = bands.by_band(&coarse);
        assert!((shares[4] - 1.0).abs() < 1e-4 && shares[2] < 1e-9 && bands.power_ratio(&coarse)[4] < 1e-9);
        // Bands without power of the solution count for nothing; rounding leaves some in three of them.
        let mean = shares.iter().sum::<f64>() / 5.0;
        let found = bands.value(&coarse).unwrap().powi(2);
        assert!((found - mean).abs() < 1e-4, "{found} {mean}");
        // Of a wave in each band half of the fine one's amplitude is missing: a quarter of its error, and 25 times the square of a half.
        let all = |finest: f32| {
            let waves =
                [(0, 0.5), (1, 1.0), (2, 1.0), (5, 0.5), (12, finest)].map(|(k, amplitude)| wave(16, k, amplitude));
            (0..768).map(|at| waves.iter().map(|wave| wave[at]).sum()).collect::<Vec<f32>>()
        };
        let few = |objective| Target::new(objective, 16, 768, all(0.1)).value(&all(0.05)).unwrap().powi(2);
        assert!((few(Objective::Bands) - 0.25 / 5.0).abs() < 1e-4, "{}", few(Objective::Bands));
        let expected = few(Objective::Bands) + 25.0 * 0.25 / 5.0;
        assert!((few(Objective::Spectrum) - expected).abs() < 1e-3, "{} {expected}", few(Objective::Spectrum));
        // Pools of four pixels: what alternates within them is not seen, and what is constant is.
        let flat = Target::new(Objective::Pooled, 16, 768, wave(16, 0, 0.5));
        let stripes: Vec<f32> = (0..768).map(|at| 0.5 + if at % 2 == 0 { 0.25 } else { -0.25 }).collect();
        assert!(flat.value(&stripes).unwrap() < 1e-7 && flat.width() == 192);
        assert!((flat.value(&wave(16, 0, 0.75)).unwrap() - 0.25).abs() < 1e-7);
        // Fewer pixels than pools: each is one.
        let small = Target::new(Objective::Pooled, 4, 48, vec![0.0; 48]);
        assert!((small.value(&[0.5; 48]).unwrap() - 0.5).abs() < 1e-7 && small.width() == 48);
        // Two features of an image, its sum and its first number: differences 24 and 0.5.
        let features: Arc<Features> =
            Arc::new(|x| Ok(x.chunks(48).flat_map(|image| [image.iter().sum(), image[0]]).collect()));
        assert!(small_pair().value(&[0.5; 96]).unwrap_err().to_string().contains("needs its network"));
        let seen = small_pair().with_features(&features).unwrap();
        assert!((seen.value(&[0.5; 96]).unwrap().powi(2) - (24f64.powi(2) + 0.25) / 2.0).abs() < 1e-4);
        assert_eq!((seen.width(), seen.residual(&[0.5; 96]).unwrap().len()), (2, 4));
        let odd: Arc<Features> = Arc::new(|_| Ok(vec![0.0; 3]));
        assert!(small_pair().with_features(&odd).is_err());
        // Of 256 coefficients 192 are in the last octave.
        assert!((few(Objective::White) - 0.75 * 0.25).abs() < 1e-3, "{}", few(Objective::White));
    }
}
