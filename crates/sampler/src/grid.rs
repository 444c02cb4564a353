//! Time grids: how many evaluations → where.

mod names;
#[cfg(test)]
mod tests;

use crate::{Error, Result, Schedule, step_bound};

/// Where N steps lie between τ = 1 and the end, τ = 0 unless said otherwise.
///
/// A grid is written as it is named: `quadratic`, `power-3`, `edm-7`, `levels 80 5.1 0.5 0.002`, with `-to-0.001`
/// behind it where it ends at τ = 0.001 and `-denoise` behind that where one of the evaluations is spent there on a
/// last step to 0; or as a list of times.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    spacing: Spacing,
    end: f64,
    denoise: bool,
}

/// How points are spread. With k_i = round(T (1 − i/N)), half to even:
#[derive(Debug, Clone, PartialEq)]
enum Spacing {
    /// τ_i = k_i/T.
    Trailing,
    /// diffusers' `leading`: timesteps (N − 1 − i)⌊T/N⌋, so that it starts below τ = 1.
    Leading,
    /// diffusers' `linspace`: timesteps round((T − 1)(N − 1 − i)/(N − 1)).
    Linspace,
    /// τ_i = (k_i/T)^p: finer near the data for p > 1; 2 is `quadratic`. Equal steps in τ^(1/p).
    Power(f64),
    /// Equal steps in λ = −ln ρ. A grid that ends at 0, where λ is infinite, takes them down to τ = 1/T.
    LogSnr,
    /// Equal steps in ρ^(1/p) (Karras et al. 2022, arXiv 2206.00364, equation 5; p = 7). A grid that ends at 0 takes them down
    /// to τ = 1/T, as theirs ends at σ_min.
    Edm(f64),
    /// Equal steps in arctan ρ: the noise levels of a cosine schedule at equal steps of its time (Nichol and Dhariwal 2021,
    /// arXiv 2102.09672, equation 17, without its offset).
    Cosine,
    /// The least bound on the error that errors of σ^p/α in data predictions make (Xue et al. 2024, arXiv 2402.17376;
    /// p = 1 is for pixels, 2 for latents): `step_bound.rs`. A grid that ends at 0 has it down to τ = 1/T.
    Dmn(f64),
    /// These times.
    List(Vec<f64>),
    /// The times of these noise levels ρ, EDM's σ: a list that fits every schedule.
    Levels(Vec<f64>),
}

/// The grids that take no number.
const PLAIN: [(&str, Spacing); 6] = [
    ("trailing", Spacing::Trailing),
    ("leading", Spacing::Leading),
    ("linspace", Spacing::Linspace),
    ("quadratic", Spacing::Power(2.0)),
    ("log-snr", Spacing::LogSnr),
    ("cosine", Spacing::Cosine),
];
/// EDM's exponent.
const EDM: f64 = 7.0;
/// DMN's for pixels.
const DMN: f64 = 1.0;
/// Most steps that DMN's bound is minimised for: a second.
const MOST_DMN: usize = 50;
/// The list that GITS gives for iPNDM with 6 steps on EDM's CIFAR-10 network (Chen et al. 2024, arXiv 2405.11326; the
/// README of `gits-main` in github.com/zju-pi/diff-sampler). The others are searched by its users.
const GITS: [f64; 7] = [80.0, 10.9836, 3.8811, 1.584, 0.5666, 0.1698, 0.002];
/// What a list of noise levels begins with.
const LEVELS: &str = "levels";

impl Grid {
    /// The forms of a grid's name, with P for a number over 0.
    pub const FORMS: [&str; 11] = [
        "trailing",
        "leading",
        "linspace",
        "quadratic",
        "power-P",
        "log-snr",
        "edm",
        "edm-P",
        "cosine",
        "dmn",
        "dmn-P",
    ];
    /// Grids of a given number of steps, besides a list of times: GITS's published list, and noise levels by hand.
    pub const LISTS: [&str; 2] = ["gits", "levels RHO RHO …"];
    /// What may stand behind each of [`FORMS`](Self::FORMS), for an end at τ = TAU before 0: without a last step to 0, and with.
    pub const ENDINGS: [&str; 2] = ["-to-TAU", "-to-TAU-denoise"];

