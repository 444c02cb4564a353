//! The normaliser r(τ): mean over pixels and images of |ε(x_τ, τ)|.

use std::{fmt::Write, fs::File, io::Read, path::Path};

use pytorch_reader::{DType, PytorchReader};

use crate::{Error, Result, schedule::partition_near};

/// Two neighbouring times further apart than this leave a gap that interpolation would invent.
const MAX_GAP: f64 = 0.05;
/// No normaliser file is larger.
const MAX_BYTES: u64 = 64 << 20;
/// First line of the files that [`Normaliser::to_csv`] writes, after any comments.
const COLUMNS: &str = "tau,mean_abs_eps";
/// Behind them, where it is known.
const ERROR: &str = ",error";

/// A curve r(τ), linear between its points, constant below entry `clip` and above the last.
#[derive(Debug, Clone, PartialEq)]
pub struct Normaliser {
    tau: Vec<f64>,
    r: Vec<f64>,
    /// Standard errors of r over images; none where they are not known.
    errors: Vec<f64>,
    clip: usize,
}

impl Normaliser {
    /// A curve through (τ, r), τ ascending in (0, 1].
    ///
    /// # Errors
    /// Where the curve has fewer than two points, does not ascend, leaves a gap, does not reach τ = 1, or holds a
    /// value that is not positive.
    pub fn new(tau: Vec<f64>, r: Vec<f64>) -> Result<Self> {
        let refuse = |reason: String| Err(Error::Request(reason));
        if tau.len() != r.len() || tau.len() < 2 {
            return refuse(format!(
                "a normaliser needs at least 2 points, got {} times and {} values",
                tau.len(),
                r.len()
            ));
        }
        if let Some(k) = r.iter().position(|value| !(value.is_finite() && *value > 0.0)) {
            return refuse(format!("mean_abs_eps at tau = {} is {}; expected a positive number", tau[k], r[k]));
        }
        if let Some(value) = tau.iter().find(|value| !(**value > 0.0 && **value <= 1.0 + 1e-6)) {
            return refuse(format!("tau = {value} is outside (0, 1]"));
        }
        if let Some(pair) = tau.windows(2).find(|pair| pair[1] <= pair[0]) {
            return refuse(format!("tau does not ascend: {} is followed by {}", pair[0], pair[1]));
        }
        let edges = [0.0].into_iter().chain(tau.iter().copied());
        if let Some((low, high)) = edges.zip(&tau).find(|(low, high)| **high - low > MAX_GAP) {
            return refuse(format!("no point between tau = {low} and {high}; expected gaps of at most {MAX_GAP}"));
        }
        if tau.last().is_some_and(|&last| (last - 1.0).abs() > 1e-3) {
            return refuse(format!("the last tau is {}; expected 1", tau[tau.len() - 1]));
        }
        Ok(Normaliser { tau, r, errors: Vec::new(), clip: 0 })
    }

    /// Holds r constant below entry `clip` (0-based), as the authors do: 5 on CIFAR-10, 1 on LSUN-Church.
    ///
    /// # Errors
    /// Where there is no such entry.
    pub fn with_clip(mut self, clip: usize) -> Result<Self> {
        if clip >= self.tau.len() {
            return Err(Error::Request(format!("clip is {clip}, but the normaliser has {} entries", self.tau.len())));
        }
        self.clip = clip;
        Ok(self)
    }

    /// With standard errors of r over the images that it is a mean of.
    ///
    /// # Errors
    /// Where they are not as many as values, or one is negative or not finite.
    pub fn with_errors(mut self, errors: Vec<f64>) -> Result<Self> {
        if errors.len() != self.r.len() {
            return Err(Error::Request(format!("{} errors of {} values", errors.len(), self.r.len())));
        }
        if let Some(error) = errors.iter().find(|error| !error.is_finite() || **error < 0.0) {
            return Err(Error::Request(format!("a standard error is {error}")));
        }
        self.errors = errors;
        Ok(self)
    }

    /// Reads `tau,mean_abs_eps` or `tau,mean_abs_eps,error` CSV (lines that start with `#` are comments), or the authors' `.pt` with
    /// `score_abs` and `Ls` (|s| and σ from τ = 1 down to 1/T; r = σ|s|).
    ///
    /// # Errors
    /// Naming the file and the line or tensor.
    pub fn read(path: &Path) -> Result<Self> {
        let invalid = |reason: String| Error::File { path: path.to_owned(), reason };
        let length = path.metadata().map_err(|error| invalid(error.to_string()))?.len();
        if length > MAX_BYTES {
            return Err(invalid(format!("{length} bytes are no normaliser (about 20 KB)")));
        }
        let archive = path.extension().is_some_and(|ending| ending == "pt" || ending == "pth");
        let (tau, r, errors) = if archive { read_pt(path) } else { read_csv(path) }.map_err(invalid)?;
        let curve = Normaliser::new(tau, r);
        let known = |curve: Self| if errors.is_empty() { Ok(curve) } else { curve.with_errors(errors) };
        curve.and_then(known).map_err(|error| invalid(error.to_string()))
    }

