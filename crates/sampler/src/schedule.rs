//! Noise schedules: τ → ᾱ.

/// A variance-preserving schedule.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// ᾱ(k/T) = Π_{s≤k} (1 − β_s), linear in between; holds ᾱ(0) = 1, ᾱ(1/T), …, ᾱ(1).
    Discrete(Vec<f64>),
    /// ᾱ(τ) = exp(−β_min τ − ½ (β_max − β_min) τ²) (Song et al., arXiv 2011.13456, equation 33): smooth in τ.
    Continuous {
        /// Rate at τ = 0.
        beta_min: f64,
        /// Rate at τ = 1.
        beta_max: f64,
    },
    /// ρ(τ) = tan(θτ)/shift with ρ(1) = e^7.5/shift (Hoogeboom et al. 2023, "simple diffusion", arXiv 2301.11093, section 3.1:
    /// log-SNR −2 ln tan(πτ/2) + 2 ln shift, cut off at −15 + 2 ln shift). Their shift for images of side d is 64/d.
    ShiftedCosine {
        /// 1 for images of 64×64.
        shift: f64,
    },
    /// EDM's noise levels (Karras et al. 2022, arXiv 2206.00364, table 1: σ_max = 80, σ_min = 0.002) on the time that the field's
    /// time-uniform grids are even in: ln(1 + ρ²) = β_min τ + ½ β_d τ² with ρ(1) = σ_max and ρ(1/T) = σ_min. Below 1/T, where that
    /// would not be positive (β_min = −0.0048), ρ is proportional to τ.
    Edm,
}

/// EDM's greatest and least noise level.
const EDM_LEVELS: [f64; 2] = [80.0, 0.002];

/// β_min and β_d of [`Schedule::Edm`] (arXiv 2206.00364, appendix C.3, with ε_s = 1/T).
fn edm_rates() -> [f64; 2] {
    let [high, low] = EDM_LEVELS.map(|rho| (rho * rho).ln_1p());
    let end = 1.0 / T as f64;
    let beta_d = 2.0 * (high - low / end) / (1.0 - end);
    [high - 0.5 * beta_d, beta_d]
}

/// Steps of the discrete schedule; the continuous one is cut into as many pieces for integration.
const T: usize = 1000;

/// θ of the cosine schedule: ρ(1) = tan θ = e^7.5, half of simple diffusion's least log-SNR of −15.
fn last_angle() -> f64 {
    7.5f64.exp().atan()
}

impl Schedule {
    /// The names that [`Schedule::named`] knows.
    pub const NAMES: [&str; 6] = ["linear", "scaled-linear", "cosine", "simple-diffusion", "continuous", "edm"];

    /// The schedule of DDPM (Ho et al., arXiv 2006.11239): T = 1000, β linear from 1e-4 to 0.02.
    pub fn linear() -> Self {
        Schedule::of_beta(|s| 1e-4 + (0.02 - 1e-4) * s as f64 / (T - 1) as f64)
    }

    /// The schedule of latent diffusion (Rombach et al., arXiv 2112.10752): √β linear from √8.5e-4 to √0.012.
    pub fn scaled_linear() -> Self {
        let (first, last) = (8.5e-4f64.sqrt(), 0.012f64.sqrt());
        Schedule::of_beta(|s| (first + (last - first) * s as f64 / (T - 1) as f64).powi(2))
    }

