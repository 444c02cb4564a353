//! What was predicted already: ε(x_T, τ_0) is the same for every method, number of evaluations and solution that starts at τ_0 from one
//! x_T, whatever follows of thresholds and noise, so that a sweep evaluates it once an image.
//!
//! On a CPU only, where an image's bits do not depend on its batch. On a GPU they may, and with autotuned kernels on when they
//! are computed: there every run evaluates its own.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Bytes of predictions that are kept: of 21 845 images of CIFAR-10's size. Those of further images are evaluated every time.
const ROOM: usize = 256 << 20;

/// First predictions of one seed, as many as there is room for.
pub struct Reuse {
    room: usize,
    kept: Mutex<Kept>,
    reused: AtomicU64,
}

#[derive(Default)]
struct Kept {
    seed: u64,
    bytes: usize,
    /// By the bits of τ and the image.
    first: HashMap<(u64, usize), Arc<[f32]>>,
}

impl Default for Reuse {
    fn default() -> Self {
        Reuse::within(ROOM)
    }
}

impl Reuse {
    /// Keeps at most `room` bytes.
    pub fn within(room: usize) -> Self {
        Reuse { room, kept: Mutex::default(), reused: AtomicU64::new(0) }
    }

    /// ε at `tau` of the first of the images `range`, up to one of which it is not known.
    pub fn first(&self, seed: u64, tau: f64, range: Range<usize>) -> Vec<Arc<[f32]>> {
        let kept = self.kept();
        if kept.seed != seed {
            return Vec::new();
        }
        range.map_while(|image| kept.first.get(&(tau.to_bits(), image)).cloned()).collect()
    }

    /// Keeps ε at `tau` of the images from `start` on, `len` numbers each, where there is room; of another seed none any more, as
    /// a sweep goes seed by seed.
    pub fn keep(&self, seed: u64, tau: f64, start: usize, values: &[f32], len: usize) {
        let mut kept = self.kept();
        if kept.seed != seed {
            *kept = Kept { seed, ..Kept::default() };
        }
        for (i, values) in values.chunks(len).enumerate() {
            let bytes = kept.bytes + size_of_val(values);
            if bytes > self.room {
                return;
            }
            if kept.first.insert((tau.to_bits(), start + i), values.into()).is_none() {
                kept.bytes = bytes;
            }
        }
    }

    /// `n` evaluations of an image were asked for and not made again.
    pub fn count(&self, n: u64) {
        self.reused.fetch_add(n, Ordering::Relaxed);
    }

    /// All that were counted so.
    pub fn reused(&self) -> u64 {
        self.reused.load(Ordering::Relaxed)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // No entry is ever there in part.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(reuse: &Reuse, seed: u64, tau: f64, range: Range<usize>) -> Vec<f32> {
        reuse.first(seed, tau, range).iter().flat_map(|values| values.to_vec()).collect()
    }

    #[test]
    fn predictions_are_known_by_seed_time_and_image() {
        let reuse = Reuse::default();
        reuse.keep(3, 1.0, 4, &[1.0, 2.0, 3.0, 4.0], 2);
        assert_eq!(known(&reuse, 3, 1.0, 4..6), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(known(&reuse, 3, 1.0, 5..9), [3.0, 4.0]);
        // Up to the first that is missing.
        for (seed, tau, images) in [(3, 1.0, 3..6), (3, 0.999, 4..6), (4, 1.0, 4..6)] {
            assert!(known(&reuse, seed, tau, images).is_empty());
        }
        reuse.keep(4, 1.0, 0, &[5.0, 6.0], 2);
        assert_eq!((known(&reuse, 4, 1.0, 0..1), known(&reuse, 3, 1.0, 4..6)), (vec![5.0, 6.0], vec![]));
    }

    #[test]
    fn room_is_bounded() {
        let reuse = Reuse::within(5 * 8);
        for tau in [1.0, 0.5] {
            reuse.keep(0, tau, 0, &[tau as f32; 6], 2);
            // What is there already takes no more room.
            reuse.keep(0, tau, 0, &[tau as f32; 2], 2);
        }
        assert_eq!([1.0, 0.5].map(|tau| reuse.first(0, tau, 0..3).len()), [3, 2]);
        // Another seed's has all the room.
        reuse.keep(1, 0.5, 0, &[0.0; 12], 2);
        assert_eq!(reuse.first(1, 0.5, 0..6).len(), 5);
    }
}