    /// The curve as CSV, with `comments` in front.
    pub fn to_csv(&self, comments: &[String]) -> String {
        let mut text = String::new();
        comments.iter().for_each(|line| text.extend(["# ", line.as_str(), "\n"]));
        text.extend([COLUMNS, if self.errors.is_empty() { "" } else { ERROR }, "\n"]);
        for (i, (tau, r)) in self.tau.iter().zip(&self.r).enumerate() {
            let error = self.errors.get(i).map_or(String::new(), |error| format!(",{error}"));
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{tau},{r}{error}");
        }
        text
    }

    /// The times, ascending.
    pub fn tau(&self) -> &[f64] {
        &self.tau
    }

    /// The values at [`tau`](Self::tau).
    pub fn values(&self) -> &[f64] {
        &self.r
    }

    /// Their standard errors over images; none where they are not known.
    pub fn errors(&self) -> &[f64] {
        &self.errors
    }

    /// r(τ), clipped.
    pub fn at(&self, tau: f64) -> f64 {
        // Most curves are measured at even times.
        let guess = (tau * self.tau.len() as f64) as usize;
        let next = partition_near(&self.tau, guess, |point| point < tau);
        if next <= self.clip {
            return self.r[self.clip];
        }
        if next == self.tau.len() {
            return self.r[next - 1];
        }
        let fraction = (tau - self.tau[next - 1]) / (self.tau[next] - self.tau[next - 1]);
        self.r[next - 1] + fraction * (self.r[next] - self.r[next - 1])
    }

    /// The authors' lookup: measured at τ = k/T, read as if at (k − 1)/(T − 1), the first `clip` entries replaced.
    ///
    /// # Errors
    /// Where the points are not evenly spaced at k/T.
    pub(crate) fn authors_table(&self) -> Result<AuthorsTable> {
        let count = self.tau.len();
        let even = |k: usize| (self.tau[k] * count as f64 - (k + 1) as f64).abs() < 1e-3;
        if let Some(k) = (0..count).find(|&k| !even(k)) {
            return Err(Error::Request(format!(
                "reference coefficients need a normaliser measured at tau = k/{count}; entry {k} is at tau = {}",
                self.tau[k]
            )));
        }
        Ok(AuthorsTable((0..count).map(|k| self.r[k.max(self.clip)]).collect()))
    }
}

/// r as the authors' code looks it up.
pub(crate) struct AuthorsTable(Vec<f64>);

impl AuthorsTable {
    pub(crate) fn at(&self, tau: f64) -> f64 {
        let last = self.0.len() - 1;
        let position = tau.clamp(0.0, 1.0) * last as f64;
        let k = (position as usize).min(last - 1);
        self.0[k] + (position - k as f64) * (self.0[k + 1] - self.0[k])
    }
}

/// Times, values, and their errors where they are known.
type Curve = std::result::Result<(Vec<f64>, Vec<f64>, Vec<f64>), String>;

fn read_csv(path: &Path) -> Curve {
    // What has no length of its own, as a device, is read no further than a file.
    let file = File::open(path).map_err(text)?.take(MAX_BYTES);
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).trim(csv::Trim::All).from_reader(file);
    let headers = reader.headers().map_err(text)?;
    let found = headers.iter().collect::<Vec<_>>().join(",");
    let rest = found.strip_prefix(COLUMNS).filter(|rest| rest.is_empty() || *rest == ERROR);
    let Some(rest) = rest else {
        return Err(format!("columns are '{found}'; expected '{COLUMNS}' or '{COLUMNS}{ERROR}'"));
    };
    let mut curve = (Vec::new(), Vec::new(), Vec::new());
    for record in reader.records() {
        let record = record.map_err(text)?;
        let line = record.position().map_or(0, csv::Position::line);
        let number = |column: usize| {
            record[column].parse::<f64>().map_err(|_| format!("line {line}: '{}' is not a number", &record[column]))
        };
        curve.0.push(number(0)?);
        curve.1.push(number(1)?);
        if !rest.is_empty() {
            curve.2.push(number(2)?);
        }
    }
    Ok(curve)
}

/// Pickles are parsed, never executed.
fn read_pt(path: &Path) -> Curve {
    fewstep_pickle::examine(path)?;
    let length = path.metadata().map_err(text)?.len();
    let reader = PytorchReader::new(path).map_err(text)?;
    let tensor = |key: &str| {
        let tensor = reader.get(key).ok_or_else(|| format!("no tensor '{key}'; expected 'score_abs' and 'Ls'"))?;
        if tensor.dtype() != DType::F32 || tensor.shape().len() != 1 {
            return Err(format!("tensor '{key}' is {:?} {:?}; expected F32 [T]", tensor.dtype(), tensor.shape()));
        }
        // A view may repeat one number as often as it likes.
        if tensor.byte_len() as u64 > length {
            return Err(format!("tensor '{key}' has {} bytes in a file of {length}", tensor.byte_len()));
        }
        let bytes = tensor.read().map_err(text)?;
        Ok(bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect::<Vec<_>>())
    };
    let (score, sigma) = (tensor("score_abs")?, tensor("Ls")?);
    if score.len() != sigma.len() {
        return Err(format!("'score_abs' has {} values and 'Ls' {}", score.len(), sigma.len()));
    }
    let count = score.len();
    let tau = (1..=count).map(|k| k as f64 / count as f64).collect();
    Ok((tau, score.iter().zip(&sigma).rev().map(|(score, sigma)| score * sigma).collect(), Vec::new()))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
