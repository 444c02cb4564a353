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
}

/// Steps of the discrete schedule; the continuous one is cut into as many pieces for integration.
const T: usize = 1000;

/// θ of the cosine schedule: ρ(1) = tan θ = e^7.5, half of simple diffusion's least log-SNR of −15.
fn last_angle() -> f64 {
    7.5f64.exp().atan()
}

impl Schedule {
    /// The names that [`Schedule::named`] knows.
    pub const NAMES: [&str; 5] = ["linear", "scaled-linear", "cosine", "simple-diffusion", "continuous"];

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
            Schedule::Continuous { .. } | Schedule::ShiftedCosine { .. } => T,
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
            Schedule::ShiftedCosine { .. } => 1.0 / (1.0 + self.rho(tau).powi(2)),
        }
    }

    /// σ(τ) = √(1 − ᾱ(τ)).
    pub fn sigma(&self, tau: f64) -> f64 {
        (1.0 - self.alpha_bar(tau)).sqrt()
    }

    /// ρ(τ) = σ/√ᾱ: the noise level in units of the data, in which the ODE reads d(x/√ᾱ) = ε dρ.
    pub fn rho(&self, tau: f64) -> f64 {
        if let Schedule::ShiftedCosine { shift } = self {
            return (last_angle() * tau).tan() / shift;
        }
        let alpha_bar = self.alpha_bar(tau);
        ((1.0 - alpha_bar) / alpha_bar).sqrt()
    }

    /// The inverse of [`rho`](Self::rho).
    pub fn tau_of_rho(&self, rho: f64) -> f64 {
        let target = 1.0 / (1.0 + rho * rho);
        match self {
            Schedule::Discrete(alpha_bar) => {
                let k = alpha_bar.partition_point(|&value| value > target).clamp(1, alpha_bar.len() - 1) - 1;
                (k as f64 + (alpha_bar[k] - target) / (alpha_bar[k] - alpha_bar[k + 1])) / self.levels() as f64
            }
            Schedule::Continuous { beta_min, beta_max } => {
                let log = (rho * rho).ln_1p();
                // The positive root of ½ (β_max − β_min) τ² + β_min τ = ln (1 + ρ²), without cancellation.
                2.0 * log / (beta_min + (beta_min * beta_min + 2.0 * (beta_max - beta_min) * log).sqrt())
            }
            Schedule::ShiftedCosine { shift } => (rho * shift).atan() / last_angle(),
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
