//! Per-image noise: x_T of image k depends on (seed, k) alone, and what a stochastic method adds on (seed, k, step).

use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};
use rand_distr::{Distribution, StandardNormal};

/// Draws from here on are no cell's: draw 0 is x_T and i + 1 what step i adds, and no plan has so many steps.
const OTHERS: u64 = 1 << 32;

/// `len` standard normal numbers for image `k` of a cell: draw 0 is x_T, and i + 1 what step i adds.
pub fn cell(seed: u64, draw: u64, k: u64, len: usize) -> impl Iterator<Item = f32> {
    numbers(seed, draw, k, len)
}

/// x_T of image `k` for collecting a normaliser: never what a cell is measured with, whatever the seeds.
pub fn normaliser(seed: u64, k: u64, len: usize) -> impl Iterator<Item = f32> {
    numbers(seed, OTHERS, k, len)
}

/// x_T of image `k` of the images that plans are fitted to: never what a cell is measured with, whatever the seeds.
pub fn fitting(seed: u64, k: u64, len: usize) -> impl Iterator<Item = f32> {
    numbers(seed, OTHERS + 16, k, len)
}

/// x_T of image `k` of those by which a fit's stages are chosen: neither a cell's nor fitted to.
pub fn validation(seed: u64, k: u64, len: usize) -> impl Iterator<Item = f32> {
    numbers(seed, OTHERS + 17, k, len)
}

/// x_T of image `k` for converged samples that cells are compared with as a set: never a cell's own, nor a normaliser's.
pub fn converged(seed: u64, k: u64, len: usize) -> impl Iterator<Item = f32> {
    numbers(seed, OTHERS + 1, k, len)
}

/// ChaCha12 keyed by the seed and `draw`, stream k, and the ziggurat.
fn numbers(seed: u64, draw: u64, k: u64, len: usize) -> impl Iterator<Item = f32> {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&draw.to_le_bytes());
    let mut random = ChaCha12Rng::from_seed(key);
    random.set_stream(k);
    (0..len).map(move |_| StandardNormal.sample(&mut random))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pinned: published figures stand on these numbers.
    #[test]
    fn noise_is_fixed_for_all_time() {
        let first = |seed, draw, k| <[f32; 3]>::try_from(cell(seed, draw, k, 3).collect::<Vec<f32>>()).unwrap();
        let three = |numbers: Vec<f32>| <[f32; 3]>::try_from(numbers).unwrap();
        let [own, converged] = [normaliser(0, 0, 3).collect(), converged(0, 0, 3).collect()].map(three);
        let [fitting, validation] = [fitting(0, 0, 3).collect(), validation(0, 0, 3).collect()].map(three);
        let cells = [first(0, 0, 0), first(1, 0, 0), first(0, 1, 0), first(0, 0, 7)];
        assert_eq!([&cells[..], &[own, converged, fitting, validation]].concat(), PINNED);
        // The numbers of a larger image begin with those of a smaller one.
        assert_eq!(cell(0, 0, 0, 3072).take(3).collect::<Vec<f32>>(), PINNED[0]);
    }

    const PINNED: [[f32; 3]; 8] = [
        [-0.4657974, 1.0211824, -2.7092338],
        [2.4630554, -0.6110885, -1.7116336],
        [0.08851506, -0.4866799, -1.2254174],
        [-0.5487219, 1.3625424, 0.2963351],
        [1.6699357, -0.5967427, 0.72908753],
        [-1.2226957, 0.37661153, -0.8881847],
        [1.0212802, -0.9677095, -0.41432264],
        [-1.2276727, 1.8221478, 0.2429222],
    ];

    #[test]
    fn noise_is_standard_normal() {
        let values: Vec<f64> = (0..64).flat_map(|k| cell(7, 0, k, 3072)).map(f64::from).collect();
        let moment = |power: i32| values.iter().map(|value| value.powi(power)).sum::<f64>() / values.len() as f64;
        // Standard errors at n = 196 608: 0.0023, 0.0032, 0.0087 (third), 0.022 (fourth).
        assert!(moment(1).abs() < 0.01 && (moment(2) - 1.0).abs() < 0.015);
        assert!(moment(3).abs() < 0.04 && (moment(4) - 3.0).abs() < 0.1);
    }
}
