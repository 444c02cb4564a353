//! Time grids: how many evaluations → where.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How N steps are spread over [0, 1]. With k_i = round(T (1 − i/N)), half to even:
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grid {
    /// τ_i = k_i/T.
    Trailing,
    /// τ_i = (k_i/T)²: finer near the data.
    Quadratic,
}

impl Grid {
    /// All grids.
    pub const ALL: [Grid; 2] = [Grid::Trailing, Grid::Quadratic];

    /// The name in experiment files.
    pub fn name(self) -> &'static str {
        match self {
            Grid::Trailing => "trailing",
            Grid::Quadratic => "quadratic",
        }
    }

    /// τ_0 = 1 > … > τ_N = 0 for N = `nfe` steps of a schedule with T = `levels`.
    ///
    /// # Errors
    /// Where `nfe` is 0, or over T, which would repeat points.
    pub fn times(self, nfe: usize, levels: usize) -> Result<Vec<f64>> {
        if nfe == 0 || nfe > levels {
            return Err(Error::Request(format!("nfe is {nfe}; expected 1 to {levels}")));
        }
        let k = |i: usize| (levels as f64 * (1.0 - i as f64 / nfe as f64)).round_ties_even();
        let linear = (0..=nfe).map(|i| k(i) / levels as f64);
        Ok(match self {
            Grid::Trailing => linear.collect(),
            Grid::Quadratic => linear.map(|tau| tau * tau).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_descend_from_one_to_zero() {
        for grid in Grid::ALL {
            for nfe in [1, 2, 3, 7, 10, 50, 333, 1000] {
                let times = grid.times(nfe, 1000).unwrap();
                assert_eq!((times.len(), times[0], times[nfe]), (nfe + 1, 1.0, 0.0));
                assert!(times.windows(2).all(|pair| pair[0] > pair[1]));
            }
            assert!(grid.times(0, 1000).is_err() && grid.times(1001, 1000).is_err());
        }
    }

    #[test]
    fn halves_round_to_even() {
        // 1000 · (1 − 1/16) = 937.5 and 1000 · (1 − 3/16) = 812.5.
        let times = Grid::Trailing.times(16, 1000).unwrap();
        assert_eq!((times[1], times[3]), (0.938, 0.812));
    }
}
