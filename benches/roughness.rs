//! How rough noise predictions are in time, as CSV: `just roughness`, or `cargo build --release --workspace --example roughness` and
//! then `target/release/examples/roughness [NETWORK]`, for `models/cifar10-small.safetensors` unless told otherwise, and for an exact
//! oracle beside it. (`cargo run -p` would build burn again, with other features.)
//!
//! A solver's order shows only in steps over which its predictor is smooth. Here x stays where it is and the timestep alone
//! moves, so that what is measured belongs to the predictor and to no solver. Three tables:
//!
//! - `roughness`: ε(x_τ, t) on 64 timesteps around τ, less a polynomial of degree 5 in t for every number: its root mean
//!   square, that at whole timesteps alone, the strongest period under 12.8, and how much lies in which periods. The first
//!   three periods of a time embedding of width 64 are 6.3, 8.4 and 11.2 timesteps.
//! - `start`: how far ε and, for a network's v, the output have moved from their values at t = 0, from the end of the
//!   schedule (t = −1, where nothing was trained) to t = 5.
//! - `floor`: second differences of ε over steps δ, over √6: single precision where they no longer fall with δ.

use std::{convert::Infallible, f64::consts::PI, path::PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use fewstep_model::{Checkpoint, Component, Levels, Mixture, Predictor};
use fewstep_sampler::{Grid, Method, Request, Schedule, integrate};
use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};
use rand_distr::{Distribution, StandardNormal};

const IMAGES: u64 = 4;
const LEN: usize = 3 * 32 * 32;
/// Timesteps on either side.
const REACH: f64 = 32.0;
/// Evaluations a timestep.
const DENSITY: usize = 4;
/// Of the polynomial that is taken off.
const DEGREE: usize = 5;
/// Edges of the spectrum's bands, in timesteps: halfway in frequency between periods of a time embedding of width 64.
const EDGES: [f64; 5] = [12.8, 9.6, 7.2, 5.2, 2.6];

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let models = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models");
    let path = std::env::args().nth(1).map_or(models.join("cifar10-small.safetensors"), PathBuf::from);
    let network = Checkpoint::read(&path, None, None)?.build(levels(), &Device::flex())?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let predictors: [(&str, &dyn Predictor); 2] = [(&name, &network), ("mixture", &mixture()?)];
    println!(
        "roughness,predictor,tau,epsilon,slope,residual,whole,period,over_12.8,to_9.6,to_7.2,to_5.2,to_2.6,under_2.6"
    );
    for (name, predictor) in predictors {
        for tau in [0.05, 0.2, 0.5, 0.9] {
            let columns: Vec<String> = roughness(predictor, tau)?.iter().map(|value| format!("{value:.3e}")).collect();
            println!("roughness,{name},{tau},{}", columns.join(","));
        }
    }
    println!("start,predictor,timestep,epsilon,velocity");
    for (name, predictor) in predictors {
        let x = along(predictor, 0.001)?;
        let first = at(predictor, &x, 0.0)?;
        let velocity = to_velocity(&x, &first, 0.0);
        for timestep in [-1.0, -0.75, -0.5, -0.25, 0.25, 0.5, 0.75, 1.0, 2.0, 3.0, 4.0, 5.0] {
            let epsilon = at(predictor, &x, timestep)?;
            let output = rms(difference(&to_velocity(&x, &epsilon, timestep), &velocity));
            println!("start,{name},{timestep},{:.3e},{output:.3e}", rms(difference(&epsilon, &first)));
        }
    }
    println!("floor,predictor,tau,0.1,0.03,0.01,0.003,0.001,0");
    for (name, predictor) in predictors {
        for tau in [0.05, 0.5, 0.9] {
            let (x, t) = (along(predictor, tau)?, tau * 1000.0 - 1.0);
            let mut columns = Vec::new();
            for delta in [0.1, 0.03, 0.01, 0.003, 0.001, 0.0] {
                let (a, b, c) = (at(predictor, &x, t - delta)?, at(predictor, &x, t)?, at(predictor, &x, t + delta)?);
                let second = (0..b.len()).map(|i| (a[i] - 2.0 * b[i] + c[i]) / 6.0f64.sqrt());
                columns.push(format!("{:.3e}", rms(second)));
            }
            println!("floor,{name},{tau},{}", columns.join(","));
        }
    }
    Ok(())
}

