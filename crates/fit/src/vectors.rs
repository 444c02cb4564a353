//! Sums over the numbers of many images. Image by image, and the images in their order, so that no bit depends on the threads.

use rayon::prelude::*;

/// Inner products of vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Gram {
    size: usize,
    values: Vec<f64>,
}

impl Gram {
    /// Of vectors of as many images of `len` numbers each: the sum over all of them.
    pub fn of(vectors: &[&[f32]], len: usize) -> Self {
        let size = vectors.len();
        let images = vectors.first().map_or(0, |vector| vector.len() / len);
        let of_image = |image: usize| {
            let part = |i: usize| &vectors[i][image * len..(image + 1) * len];
            let pairs = (0..size).flat_map(|i| (0..=i).map(move |j| (i, j)));
            pairs.map(|(i, j)| dot(part(i), part(j))).collect::<Vec<f64>>()
        };
        let all: Vec<Vec<f64>> = (0..images).into_par_iter().map(of_image).collect();
        let mut values = vec![0.0; size * size];
        let pairs = (0..size).flat_map(|i| (0..=i).map(move |j| (i, j)));
        for (place, (i, j)) in pairs.enumerate() {
            let sum = all.iter().map(|image| image[place]).sum();
            (values[i * size + j], values[j * size + i]) = (sum, sum);
        }
        Gram { size, values }
    }

    /// ⟨v_i, v_j⟩.
    pub fn at(&self, i: usize, j: usize) -> f64 {
        self.values[i * self.size + j]
    }

    /// Of some of the vectors, in this order.
    pub fn select(&self, vectors: &[usize]) -> Self {
        let values = vectors.iter().flat_map(|&i| vectors.iter().map(move |&j| self.at(i, j))).collect();
        Gram { size: vectors.len(), values }
    }
}

/// In double precision, eight sums side by side.
fn dot(x: &[f32], y: &[f32]) -> f64 {
    let mut sums = [0.0f64; 8];
    let (x, y) = (x.chunks_exact(8), y.chunks_exact(8));
    let rest: f64 = x.remainder().iter().zip(y.remainder()).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    for (x, y) in x.zip(y) {
        for i in 0..8 {
            sums[i] += f64::from(x[i]) * f64::from(y[i]);
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// Σ factor · term in single precision, in the terms' order, as an integrator does it.
pub fn combine(terms: &[(f64, &[f32])]) -> Vec<f32> {
    /// Numbers that a thread takes at a time.
    const PART: usize = 1 << 14;
    let Some((first, rest)) = terms.split_first() else { return Vec::new() };
    let mut sum: Vec<f32> = vec![0.0; first.1.len()];
    sum.par_chunks_mut(PART).enumerate().for_each(|(part, sum)| {
        let range = part * PART..part * PART + sum.len();
        let factor = first.0 as f32;
        sum.iter_mut().zip(&first.1[range.clone()]).for_each(|(sum, x)| *sum = factor * x);
        for (factor, term) in rest {
            let factor = *factor as f32;
            sum.iter_mut().zip(&term[range.clone()]).for_each(|(sum, x)| *sum += factor * x);
        }
    });
    sum
}

/// Mean over the numbers of each image of the squared difference.
pub fn squared_errors(x: &[f32], y: &[f32], len: usize) -> Vec<f64> {
    let of = |(x, y): (&[f32], &[f32])| {
        let sum: f64 = x.iter().zip(y).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum();
        sum / len as f64
    };
    x.par_chunks(len).zip(y.par_chunks(len)).map(of).collect()
}

/// Root of their mean.
pub fn root_mean(squares: &[f64]) -> f64 {
    (squares.iter().sum::<f64>() / squares.len() as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_products_are_those_of_the_whole() {
        let x: Vec<f32> = (0..33).map(|i| (i as f32 * 0.7).sin()).collect();
        let y: Vec<f32> = (0..33).map(|i| (i as f32 * 0.3).cos()).collect();
        let gram = Gram::of(&[&x, &y], 11);
        let plain = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
        for (i, j, expected) in
            [(0, 0, plain(&x, &x)), (0, 1, plain(&x, &y)), (1, 0, plain(&x, &y)), (1, 1, plain(&y, &y))]
        {
            assert!((gram.at(i, j) - expected).abs() < 1e-12);
        }
        assert_eq!(gram.select(&[1]).at(0, 0), gram.at(1, 1));
        assert_eq!(combine(&[(2.0, &x), (-1.0, &y)])[5], 2.0 * x[5] - y[5]);
        let errors = squared_errors(&x, &y, 11);
        let all: f64 = x.iter().zip(&y).map(|(x, y)| f64::from(x - y).powi(2)).sum();
        assert!(errors.len() == 3 && (errors.iter().sum::<f64>() * 11.0 - all).abs() < 1e-5);
    }
}
