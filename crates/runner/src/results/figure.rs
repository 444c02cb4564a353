//! A figure that differs between two folders of results, and whether that says anything.

use std::fmt;

use super::{folder::Folder, metric::Metric, series::Difference};

/// A figure that two folders have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Which cell.
    pub cell: String,
    /// Which figure of it.
    pub metric: &'static str,
    /// What the two folders have.
    pub values: (f64, f64),
    /// Their difference, image by image; none where the images' own figures are not known.
    pub difference: Option<Difference>,
    /// No difference up to this says anything, however little the images disagree in it.
    pub floor: f64,
}

/// The count of evaluations, of which nothing is noise.
pub const SPENT: &str = "nfe_measured";

/// What a difference says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing: no arithmetic of this precision tells the two apart, or neither does the solution that both are measured from. Images are
    /// paired, so that even this is significant where it is systematic.
    Rounding,
    /// What other images would change.
    Noise,
    /// More than rounding, of a figure whose noise is not known.
    Unknown,
    /// A finding.
    Beyond,
}

/// Single precision's, of what is computed in several steps of it: of a figure as a part of it, and of a distance in pixels of [−1, 1].
const ROUNDING: f64 = 8.0 * f32::EPSILON as f64;
/// The last of the four digits that tables show: a figure whose noise is not known is worth a look from there.
const SHOWN: f64 = 1e-4;

impl Figure {
    /// As a part of the larger.
    pub fn relative(&self) -> f64 {
        let (a, b) = self.values;
        (a - b).abs() / a.abs().max(b.abs())
    }

    /// What its difference says.
    pub fn meaning(&self) -> Meaning {
        let (a, b) = self.values;
        if self.metric == SPENT {
            return Meaning::Beyond;
        }
        let rounding = self.floor.max(ROUNDING * a.abs().max(b.abs()));
        match &self.difference {
            _ if (a - b).abs() <= rounding => Meaning::Rounding,
            None => Meaning::Unknown,
            Some(difference) if difference.is_beyond(rounding) => Meaning::Beyond,
            Some(_) => Meaning::Noise,
        }
    }

    /// Whether it is worth a look.
    pub fn is_listed(&self) -> bool {
        match self.meaning() {
            Meaning::Beyond => true,
            Meaning::Unknown => self.relative() >= SHOWN,
            Meaning::Rounding | Meaning::Noise => false,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (a, b) = self.values;
        let relative = (a - b) / b.abs().max(f64::MIN_POSITIVE);
        let noise = if self.meaning() == Meaning::Unknown { "noise not known" } else { "beyond the noise" };
        write!(f, "{}: {} {a} against {b} ({relative:+.1e} relative; {noise})", self.cell, self.metric)
    }
}

/// What a distance to the solution is uncertain by: the larger of the two folders' solutions' own errors, below which the tables say
/// that nothing counts, and single precision where the solution has a formula.
pub fn floor(first: &Folder, second: &Folder, metric: Metric) -> f64 {
    let solutions = first.records.iter().chain(&second.records).filter(|record| record.is_solution());
    solutions.filter_map(|record| record.metric(metric)).fold(ROUNDING, f64::max)
}
