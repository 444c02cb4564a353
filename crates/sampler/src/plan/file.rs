//! Plan files: a plan as numbers that any program can read and write (docs/plan-format.md).

use std::{fs::File, io::Read, path::Path};

use super::Step;
use crate::{Error, Result, Threshold};

/// [`PlanFile`]'s mark.
pub(super) const FORMAT: &str = "fewstep-plan";
/// The version that is read and written.
pub(super) const VERSION: usize = 1;
/// No plan file is larger.
const MAX_BYTES: u64 = 16 << 20;

/// A plan as its file has it, in its file's variable. What [`PlanFile::parse`] gives and [`PlanFile::check`] passes is whole:
/// all lengths fit, levels fall, and every step uses what is there.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanFile {
    /// What it is called in tables.
    pub method: String,
    /// The order in its name; 0 where there is none.
    pub order: usize,
    /// The grid's name, in words; may be empty.
    pub grid: String,
    /// What is done to data predictions.
    pub threshold: Threshold,
    /// The variable, and the levels of the states.
    pub levels: Levels,
    /// Factor of x_T (noise of variance 1) that is the first state, in this variable; none for what [`PlanFile::usual_start`] says.
    pub start: Option<f64>,
    /// N steps, in this variable.
    pub steps: Vec<Step>,
    /// Where it comes from: a JSON object, as text. Kept, and otherwise ignored.
    pub provenance: Option<String>,
}

/// What the states of a plan are, and the N + 1 noise levels of theirs, the last one the end.
#[derive(Debug, Clone, PartialEq)]
pub enum Levels {
    /// x, the variance-preserving state.
    X {
        /// One of [`Schedule::NAMES`](crate::Schedule::NAMES).
        schedule: String,
        /// Times.
        tau: Vec<f64>,
    },
    /// y = x/√ᾱ, which no schedule can contradict.
    Y {
        /// Noise levels ρ = σ/√ᾱ, EDM's σ.
        sigma: Vec<f64>,
    },
}

impl Levels {
    /// `x` or `y`.
    pub fn variable(&self) -> &'static str {
        match self {
            Levels::X { .. } => "x",
            Levels::Y { .. } => "y",
        }
    }

    /// The levels' name in the file.
    pub fn name(&self) -> &'static str {
        match self {
            Levels::X { .. } => "tau",
            Levels::Y { .. } => "sigma",
        }
    }

    /// The levels.
    pub fn values(&self) -> &[f64] {
        match self {
            Levels::X { tau, .. } => tau,
            Levels::Y { sigma } => sigma,
        }
    }
}

impl PlanFile {
    /// Reads a file.
    ///
    /// # Errors
    /// Naming the file, and the field or line with what was expected there.
    pub fn read(path: &Path) -> Result<Self> {
        let invalid = |reason: String| Error::File { path: path.to_owned(), reason };
        let too_long = |length: u64| invalid(format!("{length} bytes are no plan; expected at most {MAX_BYTES}"));
        let file = File::open(path).map_err(|error| invalid(error.to_string()))?;
        let length = file.metadata().map_err(|error| invalid(error.to_string()))?.len();
        if length > MAX_BYTES {
            return Err(too_long(length));
        }
        // What has no length of its own, as a device, is read no further either.
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| invalid(error.to_string()))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(too_long(bytes.len() as u64));
        }
        let text = String::from_utf8(bytes).map_err(|_| invalid("no UTF-8 text; expected a JSON object".into()))?;
        PlanFile::parse(&text).map_err(|error| invalid(error.to_string()))
    }

    /// Number of network evaluations: of steps without an analytic prediction.
    pub fn nfe(&self) -> usize {
        self.steps.iter().filter(|step| step.afs.is_none()).count()
    }

    /// The factor of x_T that a state of this variable has where nothing is said: 1, or in y √(1 + σ_0²), which is the same state.
    pub fn usual_start(&self) -> f64 {
        match &self.levels {
            Levels::X { .. } => 1.0,
            Levels::Y { sigma } => sigma.first().map_or(1.0, |sigma| (1.0 + sigma * sigma).sqrt()),
        }
    }
}
