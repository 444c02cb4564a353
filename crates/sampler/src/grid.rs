//! Time grids: how many evaluations → where.

use std::{fmt, str::FromStr};

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

/// What may be written.
fn expected() -> String {
    let (forms, endings) = (Grid::FORMS.join(", "), Grid::ENDINGS.join(" or "));
    format!("{forms}, with {endings} behind it for an end before 0, {}, or a list of times", Grid::LISTS.join(", "))
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |times: &[f64]| times.iter().map(f64::to_string).collect::<Vec<String>>().join(" ");
        match &self.spacing {
            Spacing::List(times) => return f.write_str(&join(times)),
            Spacing::Levels(levels) if levels == &GITS => return f.write_str("gits"),
            Spacing::Levels(levels) => return write!(f, "{LEVELS} {}", join(levels)),
            Spacing::Dmn(p) if *p != DMN => write!(f, "dmn-{p}")?,
            Spacing::Dmn(_) => f.write_str("dmn")?,
            Spacing::Power(p) if *p != 2.0 => write!(f, "power-{p}")?,
            Spacing::Edm(p) if *p != EDM => write!(f, "edm-{p}")?,
            Spacing::Edm(_) => f.write_str("edm")?,
            plain => {
                let known = PLAIN.iter().find(|(_, spacing)| spacing == plain);
                f.write_str(known.map_or("", |(name, _)| name))?;
            }
        }
        if self.end > 0.0 {
            write!(f, "-to-{}", self.end)?;
        }
        f.write_str(if self.denoise { "-denoise" } else { "" })
    }
}

