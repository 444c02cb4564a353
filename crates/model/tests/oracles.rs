//! Exact predictors against independent sums in double precision.

use burn::tensor::{Device, Tensor, TensorData};
use fewstep_model::{Component, Ideal, Levels, Mixture, Predictor};

/// Near the linear schedule's ᾱ.
fn alpha_bar(tau: f64) -> f64 {
    (-0.1 * tau - 9.95 * tau * tau).exp()
}

fn levels() -> Levels {
    Levels { count: 1000, alpha_bar: Box::new(alpha_bar) }
}

fn tensor(values: &[f64], shape: [usize; 4]) -> Tensor<4> {
    let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn values(x: Tensor<4>) -> Vec<f32> {
    x.into_data().try_to_vec().unwrap()
}

/// Numbers without a pattern.
fn numbers(count: usize, scale: f64) -> Vec<f64> {
    (0..count).map(|i| scale * (1.7 * i as f64 + 0.3 * (i as f64).powi(2)).sin()).collect()
}

fn components(len: usize) -> Vec<Component> {
    (0..3)
        .map(|k| Component {
            weight: 1.0 + k as f64,
            mean: numbers(len, 0.4 + 0.2 * k as f64),
            variance: numbers(len, 0.01).iter().map(|v| 0.02 + 0.01 * k as f64 + v.abs()).collect(),
        })
        .collect()
}

/// −σ ∇ log p, by central differences of log p.
fn epsilon_by_differences(components: &[Component], x: &[f64], tau: f64) -> Vec<f64> {
    let (a, total) = (alpha_bar(tau), components.iter().map(|c| c.weight).sum::<f64>());
    let log_density = |x: &[f64]| {
        let terms: Vec<f64> = components
            .iter()
            .map(|c| {
                let quadratic = |i: usize| {
                    let s = a * c.variance[i] + 1.0 - a;
                    (x[i] - a.sqrt() * c.mean[i]).powi(2) / s + s.ln()
                };
                (c.weight / total).ln() - 0.5 * (0..x.len()).map(quadratic).sum::<f64>()
            })
            .collect();
        let highest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        highest + terms.iter().map(|term| (term - highest).exp()).sum::<f64>().ln()
    };
    let h = 1e-5;
    let shifted = |i: usize, by: f64| {
        let mut y = x.to_vec();
        y[i] += by;
        log_density(&y)
    };
    (0..x.len()).map(|i| -(1.0 - a).sqrt() * (shifted(i, h) - shifted(i, -h)) / (2.0 * h)).collect()
}

#[test]
fn a_mixture_gives_the_gradient_of_its_density() {
    let (shape, len) = ([3, 2, 2], 12);
    for count in [1, 3] {
        let parts = components(len)[..count].to_vec();
        let mixture = Mixture::new(parts.clone(), shape, levels()).unwrap();
        for tau in [0.02, 0.2, 0.6, 1.0] {
            let x = numbers(2 * len, 0.8);
            let found = values(mixture.epsilon(tensor(&x, [2, 3, 2, 2]), tau));
            for (x, found) in x.chunks(len).zip(found.chunks(len)) {
                for (expected, found) in epsilon_by_differences(&parts, x, tau).iter().zip(found) {
                    assert!((expected - f64::from(*found)).abs() < 2e-5, "{count} at {tau}: {expected} {found}");
                }
            }
        }
    }
}

#[test]
fn a_gaussians_solution_solves_the_ode() {
    let parts = components(3)[..1].to_vec();
    let gaussian = Mixture::new(parts.clone(), [3, 1, 1], levels()).unwrap();
    // dx/dτ = f x + ½ g² ε/σ in double precision, by many small steps of Runge and Kutta's method of order four.
    let slope = |x: &[f64], tau: f64| -> Vec<f64> {
        let (a, rate) = (alpha_bar(tau), 0.1 + 19.9 * tau);
        let epsilon =
            |i: usize| (1.0 - a).sqrt() * (x[i] - a.sqrt() * parts[0].mean[i]) / (a * parts[0].variance[i] + 1.0 - a);
        (0..x.len()).map(|i| -0.5 * rate * x[i] + 0.5 * rate * epsilon(i) / (1.0 - a).sqrt()).collect()
    };
    let start = [0.7, -1.2, 0.4];
    let (mut x, steps) = (start.to_vec(), 4000);
    for step in 0..steps {
        let (tau, h) = (1.0 - step as f64 / steps as f64, -1.0 / steps as f64);
        let at = |k: &[f64], by: f64| x.iter().zip(k).map(|(x, k)| x + by * k).collect::<Vec<f64>>();
        let k1 = slope(&x, tau);
        let k2 = slope(&at(&k1, h / 2.0), tau + h / 2.0);
        let k3 = slope(&at(&k2, h / 2.0), tau + h / 2.0);
        // The slope's σ is 0 at τ = 0, where its limit is not needed.
        let k4 = slope(&at(&k3, h), (tau + h).max(1e-9));
        x = (0..3).map(|i| x[i] + h / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i])).collect();
    }
    let solution = values(gaussian.solution(tensor(&start, [1, 3, 1, 1])).unwrap());
    for (expected, found) in x.iter().zip(solution) {
        assert!((expected - f64::from(found)).abs() < 1e-5, "{expected} {found}");
    }
    let two = Mixture::new(components(3)[..2].to_vec(), [3, 1, 1], levels()).unwrap();
    assert!(two.solution(tensor(&start, [1, 3, 1, 1])).is_none());
}

