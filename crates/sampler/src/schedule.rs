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
}

/// Steps of the discrete schedule; the continuous one is cut into as many pieces for integration.
const T: usize = 1000;

impl Schedule {
    /// The schedule of DDPM (Ho et al., arXiv 2006.11239): T = 1000, β linear from 1e-4 to 0.02.
    pub fn linear() -> Self {
        let beta = |s: usize| 1e-4 + (0.02 - 1e-4) * s as f64 / (T - 1) as f64;
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
            Schedule::Continuous { .. } => T,
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
        }
    }

    /// σ(τ) = √(1 − ᾱ(τ)).
    pub fn sigma(&self, tau: f64) -> f64 {
        (1.0 - self.alpha_bar(tau)).sqrt()
    }

    /// ρ(τ) = σ/√ᾱ: the noise level in units of the data, in which the ODE reads d(x/√ᾱ) = ε dρ.
    pub fn rho(&self, tau: f64) -> f64 {
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
            Schedule::Continuous { .. } => self.g_squared(tau),
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

    #[test]
    fn tau_of_rho_inverts_rho() {
        for schedule in [Schedule::linear(), Schedule::Continuous { beta_min: 0.1, beta_max: 20.0 }] {
            for tau in [0.0, 1e-4, 0.0137, 0.3, 0.5, 0.7771, 1.0] {
                let back = schedule.tau_of_rho(schedule.rho(tau));
                assert!((back - tau).abs() < 1e-12, "{tau} became {back}");
            }
        }
    }

    #[test]
    fn g_squared_is_the_derivative_of_minus_ln_alpha_bar() {
        for schedule in [Schedule::linear(), Schedule::Continuous { beta_min: 0.1, beta_max: 20.0 }] {
            for tau in [0.00045, 0.21345, 0.9876] {
                let h = 1e-7;
                let slope = (schedule.alpha_bar(tau - h).ln() - schedule.alpha_bar(tau + h).ln()) / (2.0 * h);
                assert!((schedule.g_squared(tau) / slope - 1.0).abs() < 1e-6);
            }
        }
    }
}