    /// `trailing`.
    pub fn trailing() -> Self {
        Grid { spacing: Spacing::Trailing, end: 0.0, denoise: false }
    }

    /// `quadratic`.
    pub fn quadratic() -> Self {
        Grid { spacing: Spacing::Power(2.0), end: 0.0, denoise: false }
    }

    /// Exactly these times.
    ///
    /// # Errors
    /// Where there are fewer than two, one is outside [0, 1], or they do not descend.
    pub fn list(times: Vec<f64>) -> Result<Self> {
        if times.len() < 2 {
            return Err(Error::Request(format!("a grid of {} times; expected at least 2", times.len())));
        }
        descending("list", &times)?;
        let end = times[times.len() - 1];
        Ok(Grid { spacing: Spacing::List(times), end, denoise: false })
    }

    /// The times of these noise levels ρ = σ/√ᾱ, which are EDM's σ.
    ///
    /// # Errors
    /// Where there are fewer than two, one is no number from 0 up, or they do not descend.
    pub fn levels(levels: Vec<f64>) -> Result<Self> {
        let refuse = |reason: String| Err(Error::Request(format!("a grid of noise levels {reason}")));
        if levels.len() < 2 {
            return refuse(format!("has {}; expected at least 2", levels.len()));
        }
        if let Some(level) = levels.iter().find(|level| !(level.is_finite() && **level >= 0.0)) {
            return refuse(format!("has {level}; expected numbers from 0 up"));
        }
        if let Some(pair) = levels.windows(2).find(|pair| pair[1] >= pair[0]) {
            return refuse(format!("does not descend: {} is followed by {}", pair[0], pair[1]));
        }
        let end = levels[levels.len() - 1];
        Ok(Grid { spacing: Spacing::Levels(levels), end, denoise: false })
    }

    /// Some grids of every kind that can have any number of steps, for tests.
    pub fn examples() -> Vec<Grid> {
        let names = PLAIN.iter().map(|(name, _)| *name).chain(["power-3", "edm", "quadratic-to-0.001"]);
        names.chain(["log-snr-to-0.001-denoise"]).filter_map(|name| name.parse().ok()).collect()
    }

    /// The name in experiment files.
    pub fn name(&self) -> String {
        self.to_string()
    }

    /// The τ that steps lead to; the ρ of a list of noise levels.
    pub fn end(&self) -> f64 {
        self.end
    }

    /// Whether one more evaluation is spent at the end on a step to τ = 0.
    pub fn denoises(&self) -> bool {
        self.denoise
    }

    /// τ_0 > … > τ_N for N = `steps` steps.
    ///
    /// # Errors
    /// Where there are no steps or, but for a list, over T, points would repeat, or a list has another number of them.
    pub fn times(&self, steps: usize, schedule: &Schedule) -> Result<Vec<f64>> {
        let levels = schedule.levels();
        let list = matches!(self.spacing, Spacing::List(_) | Spacing::Levels(_));
        if steps == 0 || steps > levels && !list {
            return Err(Error::Request(format!("nfe is {steps}; expected 1 to {levels}")));
        }
        let times = match &self.spacing {
            Spacing::List(times) | Spacing::Levels(times) if times.len() != steps + 1 => {
                let (there, wanted) = (times.len(), steps + 1);
                return Err(Error::Request(format!("a grid of {there} times; {steps} steps have {wanted}")));
            }
            Spacing::List(times) => times.clone(),
            Spacing::Levels(levels) => levels.iter().map(|&rho| schedule.tau_of_rho(rho)).collect(),
            Spacing::Dmn(_) if steps > MOST_DMN => {
                return Err(Error::Request(format!("grid '{self}' is for up to {MOST_DMN} steps, got {steps}")));
            }
            Spacing::Dmn(power) => self.least_bound(steps, *power, schedule),
            spacing => {
                let mut times: Vec<f64> = (0..steps).map(|i| spacing.time(i, steps, self.end, schedule)).collect();
                times.push(self.end);
                times
            }
        };
        descending(&self.name(), &times)?;
        Ok(times)
    }

