//! Exponentials, number by number, in a form that compilers turn into vectors.

/// a·b + c; the library's own function for one number would be a call where there is no fused instruction.
#[inline(always)]
fn add_product(fused: bool, a: f32, b: f32, c: f32) -> f32 {
    if fused { a.mul_add(b, c) } else { a * b + c }
}

/// eˣ for x in [−87, 88], clamped to that: 2ⁿ · 2ᶠ with f in [−½, ½] by a polynomial of degree 6. Relative error 2e-7 + 4e-8 |x|,
/// as x / ln 2 is rounded: 3.8e-6 at the ends.
#[inline(always)]
pub(crate) fn exp(fused: bool, x: f32) -> f32 {
    /// 2²³ · 1.5: added and subtracted, it rounds to whole numbers.
    const ROUNDER: f32 = 12_582_912.0;
    let y = x.clamp(-87.0, 88.0) * std::f32::consts::LOG2_E;
    let shifted = y + ROUNDER;
    let f = y - (shifted - ROUNDER);
    let coefficients = [1.339_887_4e-3, 9.618_437e-3, 5.550_332_4e-2, 2.402_264_8e-1, 6.931_472e-1, 1.0];
    let mut power = 1.535_336_2e-4;
    for coefficient in coefficients {
        power = add_product(fused, power, f, coefficient);
    }
    power * f32::from_bits(shifted.to_bits().wrapping_shl(23).wrapping_add(0x3f80_0000))
}

/// x / (1 + e⁻ˣ) (Hendrycks and Gimpel 2016, arXiv 1606.08415, where it is called SiLU).
#[inline(always)]
pub(crate) fn silu(fused: bool, x: f32) -> f32 {
    x / (1.0 + exp(fused, -x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_library_has_them() {
        for fused in [true, false] {
            for i in -8000..=8000 {
                let x = i as f32 / 100.0;
                let expected = f64::from(x).exp();
                // Measured: 3.8e-6 at 87.
                assert!((f64::from(exp(fused, x)) / expected - 1.0).abs() < 5e-7 + 2e-7 * f64::from(x).abs());
                let expected = f64::from(x) / (1.0 + (-f64::from(x)).exp());
                let error = (f64::from(silu(fused, x)) / expected - 1.0).abs();
                assert!(x == 0.0 || error < 5e-7 + 2e-7 * f64::from((-x).max(0.0)), "{x}: {error:e}");
            }
            assert_eq!(silu(fused, 0.0), 0.0);
            assert!(silu(fused, f32::NAN).is_nan() && silu(fused, f32::INFINITY).is_infinite());
        }
    }
}
