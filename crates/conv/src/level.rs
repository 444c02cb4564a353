//! Which instructions are used: one source, compiled for each.

use pulp::{Scalar, Simd, WithSimd};

/// An instruction set of this machine.
///
/// The two with fused multiply-add (AVX-512 and AVX2, NEON too) give the same bits: a sum is one chain of fused operations whatever the
/// vector's width. Without it products are rounded first, and last digits differ.
#[derive(Debug, Clone, Copy)]
pub struct Level(Kind);

#[derive(Debug, Clone, Copy)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512(pulp::x86::V4),
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    #[cfg(target_arch = "aarch64")]
    Neon(pulp::aarch64::Neon),
    Portable,
}

/// Work that is compiled for every instruction set. `V`: vectors in 16 numbers.
pub(crate) trait Kernel {
    /// Does it. To be marked `#[inline(always)]`, and all that it calls.
    fn run<S: Simd, const V: usize>(self, simd: S);
}

struct Dispatched<K>(K);

impl<K: Kernel> WithSimd for Dispatched<K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => self.0.run::<S, 1>(simd),
            8 => self.0.run::<S, 2>(simd),
            4 => self.0.run::<S, 4>(simd),
            _ => self.0.run::<S, 16>(simd),
        }
    }
}

impl Level {
    /// The widest that this machine has.
    pub fn best() -> Level {
        Level::all()[0]
    }

    /// Output blocks that are computed together where 32 registers have room for `widest`. The sixteen of AVX2 have it for one block and six
    /// pixels; with more blocks a tile is a pixel or two wide, and weights are read for so few.
    pub(crate) fn blocks(self, widest: usize) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => 1,
            _ => widest,
        }
    }

    /// All that this machine has, widest first.
    pub fn all() -> Vec<Level> {
        let mut kinds = Vec::new();
        #[cfg(target_arch = "x86_64")]
        kinds.extend(pulp::x86::V4::try_new().map(Kind::Avx512));
        #[cfg(target_arch = "x86_64")]
        kinds.extend(pulp::x86::V3::try_new().map(Kind::Avx2));
        #[cfg(target_arch = "aarch64")]
        kinds.extend(pulp::aarch64::Neon::try_new().map(Kind::Neon));
        kinds.push(Kind::Portable);
        kinds.into_iter().map(Level).collect()
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "AVX2",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(_) => "NEON",
            Kind::Portable => "portable",
        }
    }

    /// Whether products are added without being rounded first.
    pub fn is_fused(self) -> bool {
        !matches!(self.0, Kind::Portable)
    }

    /// Runs `kernel`.
    pub(crate) fn run(self, kernel: impl Kernel) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(simd) => Simd::vectorize(simd, Dispatched(kernel)),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(simd) => Simd::vectorize(simd, Dispatched(kernel)),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(simd) => Simd::vectorize(simd, Dispatched(kernel)),
            Kind::Portable => Simd::vectorize(Scalar, Dispatched(kernel)),
        }
    }
}

/// a·b + c: fused where the instruction set has that; the library's own function for one number would be a call.
#[inline(always)]
pub(crate) fn fma<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
    if S::F32_LANES == 1 { simd.add_f32s(simd.mul_f32s(a, b), c) } else { simd.mul_add_f32s(a, b, c) }
}
