//! Precision and recall, density and coverage: how much of one set of images lies among another's.
//!
//! With B(x) the open ball around x whose radius is the distance to the k-th nearest other image of its own set:
//!
//! - precision (Kynkäänniemi et al. 2019, arXiv 1904.06991): the part of the fake images in any B(real);
//! - recall: the part of the real images in any B(fake);
//! - density (Naeem et al. 2020, arXiv 2002.09797): 1/k times the mean over the fake images of how many B(real) each is in;
//! - coverage: the part of the real images whose nearest fake one lies in their B.
//!
//! `tests/measures.rs` holds them to the package of the latter's authors, prdc.

use faer::{Accum, Mat, MatRef, Par, linalg::matmul::matmul};
use rayon::prelude::*;

use crate::{Error, Result};

/// Rows whose distances to all others are there at a time.
const ROWS: usize = 128;

/// The four, of fake images against real ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Manifold {
    /// Part of the fake images among the real ones.
    pub precision: f64,
    /// Part of the real images among the fake ones.
    pub recall: f64,
    /// As precision, by how many real images' balls; it may exceed 1.
    pub density: f64,
    /// Part of the real images that have a fake one near.
    pub coverage: f64,
}

/// Of rows `[n, dim]` and `[m, dim]`, with the `nearest`-th neighbour's distance as radius (5 in both papers' packages).
///
/// # Errors
/// Where a set has not more images than `nearest`, or that is 0.
pub fn manifold(real: &[f32], fake: &[f32], dim: usize, nearest: usize) -> Result<Manifold> {
    let counts = [real, fake].map(|rows| rows.len() / dim.max(1));
    if nearest == 0 || counts.iter().any(|count| *count <= nearest) {
        let [real, fake] = counts;
        return Err(Error::Values(format!(
            "the {nearest}-th nearest of {real} and of {fake} images; expected 1 to fewer than both"
        )));
    }
    let [real, fake] = [real, fake].map(|rows| Set::new(rows, dim));
    let (real_radii, fake_radii) = (real.radii(nearest), fake.radii(nearest));
    // Of each fake image: in how many balls of real ones.
    let within: Vec<usize> = fake.to_all(&real, |_, distances| {
        distances.iter().zip(&real_radii).filter(|(distance, radius)| distance < radius).count()
    });
    // Of each real image: whether it is in any ball of a fake one, and whether any is in its own.
    let near: Vec<(bool, bool)> = real.to_all(&fake, |i, distances| {
        let recalled = distances.iter().zip(&fake_radii).any(|(distance, radius)| distance < radius);
        (recalled, distances.iter().any(|distance| *distance < real_radii[i]))
    });
    let part = |count: usize, of: usize| count as f64 / of as f64;
    Ok(Manifold {
        precision: part(within.iter().filter(|count| **count > 0).count(), within.len()),
        recall: part(near.iter().filter(|(recalled, _)| *recalled).count(), near.len()),
        density: part(within.iter().sum(), nearest * within.len()),
        coverage: part(near.iter().filter(|(_, covered)| *covered).count(), near.len()),
    })
}

/// Rows in double precision, and their squared lengths.
struct Set {
    rows: Vec<f64>,
    dim: usize,
    squares: Vec<f64>,
}

impl Set {
    fn new(rows: &[f32], dim: usize) -> Self {
        let rows: Vec<f64> = rows.iter().map(|value| f64::from(*value)).collect();
        let squares = rows.chunks(dim).map(|row| row.iter().map(|value| value * value).sum()).collect();
        Set { rows, dim, squares }
    }

    fn matrix(&self) -> MatRef<'_, f64> {
        MatRef::from_row_major_slice(&self.rows, self.squares.len(), self.dim)
    }

    /// What `of` makes of each row's number and squared distances to all rows of `others`; of an own row to itself 0.
    fn to_all<R: Send>(&self, others: &Set, of: impl Fn(usize, &[f64]) -> R + Sync) -> Vec<R> {
        let itself = std::ptr::eq(self, others);
        let (own, other) = (self.matrix(), others.matrix());
        let part = |start: usize| {
            let count = ROWS.min(self.squares.len() - start);
            let mut products = Mat::zeros(other.nrows(), count);
            let rows = own.get(start..start + count, ..);
            matmul(products.as_mut(), Accum::Replace, other, rows.transpose(), -2.0, Par::Seq);
            let row = |i: usize| {
                let distance = |j: usize| match itself && start + i == j {
                    true => 0.0,
                    false => (products[(j, i)] + self.squares[start + i] + others.squares[j]).max(0.0),
                };
                of(start + i, &(0..other.nrows()).map(distance).collect::<Vec<f64>>())
            };
            (0..count).map(row).collect::<Vec<R>>()
        };
        let starts: Vec<usize> = (0..self.squares.len()).step_by(ROWS).collect();
        starts.into_par_iter().flat_map_iter(part).collect()
    }

    /// Squared distance of each row to its `nearest`-th neighbour.
    fn radii(&self, nearest: usize) -> Vec<f64> {
        self.to_all(self, |_, distances| {
            let mut distances = distances.to_vec();
            // The row itself is the first.
            *distances.select_nth_unstable_by(nearest, f64::total_cmp).1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a line, k = 1: real 0, 1, 10 have radii 1, 1, 9, fake 0.5 and 30 each 29.5. 0.5 is in the balls of 0 and 1, not of 10
    /// (9.5 > 9); 30 in none. All real ones are nearer than 29.5 to 0.5.
    #[test]
    fn five_numbers_by_hand() {
        let found = manifold(&[0.0, 1.0, 10.0], &[0.5, 30.0], 1, 1).unwrap();
        let expected = Manifold { precision: 0.5, recall: 1.0, density: 1.0, coverage: 2.0 / 3.0 };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_set_lies_among_itself_and_not_among_one_far_away() {
        let near: Vec<f32> = (0..400).map(|i| (i as f32 * 0.7).sin()).collect();
        let far: Vec<f32> = near.iter().map(|value| value + 100.0).collect();
        let itself = manifold(&near, &near, 4, 5).unwrap();
        assert_eq!((itself.precision, itself.recall, itself.coverage), (1.0, 1.0, 1.0));
        let apart = manifold(&near, &far, 4, 5).unwrap();
        assert_eq!(apart, Manifold { precision: 0.0, recall: 0.0, density: 0.0, coverage: 0.0 });
        assert!(manifold(&near[..20], &far, 4, 5).unwrap_err().to_string().contains("5-th nearest of 5 and of 100"));
    }
}