impl FromStr for Grid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |reason: &str| Error::Request(format!("no grid '{text}'{reason}; expected {}", expected()));
        let numbers = |text: &str| text.split([' ', ',']).filter(|part| !part.is_empty()).map(str::parse).collect();
        if let Ok(times) = numbers(text) {
            return Grid::list(times);
        }
        if text == "gits" {
            return Grid::levels(GITS.to_vec());
        }
        if let Some(Ok(levels)) = text.strip_prefix(LEVELS).map(numbers) {
            return Grid::levels(levels);
        }
        let (rest, denoise) = text.strip_suffix("-denoise").map_or((text, false), |rest| (rest, true));
        let (name, end) = rest.split_once("-to-").map_or((rest, None), |(name, end)| (name, Some(end)));
        let end = match end.map(str::parse::<f64>) {
            None if denoise => return Err(refuse(": a last step to 0 needs an end before it")),
            None => 0.0,
            Some(Ok(end)) if end > 0.0 && end < 1.0 => end,
            Some(_) => return Err(refuse(": the end is no time between 0 and 1")),
        };
        let number = |text: &str| text.parse::<f64>().ok().filter(|p| *p > 0.0 && *p <= 100.0);
        let plain = PLAIN.into_iter().find(|(known, _)| *known == name).map(|(_, spacing)| spacing);
        let spacing = plain
            .or_else(|| (name == "edm").then_some(Spacing::Edm(EDM)))
            .or_else(|| (name == "dmn").then_some(Spacing::Dmn(DMN)))
            .or_else(|| name.strip_prefix("dmn-").and_then(number).map(Spacing::Dmn))
            .or_else(|| name.strip_prefix("edm-").and_then(number).map(Spacing::Edm))
            .or_else(|| name.strip_prefix("power-").and_then(number).map(Spacing::Power))
            .ok_or_else(|| refuse(""))?;
        Ok(Grid { spacing, end, denoise })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_descend_from_one_to_their_end_and_keep_their_names() {
        for schedule in Schedule::examples() {
            for grid in Grid::examples() {
                assert_eq!(grid.name().parse::<Grid>().unwrap(), grid);
                for steps in [1, 2, 3, 7, 10, 50, 333] {
                    let times = grid.times(steps, &schedule).unwrap();
                    assert_eq!((times.len(), times[steps]), (steps + 1, grid.end()), "{grid}");
                    assert!(times[0] == 1.0 || grid.name() == "leading");
                }
                assert!(grid.times(0, &schedule).is_err() && grid.times(1001, &schedule).is_err());
            }
        }
    }

    #[test]
    fn every_form_with_every_ending_is_read_and_every_plain_name_is_a_form() {
        for form in Grid::FORMS {
            for ending in ["", Grid::ENDINGS[0], Grid::ENDINGS[1]] {
                let name = format!("{form}{ending}").replace("-P", "-3").replace("TAU", "0.01");
                assert_eq!(name.parse::<Grid>().unwrap().name(), name);
            }
        }
        assert!(PLAIN.iter().all(|(name, _)| Grid::FORMS.contains(name)));
    }

    #[test]
    fn halves_round_to_even() {
        // 1000 · (1 − 1/16) = 937.5 and 1000 · (1 − 3/16) = 812.5.
        let times = Grid::trailing().times(16, &Schedule::linear()).unwrap();
        assert_eq!((times[1], times[3]), (0.938, 0.812));
    }

    /// diffusers 0.42.1, DDIMScheduler(timestep_spacing=…).set_timesteps(6): timesteps, which are τT − 1.
    #[test]
    fn spacings_are_those_of_diffusers() {
        let timesteps = |name: &str| -> Vec<f64> {
            let times = name.parse::<Grid>().unwrap().times(6, &Schedule::linear()).unwrap();
            times[..6].iter().map(|tau| (tau * 1000.0 - 1.0).round()).collect()
        };
        assert_eq!(timesteps("leading"), [830.0, 664.0, 498.0, 332.0, 166.0, 0.0]);
        assert_eq!(timesteps("linspace"), [999.0, 799.0, 599.0, 400.0, 200.0, 0.0]);
        assert_eq!(timesteps("trailing"), [999.0, 832.0, 666.0, 499.0, 332.0, 166.0]);
    }

    #[test]
    fn grids_in_noise_levels_are_even_there() {
        let schedule = Schedule::linear();
        let even = |name: &str, level: &dyn Fn(f64) -> f64, points: usize| {
            let times = name.parse::<Grid>().unwrap().times(8, &schedule).unwrap();
            let levels: Vec<f64> = times[..points].iter().map(|&tau| level(schedule.rho(tau))).collect();
            let step = (levels[points - 1] - levels[0]) / (points - 1) as f64;
            for pair in levels.windows(2) {
                assert!(((pair[1] - pair[0]) / step - 1.0).abs() < 1e-13, "{name}: {levels:?}");
            }
        };
        even("log-snr", &f64::ln, 8);
        even("log-snr-to-0.01", &f64::ln, 9);
        even("edm", &|rho| rho.powf(1.0 / 7.0), 8);
        even("edm-1-to-0.1", &|rho| rho, 9);
        even("cosine", &f64::atan, 9);
    }

    /// `StepOptim.get_ts_lambdas(N, 1e-3, "unif")` of github.com/scxue/DM-NonUniform, with its `truncNum` at N and p as
    /// given, for its linear schedule: λ and t to what SciPy's `trust-constr` leaves.
    #[test]
    fn dmn_is_the_authors_list_where_errors_of_steps_do_not_cancel() {
        let schedule = Schedule::named("continuous", 32).unwrap();
        for (name, expected) in [
            ("dmn-to-0.001", vec![1.0, 0.486246, 0.210409, 0.001]),
            ("dmn-to-0.001", vec![1.0, 0.649656, 0.486673, 0.291522, 0.072505, 0.001]),
            (
                "dmn-to-0.001",
                vec![
                    1.0, 0.767443, 0.640507, 0.525532, 0.406009, 0.288967, 0.184755, 0.115206, 0.065365, 0.024961,
                    0.001,
                ],
            ),
            ("dmn-2-to-0.001", vec![1.0, 0.711859, 0.552408, 0.411819, 0.252727, 0.079987, 0.001]),
        ] {
            let times = name.parse::<Grid>().unwrap().times(expected.len() - 1, &schedule).unwrap();
            for (time, expected) in times.iter().zip(&expected) {
                assert!((time - expected).abs() < 2e-6, "{name}: {times:?} {expected}");
            }
        }
    }

    #[test]
    fn dmn_makes_grids_of_up_to_50_steps_on_every_schedule() {
        for schedule in Schedule::examples() {
            for name in ["dmn", "dmn-2", "dmn-to-0.001", "dmn-to-0.01-denoise"] {
                let grid: Grid = name.parse().unwrap();
                assert_eq!(grid.name(), name);
                for steps in [1, 2, 3, 5, 20] {
                    let times = grid.times(steps, &schedule).unwrap();
                    assert_eq!((times[0], times[steps], times.len()), (1.0, grid.end(), steps + 1), "{name}");
                }
            }
        }
        let dmn = Grid { spacing: Spacing::Dmn(1.0), end: 0.0, denoise: false };
        assert!(dmn.times(50, &Schedule::linear()).is_ok());
        assert!(dmn.times(51, &Schedule::linear()).unwrap_err().to_string().contains("up to 50 steps, got 51"));
    }

    /// GITS's list and levels by hand are the same levels on every schedule that reaches them.
    #[test]
    fn lists_of_noise_levels_have_those_levels() {
        let grid: Grid = "gits".parse().unwrap();
        assert_eq!((grid.name().as_str(), grid.end()), ("gits", 0.002));
        assert_eq!("levels 80, 10.9836,3.8811 1.584 0.5666 0.1698 0.002".parse::<Grid>().unwrap(), grid);
        for schedule in [Schedule::linear(), Schedule::named("continuous", 32).unwrap(), Schedule::cosine()] {
            for (tau, level) in grid.times(6, &schedule).unwrap().iter().zip(GITS) {
                assert!((schedule.rho(*tau) / level - 1.0).abs() < 1e-9, "{tau} {level}");
            }
        }
        let own: Grid = "levels 20 1 0".parse().unwrap();
        assert_eq!(own.name().parse::<Grid>().unwrap(), own);
        assert_eq!(own.times(2, &Schedule::linear()).unwrap()[2], 0.0);
        let message = |text: &str| text.parse::<Grid>().unwrap_err().to_string();
        assert!(message("levels 1 2").contains("noise levels does not descend: 1 is followed by 2"));
        assert!(message("levels 1 nan").contains("has NaN; expected numbers from 0 up"));
        assert!(message("levels 1").contains("at least 2"));
        assert!(message("levels 1 x").contains("no grid 'levels 1 x'"));
        let low = grid.times(6, &Schedule::scaled_linear()).unwrap_err().to_string();
        assert!(low.contains("outside [0, 1]"), "{low}");
        assert!(grid.times(5, &Schedule::linear()).unwrap_err().to_string().contains("5 steps have 6"));
    }

    #[test]
    fn what_does_not_descend_is_refused() {
        let message = |text: &str| text.parse::<Grid>().unwrap_err().to_string();
        assert!(message("1 0.5 0.5 0").contains("0.5 is followed by 0.5"));
        assert!(message("1,0.2,0.5").contains("0.2 is followed by 0.5"));
        assert!(message("1 -0.5").contains("outside [0, 1]"));
        assert!(message("1").contains("at least 2"));
        assert!(message("cubic").contains("no grid 'cubic'"));
        assert!(message("quadratic-denoise").contains("needs an end"));
        assert!(message("quadratic-to-2").contains("no time between"));
        let list: Grid = "1 0.5 0".parse().unwrap();
        assert!(list.times(5, &Schedule::linear()).unwrap_err().to_string().contains("5 steps have 6"));
        // A power so high that the first times are equal after rounding to T levels does not exist: points stay apart; too
        // many steps for a leading grid, however, repeat none either. A list is where repeats come from.
        assert_eq!(list.times(2, &Schedule::linear()).unwrap(), [1.0, 0.5, 0.0]);
    }
}