#[test]
fn a_mixtures_moments_are_those_of_its_samples() {
    let parts = components(3);
    let moments = Mixture::new(parts.clone(), [3, 1, 1], levels()).unwrap().moments().unwrap();
    // E[y] and E[yyᵀ] − E[y]E[y]ᵀ from the components' own.
    let total: f64 = parts.iter().map(|c| c.weight).sum();
    let expect = |f: &dyn Fn(&Component) -> f64| parts.iter().map(|c| c.weight / total * f(c)).sum::<f64>();
    for i in 0..3 {
        assert!((moments.mean[i] - expect(&|c| c.mean[i])).abs() < 1e-12);
        for j in 0..3 {
            let product = |c: &Component| c.mean[i] * c.mean[j] + if i == j { c.variance[i] } else { 0.0 };
            let expected = expect(&product) - moments.mean[i] * moments.mean[j];
            assert!((moments.covariance[3 * i + j] - expected).abs() < 1e-12);
        }
    }
}

#[test]
fn wrong_mixtures_are_refused() {
    let message = |change: fn(&mut Vec<Component>)| {
        let mut parts = components(3);
        change(&mut parts);
        Mixture::new(parts, [3, 1, 1], levels()).err().unwrap().to_string()
    };
    assert!(message(|c| c.clear()).contains("no components"));
    assert!(message(|c| c[1].variance[2] = 0.0).contains("component 1: variance is not positive"));
    assert!(message(|c| c[2].weight = -1.0).contains("component 2: weight is -1"));
    assert!(message(|c| c[0].mean.push(1.0)).contains("component 0: mean has 4 numbers"));
}

/// 700 images of 4×4, in more than one block; the last is the first one again.
fn pixels() -> Vec<u8> {
    let mut pixels: Vec<u8> = numbers(699 * 48, 1.0).iter().map(|v| (127.5 * (v + 1.0)).round() as u8).collect();
    pixels.extend_from_within(..48);
    pixels
}

/// E[x₀ | x] as its formula says it, in double precision.
fn denoised(pixels: &[u8], x: &[f64], tau: f64) -> Vec<f64> {
    let a = alpha_bar(tau);
    // Planes one after another, as tensors are.
    let image =
        |i: usize| (0..48).map(|k| f64::from(pixels[48 * i + k % 16 * 3 + k / 16]) / 127.5 - 1.0).collect::<Vec<f64>>();
    let images: Vec<Vec<f64>> = (0..pixels.len() / 48).map(image).collect();
    let logit =
        |y: &Vec<f64>| -x.iter().zip(y).map(|(x, y)| (x - a.sqrt() * y).powi(2)).sum::<f64>() / (2.0 * (1.0 - a));
    let logits: Vec<f64> = images.iter().map(logit).collect();
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|logit| (logit - highest).exp()).collect();
    let total: f64 = weights.iter().sum();
    (0..48).map(|k| images.iter().zip(&weights).map(|(y, w)| w / total * y[k]).sum()).collect()
}

#[test]
fn the_ideal_denoiser_is_its_formula_at_every_level() {
    let pixels = pixels();
    let ideal = Ideal::new(&pixels, 4, 3, levels()).unwrap();
    assert_eq!(ideal.images(), 700);
    for tau in [1e-6, 1e-3, 0.03, 0.1, 0.4, 1.0] {
        let a = alpha_bar(tau);
        // Near the data, as samples are: image 0, which is there twice, and others, with noise.
        let clean = |n: usize| denoised(&pixels, &numbers(48, 1.0 + n as f64), 1e-9);
        let noise = numbers(3 * 48, 1.3);
        let x: Vec<f64> = (0..3)
            .flat_map(|n| {
                let clean = clean(n);
                (0..48).map(|k| a.sqrt() * clean[k] + (1.0 - a).sqrt() * noise[48 * n + k]).collect::<Vec<_>>()
            })
            .collect();
        // What the predictor sees is rounded to single precision, which σ would magnify.
        let x: Vec<f64> = x.iter().map(|&x| f64::from(x as f32)).collect();
        let found = values(ideal.epsilon(tensor(&x, [3, 3, 4, 4]), tau));
        for (x, found) in x.chunks(48).zip(found.chunks(48)) {
            let expected = denoised(&pixels, x, tau);
            for k in 0..48 {
                let clean = (x[k] - (1.0 - a).sqrt() * f64::from(found[k])) / a.sqrt();
                assert!((clean - expected[k]).abs() < 2e-5 / a.sqrt(), "τ = {tau}: {clean} {}", expected[k]);
            }
        }
    }
}

#[test]
fn an_ideal_prediction_does_not_depend_on_its_batch() {
    let pixels = pixels();
    let ideal = Ideal::new(&pixels, 4, 3, levels()).unwrap();
    let x = tensor(&numbers(37 * 48, 1.5), [37, 3, 4, 4]);
    let whole = values(ideal.epsilon(x.clone(), 0.35));
    let parts: Vec<f32> = [(0, 1), (1, 4), (5, 16), (21, 16)]
        .into_iter()
        .flat_map(|(start, count)| values(ideal.epsilon(x.clone().narrow(0, start, count), 0.35)))
        .collect();
    assert_eq!(whole, parts);
    assert_eq!(ideal.evaluated(), 74);
}