/// The columns of `roughness` behind τ.
fn roughness(predictor: &dyn Predictor, tau: f64) -> Result<Vec<f64>, Failure> {
    let (x, middle) = (along(predictor, tau)?, tau * 1000.0 - 1.0);
    let count = 2 * REACH as usize * DENSITY + 1;
    let times = (0..count).map(|i| middle - REACH + i as f64 / DENSITY as f64);
    let mut rows = times.map(|t| at(predictor, &x, t)).collect::<Result<Vec<_>, _>>()?;
    let height = rms(rows[count / 2].iter().copied());
    let slope = rms(rows.windows(2).flat_map(|pair| difference(&pair[1], &pair[0]))) * DENSITY as f64;
    for polynomial in polynomials(count) {
        let mut share = vec![0.0; x.values.len()];
        for (row, p) in rows.iter().zip(&polynomial) {
            share.iter_mut().zip(row).for_each(|(share, value)| *share += p * value);
        }
        for (row, p) in rows.iter_mut().zip(&polynomial) {
            row.iter_mut().zip(&share).for_each(|(value, share)| *value -= p * share);
        }
    }
    let [residual, whole] = [1, DENSITY].map(|step| rms(rows.iter().step_by(step).flatten().copied()));
    // Power by frequency behind a Hann window, whose mean square is 3/8.
    let scale = x.values.len() as f64 * (count * count) as f64 * 0.375;
    let mut power = vec![0.0; count / 2];
    for (k, power) in power.iter_mut().enumerate() {
        let (mut cos, mut sin) = (vec![0.0; x.values.len()], vec![0.0; x.values.len()]);
        for (i, row) in rows.iter().enumerate() {
            let window = 0.5 - 0.5 * (2.0 * PI * i as f64 / count as f64).cos();
            let (s, c) = (2.0 * PI * (i * k) as f64 / count as f64).sin_cos();
            cos.iter_mut().zip(row).for_each(|(sum, value)| *sum += window * c * value);
            sin.iter_mut().zip(row).for_each(|(sum, value)| *sum += window * s * value);
        }
        *power = 2.0 * cos.iter().chain(&sin).map(|value| value * value).sum::<f64>() / scale;
    }
    let period = |k: usize| count as f64 / DENSITY as f64 / k as f64;
    // Longer ones are what is left of the trend.
    let short = (1..power.len()).filter(|&k| period(k) < EDGES[0]);
    let peak = short.max_by(|&a, &b| power[a].total_cmp(&power[b])).unwrap_or(1);
    let mut columns = vec![height, slope, residual, whole, period(peak)];
    for band in 0..=EDGES.len() {
        let longest = if band == 0 { f64::INFINITY } else { EDGES[band - 1] };
        let shortest = EDGES.get(band).copied().unwrap_or(0.0);
        let inside = (1..power.len()).filter(|&k| (shortest..longest).contains(&period(k)));
        columns.push(inside.map(|k| power[k]).sum::<f64>().sqrt());
    }
    Ok(columns)
}

/// Orthonormal polynomials of degrees 0 to [`DEGREE`] on `count` even points.
fn polynomials(count: usize) -> Vec<Vec<f64>> {
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for degree in 0..=DEGREE {
        let mut next: Vec<f64> =
            (0..count).map(|i| (2.0 * i as f64 / count as f64 - 1.0).powi(degree as i32)).collect();
        for known in &basis {
            let share: f64 = next.iter().zip(known).map(|(a, b)| a * b).sum();
            next.iter_mut().zip(known).for_each(|(a, b)| *a -= share * b);
        }
        let norm = rms(next.iter().copied()) * (count as f64).sqrt();
        basis.push(next.iter().map(|a| a / norm).collect());
    }
    basis
}

/// Some images at one time.
struct State {
    tensor: Tensor<4>,
    values: Vec<f64>,
}

/// x_τ of images 0 to 3 of seed 0 (the noise that experiments use) on their way from τ = 1, by 100 steps.
fn along(predictor: &dyn Predictor, tau: f64) -> Result<State, Failure> {
    let mut start: Vec<f32> = Vec::new();
    for k in 0..IMAGES {
        let mut random = ChaCha12Rng::from_seed([0; 32]);
        random.set_stream(k);
        start.extend((0..LEN).map(|_| -> f32 { StandardNormal.sample(&mut random) }));
    }
    let start = Tensor::from_data(TensorData::new(start, [IMAGES as usize, 3, 32, 32]), &Device::flex());
    let (schedule, grid) = (Schedule::linear(), format!("power-2-to-{tau}").parse::<Grid>()?);
    let plan = Method::deis(2).plan(&Request::new(&schedule, &grid, 100))?;
    let epsilon = |x, tau| Ok::<_, Infallible>(predictor.epsilon(x, tau));
    let tensor = integrate(&plan, &schedule, start, epsilon, |_| unreachable!("no noise"))?.x;
    Ok(State { values: numbers(&tensor)?, tensor })
}

/// ε(x, t).
fn at(predictor: &dyn Predictor, x: &State, timestep: f64) -> Result<Vec<f64>, Failure> {
    numbers(&predictor.epsilon(x.tensor.clone(), (timestep + 1.0) / 1000.0))
}

/// v = (ε − σ x)/√ᾱ.
fn to_velocity(x: &State, epsilon: &[f64], timestep: f64) -> Vec<f64> {
    let alpha_bar = Schedule::linear().alpha_bar((timestep + 1.0) / 1000.0);
    let (signal, sigma) = (alpha_bar.sqrt(), (1.0 - alpha_bar).sqrt());
    epsilon.iter().zip(&x.values).map(|(epsilon, x)| (epsilon - sigma * x) / signal).collect()
}

fn numbers(x: &Tensor<4>) -> Result<Vec<f64>, Failure> {
    let values: Vec<f32> = x.clone().into_data().try_to_vec().map_err(|error| format!("{error:?}"))?;
    Ok(values.into_iter().map(f64::from).collect())
}

fn difference<'a>(a: &'a [f64], b: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
    a.iter().zip(b).map(|(a, b)| a - b)
}

fn rms(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value * value, count + 1));
    (sum / f64::from(count.max(1))).sqrt()
}

fn levels() -> Levels {
    let schedule = Schedule::linear();
    Levels { count: schedule.levels(), alpha_bar: Box::new(move |tau| schedule.alpha_bar(tau)) }
}

/// Three Gaussians with means that differ from pixel to pixel.
fn mixture() -> Result<Mixture, Failure> {
    let component = |k: usize| Component {
        weight: 1.0,
        mean: (0..LEN).map(|i| 0.5 * ((i * (k + 1)) as f64 * 0.37).sin()).collect(),
        variance: (0..LEN).map(|i| 0.02 + 0.05 * ((i + k) % 7) as f64).collect(),
    };
    Ok(Mixture::new((0..3).map(component).collect(), [3, 32, 32], levels())?)
}
