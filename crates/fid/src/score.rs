//! The Inception Score: how sure the network is of each image, and how many classes the images are of. It looks at one set alone.
//!
//! T. Salimans et al. 2016, *Improved Techniques for Training GANs*, arXiv 1606.03498, section 4: exp(E_x KL(p(y|x) ‖ p(y))), where p(y) is the
//! mean over the images; over splits of the images, of which the mean and the spread are given. As torch-fidelity and OpenAI's evaluator
//! compute it, but that splits are runs of images in their order, which torch-fidelity shuffles first unless it is told not to.

use crate::{Error, Result};

/// Mean over splits, and their spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InceptionScore {
    /// From 1 on; at most the number of classes.
    pub mean: f64,
    /// Standard deviation of the splits, dividing by their number.
    pub spread: f64,
}

/// Of logits `[n, classes]`, in so many splits of n/splits images.
///
/// # Errors
/// Where there are fewer images than splits, or a logit is not finite.
pub fn inception_score(logits: &[f32], classes: usize, splits: usize) -> Result<InceptionScore> {
    let n = logits.len() / classes.max(1);
    if splits == 0 || n < splits {
        return Err(Error::Values(format!(
            "Inception Score of {n} images in {splits} splits; expected 1 to {n} splits"
        )));
    }
    if let Some(at) = logits.iter().position(|logit| !logit.is_finite()) {
        return Err(Error::Values(format!("logit {} of image {} is {}", at % classes, at / classes, logits[at])));
    }
    let of_split = |i: usize| split(&logits[i * n / splits * classes..(i + 1) * n / splits * classes], classes);
    let scores: Vec<f64> = (0..splits).map(of_split).collect();
    let mean = scores.iter().sum::<f64>() / splits as f64;
    let spread = (scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / splits as f64).sqrt();
    Ok(InceptionScore { mean, spread })
}

/// Of the images of one split.
fn split(logits: &[f32], classes: usize) -> f64 {
    let n = (logits.len() / classes) as f64;
    let log_p: Vec<f64> = logits.chunks(classes).flat_map(log_softmax).collect();
    let mut marginal = vec![0.0; classes];
    for row in log_p.chunks(classes) {
        marginal.iter_mut().zip(row).for_each(|(sum, log_p)| *sum += log_p.exp() / n);
    }
    // A class that no image has contributes nothing: the limit of p ln p.
    let divergence = |(log_p, q): (&f64, &f64)| if *q > 0.0 { log_p.exp() * (log_p - q.ln()) } else { 0.0 };
    let divergences = log_p.chunks(classes).map(|row| row.iter().zip(&marginal).map(divergence).sum::<f64>());
    (divergences.sum::<f64>() / n).exp()
}

/// ln of the softmax, shifted by the largest so that nothing overflows.
fn log_softmax(row: &[f32]) -> Vec<f64> {
    let largest = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = row.iter().map(|&logit| (f64::from(logit) - largest).exp()).sum();
    row.iter().map(|&logit| f64::from(logit) - largest - sum.ln()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes, sure of one each: p(y) is 1/2, KL is ln 2, and the score 2; of one class alone, 1.
    #[test]
    fn sure_of_two_classes_is_two_and_of_one_is_one() {
        let two = [900.0, 0.0, 0.0, 900.0, 900.0, 0.0, 0.0, 900.0];
        let found = inception_score(&two, 2, 2).unwrap();
        assert!((found.mean - 2.0).abs() < 1e-14 && found.spread == 0.0, "{found:?}");
        let one = [900.0, 0.0, 900.0, 0.0];
        assert_eq!(inception_score(&one, 2, 1).unwrap(), InceptionScore { mean: 1.0, spread: 0.0 });
        // Each split by itself: 2 and 1.
        let both = inception_score(&[&two[..4], &one[..]].concat(), 2, 2).unwrap();
        assert!((both.mean - 1.5).abs() < 1e-14 && (both.spread - 0.5).abs() < 1e-14, "{both:?}");
    }

    #[test]
    fn what_has_no_score_is_named() {
        let said = |logits: &[f32], splits| inception_score(logits, 2, splits).unwrap_err().to_string();
        assert!(said(&[0.0; 6], 4).contains("of 3 images in 4 splits; expected 1 to 3"), "{}", said(&[0.0; 6], 4));
        assert!(said(&[0.0; 6], 0).contains("0 splits"));
        assert!(said(&[0.0, 1.0, f32::NAN, 0.0], 1).contains("logit 0 of image 1 is NaN"));
    }
}
