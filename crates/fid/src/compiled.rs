//! FID-Inception on the CPU kernels of `fewstep_conv`: the network of `inception.rs`, several times faster.
//!
//! Branches of a block write straight into their channels of the block's output. Convolutions lie in the order of the table in
//! `inception_weights.rs`, which is that of the network, and are taken one after another.

use std::sync::{Mutex, PoisonError};

use fewstep_conv::{Algorithm, Channels, Conv, ConvSpec, LANES, Lane, Level, Planes, Pool, Scratch, Shape, Target};
use rayon::prelude::*;

use crate::{
    Protocol,
    inception::{Output, SIDE, SPATIAL},
    inception_weights::{Folded, Layer, layers},
    prepare::{Preparation, Prepared},
};

/// Images that go through the network together, from where planes are small: of a network all weights are cold, and are read once for them.
const GROUP: usize = 8;
/// Side of what the first convolution gives.
const FIRST: usize = (SIDE - 3) / 2 + 1;
/// Numbers under the first convolution's kernel: three rows of three pixels of three channels.
const UNDER: usize = 27;

/// The network for this machine's cores.
pub(crate) struct CompiledInception {
    convs: Vec<Packed>,
    level: Level,
    /// What tasks that are done have left for the next.
    workers: Mutex<Vec<Worker>>,
}

/// A convolution, and the bias that is added behind a pool instead.
struct Packed {
    conv: Conv,
    bias: Vec<Lane>,
}

/// What a task computes with.
struct Worker {
    scratch: Scratch,
    prepared: Prepared,
}

impl CompiledInception {
    /// Packs the weights for the instructions of `level`.
    pub fn new(folded: &[Folded], level: Level) -> CompiledInception {
        let layers = layers();
        let layers = layers.iter().zip(folded).enumerate();
        let convs = layers.map(|(i, (layer, folded))| pack(i == 0, layer, folded, level)).collect();
        CompiledInception { convs, level, workers: Mutex::default() }
    }

    /// `output` of images `[images, height, width, 3]`, values 0 to 255, as `protocol` shows them: `[images, output.dim()]`.
    pub fn features<V: Copy + Into<f32> + Sync>(
        &self,
        pixels: &[V],
        [height, width]: [usize; 2],
        protocol: Protocol,
        output: Output,
    ) -> Vec<f32> {
        let (dim, image) = (output.dim(), height * width * 3);
        let images = pixels.len() / image;
        let preparation = Preparation::new(protocol, [height, width]);
        let mut features = vec![0.0; images * dim];
        let group = |(pixels, features): (&[V], &mut [f32])| {
            let kept = self.workers.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let new = || Worker { scratch: Scratch::new(self.level), prepared: Prepared::default() };
            let mut worker = kept.unwrap_or_else(new);
            self.group(pixels.chunks(image), &preparation, output, features, &mut worker);
            self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        };
        if rayon::current_thread_index().is_some() {
            // One of many batches: the other threads have theirs, and waiting for them here would be counted as this one's time.
            pixels.chunks(GROUP * image).zip(features.chunks_mut(GROUP * dim)).for_each(group);
        } else {
            // Work for every core comes first.
            let together = images.div_ceil(rayon::current_num_threads()).clamp(1, GROUP);
            pixels.par_chunks(together * image).zip(features.par_chunks_mut(together * dim)).for_each(group);
        }
        features
    }

    /// Of some images, each `[height, width, 3]`, through the network together.
    fn group<'a, V: Copy + Into<f32> + 'a>(
        &self,
        images: impl ExactSizeIterator<Item = &'a [V]>,
        preparation: &Preparation,
        output: Output,
        features: &mut [f32],
        worker: &mut Worker,
    ) {
        // Where planes are large and weights are few, one by one.
        let (count, mut first, mut left) = (images.len(), None, 0);
        for (n, image) in images.enumerate() {
            preparation.run(image, &mut worker.prepared);
            let mut under = worker.scratch.take(1, Shape::new(UNDER.div_ceil(LANES), FIRST, FIRST));
            gather(&worker.prepared.large, under.image_mut(0));
            let mut net = Net { convs: &self.convs, scratch: &mut worker.scratch };
            let x = net.stem(under);
            left = net.convs.len();
            let all = first.get_or_insert_with(|| worker.scratch.take(count, x.shape()));
            all.image_mut(n).copy_from_slice(x.image(0));
            worker.scratch.give(x);
        }
        let Some(x) = first else { return };
        let mut net = Net { convs: &self.convs[self.convs.len() - left..], scratch: &mut worker.scratch };
        let x = (0..3).fold(x, |x, _| net.block_a(x));
        let x = net.block_b(x);
        let x = (0..2).fold(x, |x, _| net.block_c(x));
        let x = match output {
            Output::Spatial => {
                // The first convolution of the third block C.
                let x = net.through(x, [0, 0]);
                spatial(&x, features);
                x
            }
            Output::Pool3 => {
                let x = (0..2).fold(x, |x, _| net.block_c(x));
                let x = net.block_d(x);
                let x = net.block_e(x, false);
                let x = net.block_e(x, true);
                means(&x, features);
                x
            }
        };
        worker.scratch.give(x);
    }
}