    /// The schedule of improved diffusion (Nichol and Dhariwal, arXiv 2102.09672, equation 17): ᾱ by the squared cosine with
    /// offset 0.008, β at most 0.999.
    pub fn cosine() -> Self {
        let f = |s: usize| ((s as f64 / T as f64 + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2);
        Schedule::of_beta(|s| (1.0 - f(s + 1) / f(s)).min(0.999))
    }

    /// One of [`Schedule::NAMES`]; `size` is the images' side, for simple diffusion's shift. `continuous` is Song et al.'s
    /// variance-preserving process with rates 0.1 and 20.
    pub fn named(name: &str, size: usize) -> Option<Self> {
        match name {
            "linear" => Some(Schedule::linear()),
            "scaled-linear" => Some(Schedule::scaled_linear()),
            "cosine" => Some(Schedule::cosine()),
            "simple-diffusion" => Some(Schedule::ShiftedCosine { shift: 64.0 / size as f64 }),
            "continuous" => Some(Schedule::Continuous { beta_min: 0.1, beta_max: 20.0 }),
            "edm" => Some(Schedule::Edm),
            _ => None,
        }
    }

    /// One of each, for tests.
    pub fn examples() -> Vec<Schedule> {
        Schedule::NAMES.into_iter().filter_map(|name| Schedule::named(name, 32)).collect()
    }

    fn of_beta(beta: impl Fn(usize) -> f64) -> Self {
        let mut alpha_bar = vec![1.0];
        for s in 0..T {
            alpha_bar.push(alpha_bar[s] * (1.0 - beta(s)));
        }
        Schedule::Discrete(alpha_bar)
    }

    /// T: the number of noise levels a network was trained with.
    pub fn levels(&self) -> usize {
        match self {
            Schedule::Discrete(alpha_bar) => alpha_bar.len() - 1,
            Schedule::Continuous { .. } | Schedule::ShiftedCosine { .. } | Schedule::Edm => T,
        }
    }

    /// The network's timestep t = τT − 1; may be fractional.
    pub fn timestep(&self, tau: f64) -> f64 {
        tau * self.levels() as f64 - 1.0
    }

    /// ᾱ(τ).
    pub fn alpha_bar(&self, tau: f64) -> f64 {
        match self {
            Schedule::Discrete(alpha_bar) => {
                let (k, fraction) = self.piece(tau);
                alpha_bar[k] + fraction * (alpha_bar[k + 1] - alpha_bar[k])
            }
            Schedule::Continuous { beta_min, beta_max } => {
                (-beta_min * tau - 0.5 * (beta_max - beta_min) * tau * tau).exp()
            }
            Schedule::ShiftedCosine { .. } | Schedule::Edm => 1.0 / (1.0 + self.rho(tau).powi(2)),
        }
    }

    /// σ(τ) = √(1 − ᾱ(τ)).
    pub fn sigma(&self, tau: f64) -> f64 {
        (1.0 - self.alpha_bar(tau)).sqrt()
    }

    /// ρ(τ) = σ/√ᾱ: the noise level in units of the data, in which the ODE reads d(x/√ᾱ) = ε dρ.
    pub fn rho(&self, tau: f64) -> f64 {
        match self {
            Schedule::ShiftedCosine { shift } => (last_angle() * tau).tan() / shift,
            Schedule::Edm if tau * T as f64 <= 1.0 => EDM_LEVELS[1] * T as f64 * tau,
            Schedule::Edm => {
                let [beta_min, beta_d] = edm_rates();
                (beta_min * tau + 0.5 * beta_d * tau * tau).exp_m1().sqrt()
            }
            _ => {
                let alpha_bar = self.alpha_bar(tau);
                ((1.0 - alpha_bar) / alpha_bar).sqrt()
            }
        }
    }

    /// The inverse of [`rho`](Self::rho).
    pub fn tau_of_rho(&self, rho: f64) -> f64 {
        self.tau_of_rho_near(rho, 0.5)
    }

    /// The same, sooner where it is not far from `near`.
    pub(crate) fn tau_of_rho_near(&self, rho: f64, near: f64) -> f64 {
        let target = 1.0 / (1.0 + rho * rho);
        match self {
            Schedule::Discrete(alpha_bar) => {
                let guess = (near * self.levels() as f64) as usize;
                let k = partition_near(alpha_bar, guess, |value| value > target).clamp(1, alpha_bar.len() - 1) - 1;
                (k as f64 + (alpha_bar[k] - target) / (alpha_bar[k] - alpha_bar[k + 1])) / self.levels() as f64
            }
            Schedule::Continuous { beta_min, beta_max } => {
                let log = (rho * rho).ln_1p();
                // The positive root of ½ (β_max − β_min) τ² + β_min τ = ln (1 + ρ²), without cancellation.
                2.0 * log / (beta_min + (beta_min * beta_min + 2.0 * (beta_max - beta_min) * log).sqrt())
            }
            Schedule::ShiftedCosine { shift } => (rho * shift).atan() / last_angle(),
            Schedule::Edm if rho <= EDM_LEVELS[1] => rho / (EDM_LEVELS[1] * T as f64),
            Schedule::Edm => {
                let [beta_min, beta_d] = edm_rates();
                let log = (rho * rho).ln_1p();
                2.0 * log / (beta_min + (beta_min * beta_min + 2.0 * beta_d * log).sqrt())
            }
        }
    }

    /// g²(τ) = −d ln ᾱ/dτ; at a kink, the value on the side of smaller τ, where a sampler is going.
    pub fn g_squared(&self, tau: f64) -> f64 {
        match self {
            Schedule::Discrete(alpha_bar) => {
                let (k, _) = self.piece(tau);
                (alpha_bar[k] - alpha_bar[k + 1]) * self.levels() as f64 / self.alpha_bar(tau)
            }
            Schedule::Continuous { beta_min, beta_max } => beta_min + (beta_max - beta_min) * tau,
            // −d ln ᾱ = 2 ρ dρ/(1 + ρ²), and dρ/dτ = θ (1 + tan²)/shift.
            Schedule::ShiftedCosine { shift } => {
                let rho = self.rho(tau);
                2.0 * rho / (1.0 + rho * rho) * last_angle() * (1.0 + (rho * shift).powi(2)) / shift
            }
            Schedule::Edm if tau * T as f64 <= 1.0 => {
                let rho = self.rho(tau);
                2.0 * rho / (1.0 + rho * rho) * EDM_LEVELS[1] * T as f64
            }
            Schedule::Edm => {
                let [beta_min, beta_d] = edm_rates();
                beta_min + beta_d * tau
            }
        }
    }

    /// [`g_squared`](Self::g_squared) on the side of larger τ, which is what the authors' code takes at a kink.
    pub(crate) fn g_squared_above(&self, tau: f64) -> f64 {
        match self {
            Schedule::Discrete(alpha_bar) => {
                let position = tau * self.levels() as f64;
                let k = ((position + 1e-9) as usize).min(self.levels() - 1);
                (alpha_bar[k] - alpha_bar[k + 1]) * self.levels() as f64 / self.alpha_bar(tau)
            }
            _ => self.g_squared(tau),
        }
    }

    /// Ascending times between which ᾱ is smooth.
    pub fn knots(&self) -> impl Iterator<Item = f64> {
        let levels = self.levels();
        (0..=levels).map(move |k| k as f64 / levels as f64)
    }

    /// k and fraction with τ = (k + fraction)/T and fraction in (0, 1], so that a knot belongs to the piece below.
    fn piece(&self, tau: f64) -> (usize, f64) {
        let position = tau * self.levels() as f64;
        // Times such as 0.057 are not exact multiples of 1/T in binary; a rounding error is no fraction.
        let nearest = position.round();
        let position = if (position - nearest).abs() < 1e-9 { nearest } else { position };
        let k = (position.ceil() as usize).clamp(1, self.levels()) - 1;
        (k, position - k as f64)
    }
}

/// [`partition_point`](slice::partition_point), sooner where that is not far from `guess`.
pub(crate) fn partition_near(values: &[f64], guess: usize, is_before: impl Fn(f64) -> bool) -> usize {
    /// Further away halving is as fast.
    const STEPS: usize = 4;
    let mut at = guess.min(values.len());
    for _ in 0..STEPS {
        if at > 0 && !is_before(values[at - 1]) {
            at -= 1;
        } else if at < values.len() && is_before(values[at]) {
            at += 1;
        } else {
            return at;
        }
    }
    values.partition_point(|&value| is_before(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_schedule_has_the_published_end() {
        let schedule = Schedule::linear();
        assert_eq!(schedule.alpha_bar(0.0), 1.0);
        assert!((schedule.alpha_bar(0.001) - 0.9999).abs() < 1e-15);
        // diffusers' DDPMScheduler().alphas_cumprod[-1] is 4.0358e-05.
        assert!((schedule.alpha_bar(1.0) - 4.0358e-5).abs() < 1e-9);
        assert_eq!(schedule.timestep(1.0), 999.0);
    }

    /// diffusers 0.42.1, `DDPMScheduler(beta_schedule=…).alphas_cumprod[[0, 249, 499, 999]]`, which is in single precision.
    #[test]
    fn named_schedules_are_those_of_diffusers() {
        let expected = [
            ("linear", [0.9998999834, 0.5240853429, 0.078587234, 4.0358303522e-5]),
            ("scaled-linear", [0.9991499782, 0.675432086, 0.2776694298, 4.6600950882e-3]),
            ("cosine", [0.9999586940, 0.8470122218, 0.4938434660, 2.428734991e-9]),
        ];
        for (name, values) in expected {
            let schedule = Schedule::named(name, 32).unwrap();
            for (tau, value) in [0.001, 0.25, 0.5, 1.0].into_iter().zip(values) {
                let found = schedule.alpha_bar(tau);
                // Where 1 − β is small, single precision has few digits of it.
                let bound = if value < 1e-8 { 1e-4 } else { 5e-6 };
                assert!((found / value - 1.0).abs() < bound, "{name} at {tau}: {found} {value}");
            }
        }
    }

    /// Simple diffusion: log-SNR −2 ln tan(πτ/2) + 2 ln(64/d), but for the cut at −15.
    #[test]
    fn the_shifted_cosine_schedule_is_simple_diffusions() {
        let schedule = Schedule::named("simple-diffusion", 256).unwrap();
        for tau in [0.1, 0.5, 0.9] {
            let log_snr = -2.0 * schedule.rho(tau).ln();
            let formula = -2.0 * (std::f64::consts::FRAC_PI_2 * tau).tan().ln() + 2.0 * (64.0f64 / 256.0).ln();
            assert!((log_snr - formula).abs() < 0.02, "{log_snr} {formula}");
        }
        let last = -2.0 * schedule.rho(1.0).ln() - 2.0 * (64.0f64 / 256.0).ln();
        assert!((last + 15.0).abs() < 2e-12, "{last}");
    }

    /// diff-sampler's `get_schedule(6, 0.002, 80)` (zju-pi/diff-sampler 68d5ce4, `solver_utils.py`), run in double precision: the
    /// grids of the few-step literature are grids of this schedule that end at τ = 0.001.
    #[test]
    fn the_edm_schedule_has_the_fields_grids() {
        let expected = [
            ("edm-to-0.001", EDM_POLYNOMIAL),
            ("log-snr-to-0.001", EDM_LOG_SNR),
            ("trailing-to-0.001", EDM_TIME_UNIFORM),
            ("quadratic-to-0.001", EDM_TIME_QUADRATIC),
        ];
        for (name, levels) in expected {
            let times = name.parse::<crate::Grid>().unwrap().times(5, &Schedule::Edm).unwrap();
            for (tau, level) in times.iter().zip(levels) {
                let found = Schedule::Edm.rho(*tau);
                assert!((found / level - 1.0).abs() < 1e-10, "{name}: {found} {level}");
            }
        }
        assert_eq!(Schedule::Edm.rho(0.0), 0.0);
    }

    const EDM_POLYNOMIAL: [f64; 6] =
        [80.0, 24.408341786580095, 5.838947631011886, 0.9654169263318955, 0.08508720268939021, 0.002000000000000003];
    const EDM_LOG_SNR: [f64; 6] = [
        79.99999999999997,
        9.608995471851447,
        1.1541599247257706,
        0.1386289686310293,
        0.01665106414803746,
        0.0020000000000000005,
    ];
    const EDM_TIME_UNIFORM: [f64; 6] = [
        80.00000000000001,
        16.50620633265823,
        4.7463379579046014,
        1.7541111733745074,
        0.6502159050842388,
        0.0019999999999732445,
    ];
    const EDM_TIME_QUADRATIC: [f64; 6] = [
        80.00000000000001,
        6.292339565936032,
        1.5599652447262673,
        0.5560024185093035,
        0.15034264359470215,
        0.0019999999999732445,
    ];
    #[test]
    fn a_partition_is_found_from_any_guess() {
        let values: Vec<f64> = (0..40).map(|i| f64::from(i / 3)).collect();
        for limit in [-1.0, 0.0, 0.5, 5.0, 12.5, 13.0, 99.0] {
            let expected = values.partition_point(|&value| value < limit);
            assert!((0..50).all(|guess| partition_near(&values, guess, |value| value < limit) == expected), "{limit}");
        }
    }

    #[test]
    fn tau_of_rho_inverts_rho() {
        for schedule in Schedule::examples() {
            for tau in [0.0, 1e-4, 0.0137, 0.3, 0.5, 0.7771, 1.0] {
                let back = schedule.tau_of_rho(schedule.rho(tau));
                assert!((back - tau).abs() < 2e-14, "{tau} became {back}");
            }
        }
    }

    #[test]
    fn g_squared_is_the_derivative_of_minus_ln_alpha_bar() {
        for schedule in Schedule::examples() {
            for tau in [0.00045, 0.21345, 0.9876] {
                let h = 1e-7;
                let slope = (schedule.alpha_bar(tau - h).ln() - schedule.alpha_bar(tau + h).ln()) / (2.0 * h);
                assert!((schedule.g_squared(tau) / slope - 1.0).abs() < 1e-6);
            }
        }
    }
}