    fn least_bound(&self, steps: usize, power: f64, schedule: &Schedule) -> Vec<f64> {
        let lambda = |tau: f64| -schedule.rho(tau).ln();
        let (inner, last) =
            if self.end == 0.0 { (steps - 1, 1.0 / schedule.levels() as f64) } else { (steps, self.end) };
        let mut times = vec![1.0];
        if inner > 0 {
            let lambdas = step_bound::lambdas(lambda(1.0), lambda(last), inner, power);
            times.extend(lambdas[1..inner].iter().map(|lambda| schedule.tau_of_rho((-lambda).exp())));
            times.push(last);
        }
        times.extend((self.end == 0.0).then_some(0.0));
        times
    }
}

impl Spacing {
    /// τ_i, for i below N.
    fn time(&self, i: usize, steps: usize, end: f64, schedule: &Schedule) -> f64 {
        let t = schedule.levels() as f64;
        // Equal steps of g from its value at 1 to that at the end; `last` is the index that has it.
        let equal =
            |g: &dyn Fn(f64) -> f64, last: usize, end: f64| g(1.0) + (g(end) - g(1.0)) * i as f64 / last.max(1) as f64;
        let rounded = (t * (1.0 - i as f64 / steps as f64)).round_ties_even() / t;
        // The end of grids in noise levels that have no 0: one step before it.
        let (last, floor) = if end == 0.0 { (steps - 1, 1.0 / t) } else { (steps, end) };
        match self {
            _ if i == 0 && !matches!(self, Spacing::Leading) => 1.0,
            Spacing::Trailing if end == 0.0 => rounded,
            Spacing::Trailing => equal(&|tau| tau, steps, end),
            Spacing::Power(p) if end == 0.0 => power(rounded, *p),
            Spacing::Power(p) => equal(&|tau| tau.powf(1.0 / p), steps, end).powf(*p),
            Spacing::Leading => {
                let tau = ((steps - 1 - i) as f64 * (t / steps as f64).floor() + 1.0) / t;
                end + (1.0 - end) * tau
            }
            Spacing::Linspace => {
                let timestep = (t - 1.0) * (steps - 1 - i) as f64 / (steps - 1) as f64;
                end + (1.0 - end) * (timestep.round_ties_even() + 1.0) / t
            }
            Spacing::LogSnr => schedule.tau_of_rho(equal(&|tau| schedule.rho(tau).ln(), last, floor).exp()),
            Spacing::Edm(p) => schedule.tau_of_rho(equal(&|tau| schedule.rho(tau).powf(1.0 / p), last, floor).powf(*p)),
            Spacing::Cosine => schedule.tau_of_rho(equal(&|tau| schedule.rho(tau).atan(), steps, end).tan()),
            // Lists and minimised bounds are made as a whole.
            Spacing::List(times) | Spacing::Levels(times) => times[i],
            Spacing::Dmn(_) => f64::NAN,
        }
    }
}

/// τ^p; for whole p by multiplication, whose digits are the same everywhere.
fn power(tau: f64, p: f64) -> f64 {
    if p.fract() == 0.0 { tau.powi(p as i32) } else { tau.powf(p) }
}

/// Peers that accept repeated times return NaN.
fn descending(name: &str, times: &[f64]) -> Result<()> {
    if let Some(time) = times.iter().find(|time| !(0.0..=1.0).contains(*time)) {
        return Err(Error::Request(format!("grid '{name}': time {time} is outside [0, 1]")));
    }
    match times.windows(2).find(|pair| pair[1] >= pair[0]) {
        None => Ok(()),
        Some(pair) => Err(Error::Request(format!(
            "grid '{name}' does not descend: {} is followed by {}, with {} steps",
            pair[0],
            pair[1],
            times.len() - 1
        ))),
    }
}