/// The mean of each channel over all positions.
fn means(x: &Planes, features: &mut [f32]) {
    let plane = x.shape().plane();
    for (n, features) in features.chunks_mut(x.shape().blocks * LANES).enumerate() {
        for (features, block) in features.chunks_mut(LANES).zip(x.image(n).chunks(plane)) {
            for (l, feature) in features.iter_mut().enumerate() {
                *feature = block.iter().map(|lane| lane.0[l]).sum::<f32>() / plane as f32;
            }
        }
    }
}

/// The first channels at every position.
fn spatial(x: &Planes, features: &mut [f32]) {
    for (n, features) in features.chunks_mut(Output::Spatial.dim()).enumerate() {
        for (features, lane) in features.chunks_mut(SPATIAL).zip(x.image(n)) {
            features.copy_from_slice(&lane.0[..SPATIAL]);
        }
    }
}

/// Packs one layer: the first for what lies under its kernel, gathered.
fn pack(first: bool, layer: &Layer, Folded { weight, bias }: &Folded, level: Level) -> Packed {
    let Layer { input, output, kernel, stride, padding, .. } = *layer;
    let to = Channels::dense(output);
    // Behind a mean the bias comes later; the last block's pool is a maximum, in front.
    let pooled = layer.name.ends_with("branch_pool") && !layer.name.starts_with("Mixed_7c");
    let none = vec![0.0; output];
    let spec = ConvSpec { kernel, stride, padding, relu: !pooled };
    let conv = if first {
        // [output, channel, row, column] to [output, row, column, channel].
        let at = |k: usize| k % 3 * 9 + k / 3;
        let weight: Vec<f32> = weight.chunks(UNDER).flat_map(|kernel| (0..UNDER).map(|k| kernel[at(k)])).collect();
        let point = ConvSpec { relu: true, ..ConvSpec::POINT };
        Conv::new(point, &weight, bias, [&Channels::dense(UNDER), &to], Algorithm::Fastest, level)
    } else {
        let bias = if pooled { &none } else { bias };
        Conv::new(spec, weight, bias, [&Channels::dense(input), &to], Algorithm::Fastest, level)
    };
    Packed { conv, bias: to.lanes(bias) }
}

/// The convolutions that are still to come.
struct Net<'a> {
    convs: &'a [Packed],
    scratch: &'a mut Scratch,
}

/// Blocks of an output that are written next.
struct Branches {
    out: Planes,
    block: usize,
}

