//! The U-Net on the CPU kernels of `fewstep_conv`: the same network as [`UNet`], several times faster.
//!
//! Made of a loaded [`UNet`], so that whatever loads is compiled; tests hold the two to each other. Images go through in groups, a
//! task each: groups are there only so that weights are read from memory less often.

mod embedding;
mod layer;
mod pack;

use std::sync::{Mutex, PoisonError};

use fewstep_conv::{Channels, Conv, GroupNorm, LANES, Level, Planes, Scratch, Shape, from_pixels, to_pixels};
use rayon::prelude::*;

use super::UNet;
use embedding::{Labelled, Projections, TimeEmbedding};
use layer::{Compiled, convolve, side_by_side};
use pack::{Compiler, conv, norm};

/// Images that go through the network together, at most: so many that the weights of its smallest layers are worth reading.
const GROUP: usize = 32;

/// A [`UNet`] for this machine's cores.
pub struct CompiledUNet {
    patch: usize,
    channels: usize,
    time: TimeEmbedding,
    input_blocks: Vec<Vec<Compiled>>,
    middle_block: Vec<Compiled>,
    output_blocks: Vec<Vec<Compiled>>,
    out_norm: GroupNorm,
    out_conv: Conv,
    level: Level,
    /// What tasks that are done have left for the next.
    scratch: Mutex<Vec<Scratch>>,
}

impl CompiledUNet {
    /// Packs the weights of `unet` for the instructions of `level`.
    pub fn new(unet: &UNet, level: Level) -> CompiledUNet {
        let mut compiler = Compiler { level, projections: Vec::new() };
        let mut map = Channels::dense(unet.channels * unet.patch * unet.patch);
        let mut skips = Vec::new();
        let mut input_blocks = Vec::new();
        for block in &unet.input_blocks {
            input_blocks.push(compiler.block(&block.layers, &mut map));
            skips.push(map.clone());
        }
        let middle_block = compiler.block(&unet.middle_block.layers, &mut map);
        let mut output_blocks = Vec::new();
        for (block, skip) in unet.output_blocks.iter().zip(skips.iter().rev()) {
            map = map.followed_by(skip);
            output_blocks.push(compiler.block(&block.layers, &mut map));
        }
        let out_norm = norm(&unet.out_norm, &map, true);
        CompiledUNet {
            patch: unet.patch,
            channels: unet.channels,
            time: TimeEmbedding::new(unet, compiler.projections),
            input_blocks,
            middle_block,
            output_blocks,
            out_norm,
            out_conv: conv(&unet.out_conv, &mut map, level),
            level,
            scratch: Mutex::default(),
        }
    }

    /// Output for `x` `[images, channels, height, width]`, of the same shape, all at one timestep.
    pub fn forward(&self, x: &[f32], size: [usize; 2], timestep: f32) -> Vec<f32> {
        self.forward_of(x, size, timestep, &[])
    }

    /// As [`CompiledUNet::forward`], where the network has classes with that of every image; without any it is told of none.
    pub fn forward_of(&self, x: &[f32], [height, width]: [usize; 2], timestep: f32, classes: &[usize]) -> Vec<f32> {
        let (mut out, len) = (vec![0.0; x.len()], self.channels * height * width);
        assert!(len > 0 && x.len().is_multiple_of(len), "{} numbers are no images of {height}x{width}", x.len());
        let images = x.len() / len;
        assert!(classes.is_empty() || classes.len() == images, "{} classes of {images} images", classes.len());
        let projections: Vec<Projections> = match classes {
            [] => vec![self.time.at(timestep, None); images],
            classes => classes.iter().map(|&class| self.time.at(timestep, Some(class))).collect(),
        };
        let group = |((x, out), projections): ((&[f32], &mut [f32]), &Labelled)| {
            let kept = self.scratch.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut scratch = kept.unwrap_or_else(|| Scratch::new(self.level));
            self.group(x, [height, width], projections, out, &mut scratch);
            self.scratch.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        };
        if rayon::current_thread_index().is_some() {
            // One of many batches: the other threads have theirs, and waiting for them here would be counted as this one's time.
            x.chunks(GROUP * len).zip(out.chunks_mut(GROUP * len)).zip(projections.chunks(GROUP)).for_each(group);
        } else {
            // Every thread gets some.
            let count = images.div_ceil(rayon::current_num_threads()).min(GROUP);
            let pixels = x.par_chunks(count * len).zip(out.par_chunks_mut(count * len));
            pixels.zip(projections.par_chunks(count)).for_each(group);
        }
        out
    }

    fn group(&self, x: &[f32], size: [usize; 2], projections: &Labelled, out: &mut [f32], scratch: &mut Scratch) {
        let images = x.len() / (self.channels * size[0] * size[1]);
        let (patched, [height, width]) = (self.channels * self.patch * self.patch, size.map(|side| side / self.patch));
        let mut entry = scratch.take(images, Shape::new(patched.div_ceil(LANES), height, width));
        from_pixels(x, self.channels, self.patch, &mut entry);
        let mut skips = vec![entry];
        for block in &self.input_blocks {
            let next = chain(block, &[&skips[skips.len() - 1]], projections, scratch);
            skips.push(next);
        }
        let mut state = chain(&self.middle_block, &[&skips[skips.len() - 1]], projections, scratch);
        for block in &self.output_blocks {
            let Some(skip) = skips.pop() else { break };
            let next = chain(block, &[&state, &skip], projections, scratch);
            [skip, std::mem::replace(&mut state, next)].into_iter().for_each(|planes| scratch.give(planes));
        }
        let mut normed = scratch.take(images, state.shape().bordered([1, 1]));
        self.out_norm.run(&state, None, &mut normed, scratch);
        let last = convolve(&self.out_conv, &normed, [height, width], scratch);
        to_pixels(&last, self.channels, self.patch, out);
        skips.extend([state, normed, last]);
        skips.into_iter().for_each(|planes| scratch.give(planes));
    }
}

/// Layers one after another, the first on what `parts` are side by side.
fn chain(layers: &[Compiled], parts: &[&Planes], projections: &Labelled, scratch: &mut Scratch) -> Planes {
    let [first, rest @ ..] = layers else { return side_by_side(parts, 0..parts[0].images(), scratch) };
    rest.iter().fold(first.run(parts, projections, scratch), |state, layer| {
        let next = layer.run(&[&state], projections, scratch);
        scratch.give(state);
        next
    })
}
