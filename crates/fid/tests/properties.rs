//! What holds of moments and of the Fréchet distance, whatever the numbers.

use faer::Mat;
use fewstep_fid::{Gaussian, Moments, frechet_distance};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

struct Random(ChaCha8Rng);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        (self.0.next_u64() % end as u64) as usize
    }

    /// Normal, by the sum of twelve.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64).sum::<f64>() - 6.0
    }

    /// A mean, and a covariance of this rank.
    fn gaussian(&mut self, dim: usize, rank: usize) -> Gaussian {
        let scale = 10f64.powi(self.below(7) as i32 - 3);
        let root = Mat::from_fn(dim, rank, |_, _| scale * self.normal());
        let mean = (0..dim).map(|_| scale * self.normal()).collect();
        symmetric(mean, &root * root.transpose())
    }

    /// Orthogonal, by Gram–Schmidt, twice as one round leaves rounding.
    fn rotation(&mut self, dim: usize) -> Mat<f64> {
        let mut q = Mat::from_fn(dim, dim, |_, _| self.normal());
        for j in 0..dim {
            for _ in 0..2 {
                for i in 0..j {
                    let dot: f64 = (0..dim).map(|k| q[(k, i)] * q[(k, j)]).sum();
                    (0..dim).for_each(|k| q[(k, j)] -= dot * q[(k, i)]);
                }
            }
            let norm = (0..dim).map(|k| q[(k, j)].powi(2)).sum::<f64>().sqrt();
            (0..dim).for_each(|k| q[(k, j)] /= norm);
        }
        q
    }
}

/// Products are symmetric to rounding only.
fn symmetric(mean: Vec<f64>, product: Mat<f64>) -> Gaussian {
    let dim = mean.len();
    Gaussian::new(mean, Mat::from_fn(dim, dim, |i, j| 0.5 * (product[(i, j)] + product[(j, i)]))).unwrap()
}

fn rotated(gaussian: &Gaussian, q: &Mat<f64>) -> Gaussian {
    let dim = gaussian.mean().len();
    let mean = (0..dim).map(|i| (0..dim).map(|j| q[(i, j)] * gaussian.mean()[j]).sum()).collect();
    symmetric(mean, q * gaussian.covariance() * q.transpose())
}

/// ‖μ‖² + tr Σ of both: what the distance's rounding is of.
fn size(a: &Gaussian, b: &Gaussian) -> f64 {
    let of = |gaussian: &Gaussian| {
        let squares: f64 = gaussian.mean().iter().map(|mean| mean * mean).sum();
        squares + (0..gaussian.mean().len()).map(|i| gaussian.covariance()[(i, i)]).sum::<f64>()
    };
    of(a) + of(b)
}

/// Full and deficient ranks, from 1 to 24 dimensions, scales a million apart.
#[test]
fn the_distance_is_symmetric_zero_on_equals_and_the_same_after_a_rotation() {
    let mut random = Random(ChaCha8Rng::seed_from_u64(7));
    let mut worst = [0f64; 3];
    for _ in 0..200 {
        let dim = 1 + random.below(24);
        let (rank_a, rank_b) = (1 + random.below(dim), 1 + random.below(dim));
        let (a, b) = (random.gaussian(dim, rank_a), random.gaussian(dim, rank_b));
        let (distance, back) = (frechet_distance(&a, &b).unwrap(), frechet_distance(&b, &a).unwrap());
        let scale = size(&a, &b);
        let q = random.rotation(dim);
        let turned = frechet_distance(&rotated(&a, &q), &rotated(&b, &q)).unwrap();
        let errors = [
            (distance - back).abs() / scale,
            frechet_distance(&a, &a).unwrap() / size(&a, &a),
            (distance - turned).abs() / scale,
        ];
        worst.iter_mut().zip(errors).for_each(|(worst, error)| *worst = worst.max(error));
        // Not less than the distance of the means, which the covariances only add to.
        let shift: f64 = a.mean().iter().zip(b.mean()).map(|(a, b)| (a - b).powi(2)).sum();
        assert!(distance >= shift - 1e-12 * scale, "{distance} {shift}");
    }
    println!("swapped, with itself, rotated: {:.1e}, {:.1e}, {:.1e}", worst[0], worst[1], worst[2]);
    // A rotation's rounding, 1e-16, is of eigenvalues that are 0, whose roots are 1e-8: they bound the last.
    assert!(worst[0] < 1e-13 && worst[1] < 1e-13 && worst[2] < 1e-7, "{worst:?}");
}

/// Rows in three parts, merged from the left and from the right.
#[test]
fn moments_are_associative_to_rounding() {
    let mut random = Random(ChaCha8Rng::seed_from_u64(9));
    let mut worst = 0f64;
    for _ in 0..60 {
        let dim = 1 + random.below(9);
        // As features are: the mean may be much larger than what varies.
        let offset = 10f64.powi(random.below(4) as i32);
        let parts: Vec<Moments> = (0..3)
            .map(|_| {
                let mut moments = Moments::new(dim);
                let count = 1 + random.below(700);
                let rows: Vec<f32> = (0..count * dim).map(|_| (offset + random.normal()) as f32).collect();
                moments.push(&rows).unwrap();
                moments
            })
            .collect();
        let merged = |first: &Moments, second: Moments| {
            let mut all = first.clone();
            all.merge(second).unwrap();
            all
        };
        let left = merged(&merged(&parts[0], parts[1].clone()), parts[2].clone());
        let right = merged(&parts[0], merged(&parts[1], parts[2].clone()));
        assert_eq!(left.count(), right.count());
        let (left, right) = (left.gaussian().unwrap(), right.gaussian().unwrap());
        for i in 0..dim {
            worst = worst.max((left.mean()[i] - right.mean()[i]).abs() / offset);
            for j in 0..dim {
                worst = worst.max((left.covariance()[(i, j)] - right.covariance()[(i, j)]).abs());
            }
        }
    }
    println!("left and right: {worst:.1e}");
    assert!(worst < 1e-11, "{worst:e}");
}