impl<'a> Net<'a> {
    fn next(&mut self) -> &'a Packed {
        // The table has as many as the network takes: a test runs it to its end.
        let (first, rest) = (&self.convs[0], &self.convs[1..]);
        self.convs = rest;
        first
    }

    /// The next convolution of `x`, which is not needed any more, its output with a border.
    fn through(&mut self, x: Planes, border: [usize; 2]) -> Planes {
        let out = self.of(&x, border);
        self.scratch.give(x);
        out
    }

    /// The next convolution of `x`.
    fn of(&mut self, x: &Planes, border: [usize; 2]) -> Planes {
        let conv = &self.next().conv;
        let mut out = self.scratch.take(x.images(), conv.shape(x.shape()).bordered(border));
        conv.run(x, Target::from(&mut out), None, self.scratch);
        out
    }

    /// All that lies in front of the blocks.
    fn stem(&mut self, under: Planes) -> Planes {
        let x = self.through(under, [0, 0]);
        let x = self.through(x, [1, 1]);
        let x = self.through(x, [0, 0]);
        let x = self.pool(Pool::MaxHalving, x);
        let x = self.through(x, [0, 0]);
        let x = self.through(x, [0, 0]);
        self.pool(Pool::MaxHalving, x)
    }

    fn pool(&mut self, pool: Pool, x: Planes) -> Planes {
        let mut out = self.scratch.take(x.images(), pool.shape(x.shape()));
        pool.run(&x, &mut out, 0, self.scratch);
        self.scratch.give(x);
        out
    }

    fn branches(&mut self, x: &Planes, blocks: usize, side: usize) -> Branches {
        Branches { out: self.scratch.take(x.images(), Shape::new(blocks, side, side)), block: 0 }
    }

    /// The next convolution of `x`, the last of its branch.
    fn end(&mut self, x: &Planes, branches: &mut Branches) {
        let conv = &self.next().conv;
        let target = Target { out: (&mut branches.out).into(), block: branches.block };
        conv.run(x, target, None, self.scratch);
        branches.block += conv.blocks();
    }

    /// As [`Net::end`], where `x` is not needed any more.
    fn end_through(&mut self, x: Planes, branches: &mut Branches) {
        self.end(&x, branches);
        self.scratch.give(x);
    }

    /// A mean and then a 1×1 convolution, computed in the other order: both are linear, one mixes positions, the other channels, and
    /// pooling the fewer output channels is cheaper.
    fn mean_and_point(&mut self, x: &Planes, branches: &mut Branches) {
        let Packed { conv, bias } = self.next();
        let mut mixed = self.scratch.take(x.images(), conv.shape(x.shape()));
        conv.run(x, Target::from(&mut mixed), None, self.scratch);
        Pool::MeanBiasRelu(bias).run(&mixed, &mut branches.out, branches.block, self.scratch);
        branches.block += conv.blocks();
        self.scratch.give(mixed);
    }

    /// Convolutions of `x` with these borders behind them, and a last one.
    fn branch(&mut self, x: &Planes, borders: &[[usize; 2]], branches: &mut Branches) {
        let mut state = self.of(x, borders[0]);
        for &border in &borders[1..] {
            state = self.through(state, border);
        }
        self.end_through(state, branches);
    }

    /// The blocks that the branches fill: convolutions number `last` of those to come, and a pool's.
    fn blocks(&self, last: &[usize], more: usize) -> usize {
        last.iter().map(|&i| self.convs[i].conv.blocks()).sum::<usize>() + more
    }

    fn block_a(&mut self, x: Planes) -> Planes {
        let mut out = self.branches(&x, self.blocks(&[0, 2, 5, 6], 0), x.shape().height);
        self.end(&x, &mut out);
        self.branch(&x, &[[2, 2]], &mut out);
        self.branch(&x, &[[1, 1], [1, 1]], &mut out);
        self.mean_and_point(&x, &mut out);
        self.finish(x, out)
    }

    fn block_b(&mut self, x: Planes) -> Planes {
        let side = Pool::MaxHalving.shape(x.shape()).height;
        let mut out = self.branches(&x, self.blocks(&[0, 3], x.shape().blocks), side);
        self.end(&x, &mut out);
        self.branch(&x, &[[1, 1], [0, 0]], &mut out);
        self.halve(x, out)
    }

    fn block_c(&mut self, x: Planes) -> Planes {
        let (across, down) = ([0, 3], [3, 0]);
        let mut out = self.branches(&x, self.blocks(&[0, 3, 8, 9], 0), x.shape().height);
        self.end(&x, &mut out);
        self.branch(&x, &[across, down], &mut out);
        self.branch(&x, &[down, across, down, across], &mut out);
        self.mean_and_point(&x, &mut out);
        self.finish(x, out)
    }

    fn block_d(&mut self, x: Planes) -> Planes {
        let side = Pool::MaxHalving.shape(x.shape()).height;
        let mut out = self.branches(&x, self.blocks(&[1, 5], x.shape().blocks), side);
        self.branch(&x, &[[0, 0]], &mut out);
        self.branch(&x, &[[0, 3], [3, 0], [0, 0]], &mut out);
        self.halve(x, out)
    }

    /// The last two: their pool is a mean, or a maximum.
    fn block_e(&mut self, x: Planes, maximum: bool) -> Planes {
        let mut out = self.branches(&x, self.blocks(&[0, 2, 3, 6, 7, 8], 0), x.shape().height);
        self.end(&x, &mut out);
        let three = self.of(&x, [1, 1]);
        self.end(&three, &mut out);
        self.end_through(three, &mut out);
        let double = self.of(&x, [1, 1]);
        let double = self.through(double, [1, 1]);
        self.end(&double, &mut out);
        self.end_through(double, &mut out);
        if maximum {
            let mut most = self.scratch.take(x.images(), x.shape());
            Pool::Max.run(&x, &mut most, 0, self.scratch);
            self.end_through(most, &mut out);
        } else {
            self.mean_and_point(&x, &mut out);
        }
        self.finish(x, out)
    }

    /// The halving maximum of `x` as the last branch.
    fn halve(&mut self, x: Planes, mut branches: Branches) -> Planes {
        Pool::MaxHalving.run(&x, &mut branches.out, branches.block, self.scratch);
        self.finish(x, branches)
    }

    fn finish(&mut self, x: Planes, branches: Branches) -> Planes {
        self.scratch.give(x);
        branches.out
    }
}

/// What lies under the first convolution's kernel at each of its outputs.
fn gather(large: &[f32], out: &mut [Lane]) {
    let plane = FIRST * FIRST;
    for (i, (y, x)) in (0..FIRST).flat_map(|y| (0..FIRST).map(move |x| (y, x))).enumerate() {
        for row in 0..3 {
            let from = &large[((2 * y + row) * SIDE + 2 * x) * 3..][..9];
            for (k, &value) in from.iter().enumerate().map(|(k, value)| (row * 9 + k, value)) {
                out[k / LANES * plane + i].0[k % LANES] = value;
            }
        }
        // Behind them is whatever was there.
        out[UNDER / LANES * plane + i].0[UNDER % LANES..].fill(0.0);
    }
}
