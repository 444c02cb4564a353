//! What a network is told of a noise level, what it sees of a state, and what its output means.

use burn::tensor::Tensor;

use crate::{Levels, Prediction};

/// How a network becomes ε(x, τ) of a variance-preserving process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Conditioning {
    /// By time: it sees x, with the timestep t = τT − 1, and gives what is said.
    Time(Prediction),
    /// By noise level (Karras et al. 2022, arXiv 2206.00364, table 1, "Ours"), for any schedule: with y = x/√ᾱ and σ = ρ(τ) it sees
    /// y/√(σ² + σ_d²) with the label ln σ/4, and gives F, of which the denoised image is σ_d²/(σ² + σ_d²) y + σ σ_d/√(σ² + σ_d²) F.
    Edm {
        /// σ_d: the standard deviation of the data.
        sigma_data: f64,
        /// The greatest σ that it was made for.
        sigma_max: f64,
    },
    /// By the time of the continuous process that it was trained with, at the same noise level (the same, "VP"; Song et al. 2021,
    /// arXiv 2011.13456): it sees x, with the label (M − 1) t where ln(1 + σ²) = β_min t + ½ β_d t², and gives ε.
    Vp {
        /// β_d.
        beta_d: f64,
        /// β_min.
        beta_min: f64,
        /// M.
        steps: f64,
    },
}

impl Conditioning {
    /// The name in provenance; part of what a network is.
    pub fn name(self) -> String {
        match self {
            Conditioning::Time(prediction) => prediction.name().to_owned(),
            Conditioning::Edm { sigma_data, .. } => format!("edm, sigma_data {sigma_data}"),
            Conditioning::Vp { beta_d, beta_min, steps } => {
                format!("edm vp, beta_d {beta_d}, beta_min {beta_min}, M {steps}")
            }
        }
    }

    /// The greatest ρ that the network was made for; infinite where it is made for that of its schedule.
    pub fn greatest_level(self) -> f64 {
        match self {
            Conditioning::Time(_) => f64::INFINITY,
            Conditioning::Edm { sigma_max, .. } => sigma_max,
            Conditioning::Vp { beta_d, beta_min, .. } => (0.5 * beta_d + beta_min).exp_m1().sqrt(),
        }
    }

    /// ε(x, τ), with `network` from what it sees and its label to its output.
    pub(crate) fn epsilon(
        self,
        levels: &Levels,
        x: Tensor<4>,
        tau: f64,
        network: impl FnOnce(Tensor<4>, f32) -> Tensor<4>,
    ) -> Tensor<4> {
        let (signal, noise) = levels.signal_and_noise(tau);
        let sigma = noise / signal;
        match self {
            Conditioning::Time(prediction) => {
                let output = network(x.clone(), (tau * levels.count as f64 - 1.0) as f32);
                prediction.to_epsilon(output, x, (signal, noise))
            }
            Conditioning::Edm { sigma_data, .. } => {
                let total = sigma.hypot(sigma_data);
                let output = network(x.clone() * (1.0 / (signal * total)), (sigma.ln() / 4.0) as f32);
                // ε = (y − D)/σ, without the difference of two numbers of which one is nearly the other at small σ.
                x * (sigma / (signal * total * total)) - output * (sigma_data / total)
            }
            Conditioning::Vp { beta_d, beta_min, steps } => {
                let log = (sigma * sigma).ln_1p();
                let time = 2.0 * log / (beta_min + (beta_min * beta_min + 2.0 * beta_d * log).sqrt());
                network(x, ((steps - 1.0) * time) as f32)
            }
        }
    }
}
