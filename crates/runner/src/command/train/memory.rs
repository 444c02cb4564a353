//! What a training would take of memory, said before anything of it is taken.

use std::ops::Range;

use fewstep_model::{Form, UNetConfig};

use crate::{
    experiment::CHANNELS,
    failure::Result,
    source::{MEMORY, Source},
};

/// Bytes of a number.
const SINGLE: usize = 4;
/// Numbers that are kept of a weight: its own, its average, and AdamW's two moments.
const OF_WEIGHT: usize = 4;
/// Images that are made of one: it with its noise, and what is to be predicted.
const OF_IMAGE: usize = 2;

/// What a network has, counted as `fewstep-model` builds it.
pub struct Numbers {
    /// Weights.
    weights: usize,
    /// Of one image, what convolutions and attention give, which a gradient needs: less than all that is kept for it.
    given: usize,
}

impl Numbers {
    /// Of a network that was checked, on images of a size that it takes.
    pub fn of(config: &UNetConfig, size: usize) -> Self {
        let side = size / config.patch;
        let mut walk = Walk { config, area: side * side, numbers: Numbers { weights: 0, given: 0 } };
        walk.network();
        walk.numbers
    }
}

/// A network's layers, one after another.
struct Walk<'a> {
    config: &'a UNetConfig,
    /// Pixels where it is.
    area: usize,
    numbers: Numbers,
}

impl Walk<'_> {
    fn network(&mut self) {
        let config = self.config;
        let UNetConfig { model_channels, num_res_blocks, form, classes, .. } = *config;
        let (plus, pixels) = (form == Form::DdpmPlusPlus, config.channels * config.patch.pow(2));
        let widths: Vec<usize> = config.channel_mult.iter().map(|multiple| multiple * model_channels).collect();
        let attends = |ds: usize| config.attention_ds.contains(&ds);
        self.linear(model_channels, 4 * model_channels);
        self.linear(4 * model_channels, 4 * model_channels);
        if classes > 0 {
            self.linear(classes, model_channels);
        }
        let mut channels = if plus { model_channels } else { widths[0] };
        self.conv(pixels, channels, 3);
        let (mut skips, mut ds) = (vec![channels], 1);
        for (level, &width) in widths.iter().enumerate() {
            for _ in 0..num_res_blocks {
                self.block(channels, width, attends(ds));
                channels = width;
                skips.push(channels);
            }
            if level + 1 < widths.len() {
                (ds, self.area) = (2 * ds, self.area / 4);
                self.resampled(channels, plus);
                skips.push(channels);
            }
        }
        self.residual(channels, channels, false);
        self.attention(channels, !config.bare_middle);
        self.residual(channels, channels, false);
        for (level, &width) in widths.iter().enumerate().rev() {
            for i in 0..=num_res_blocks {
                let last = i == num_res_blocks;
                let skip = skips.pop().unwrap_or_default();
                self.block(channels + skip, width, attends(ds) && (last || !plus));
                channels = width;
                if level > 0 && last {
                    (ds, self.area) = (ds / 2, self.area * 4);
                    self.resampled(channels, plus);
                }
            }
        }
        self.norm(channels);
        self.conv(channels, if config.learn_sigma { 2 * pixels } else { pixels }, 3);
    }

    /// A residual block, and attention where it has it.
    fn block(&mut self, input: usize, output: usize, attends: bool) {
        self.residual(input, output, false);
        if attends {
            self.attention(output, true);
        }
    }

    /// Up or down, to pixels as many as there are now.
    fn resampled(&mut self, channels: usize, by_block: bool) {
        if by_block { self.residual(channels, channels, true) } else { self.conv(channels, channels, 3) }
    }

    fn residual(&mut self, input: usize, output: usize, resamples: bool) {
        self.norm(input);
        self.conv(input, output, 3);
        self.linear(4 * self.config.model_channels, if self.config.scale_shift { 2 * output } else { output });
        self.norm(output);
        self.conv(output, output, 3);
        if input != output || resamples {
            self.conv(input, output, 1);
        }
    }

    fn attention(&mut self, channels: usize, normalised: bool) {
        let heads = self.config.head_channels.map_or(self.config.num_heads, |width| channels / width);
        if normalised {
            self.norm(channels);
        }
        self.conv(channels, 3 * channels, 1);
        self.conv(channels, channels, 1);
        // How much every pixel heeds every other.
        self.give(&[heads, self.area, self.area]);
    }

    fn norm(&mut self, channels: usize) {
        self.numbers.weights += 2 * channels;
    }

    fn linear(&mut self, input: usize, output: usize) {
        self.numbers.weights += (input + 1) * output;
    }

    fn conv(&mut self, input: usize, output: usize, kernel: usize) {
        self.linear(input * kernel * kernel, output);
        self.give(&[output, self.area]);
    }

    fn give(&mut self, numbers: &[usize]) {
        let given = numbers.iter().fold(1, |all: usize, &number| all.saturating_mul(number));
        self.numbers.given = self.numbers.given.saturating_add(given);
    }
}

impl Source<'_> {
    /// A network in training.
    pub(super) fn weights_fit(&self, span: Range<usize>, config: &UNetConfig, numbers: &Numbers) -> Result<()> {
        let UNetConfig { model_channels, channel_mult, .. } = config;
        let (bytes, weights) = (OF_WEIGHT * SINGLE, numbers.weights);
        let what = format!(
            "model_channels is {model_channels} and channel_mult {channel_mult:?}; training {weights} weights, {bytes} bytes each,"
        );
        self.memory(span, what, &[weights, bytes], MEMORY)
    }

    /// A step: its images, the gradients of its parts, and what the network gives of one.
    pub(super) fn step_fits(
        &self,
        [of_batch, of_part]: [Range<usize>; 2],
        [batch, part, size]: [usize; 3],
        Numbers { weights, given }: &Numbers,
    ) -> Result<()> {
        let what =
            format!("batch is {batch}; so many images of {size}x{size}, each with noise and as it is predicted,");
        self.memory(of_batch.clone(), what, &[batch, OF_IMAGE * SINGLE, CHANNELS * size * size], MEMORY)?;
        let what = format!("batch is {batch}, in parts of {part}; for each part a gradient of {weights} weights");
        self.memory(of_batch, what, &[batch.div_ceil(part), SINGLE, *weights], MEMORY)?;
        let together = part.min(batch);
        let what = format!("part is {part}; what the network gives of {together} images of {size}x{size} together");
        self.memory(of_part, what, &[together, SINGLE, *given], MEMORY)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use fewstep_model::{Prediction, Rate, TrainSpec, Trainer};

    use super::*;

    fn built(config: UNetConfig) -> usize {
        let spec = TrainSpec {
            config,
            prediction: Prediction::V,
            steps: 1,
            batch: 1,
            part: 1,
            learning_rate: 1e-3,
            warm_up: 0,
            rate: Rate::Constant,
            betas: [0.9, 0.99],
            weight_decay: 0.0,
            clip_norm: None,
            ema: 0.9,
            flip: false,
            seed: 0,
        };
        Trainer::new(spec, &Device::flex(), true).unwrap().parameters()
    }

    #[test]
    fn weights_are_counted_as_networks_are_built() {
        let small = UNetConfig {
            model_channels: 32,
            channel_mult: vec![1, 2],
            num_res_blocks: 1,
            attention_ds: vec![2],
            num_heads: 2,
            ..UNetConfig::default()
        };
        for config in [
            small.clone(),
            UNetConfig { patch: 2, scale_shift: false, bare_middle: true, num_res_blocks: 2, ..small.clone() },
            UNetConfig { channel_mult: vec![2, 1, 3], attention_ds: vec![1, 4], learn_sigma: true, ..small.clone() },
            UNetConfig { form: Form::DdpmPlusPlus, head_channels: Some(16), num_res_blocks: 2, ..small },
        ] {
            assert_eq!(Numbers::of(&config, 16).weights, built(config.clone()), "{config:?}");
        }
    }

    #[test]
    fn what_a_layer_gives_is_counted_at_its_size() {
        let config = UNetConfig {
            model_channels: 32,
            channel_mult: vec![1],
            num_res_blocks: 1,
            attention_ds: Vec::new(),
            num_heads: 2,
            ..UNetConfig::default()
        };
        // The first convolution, residual blocks of two, of which two on the way up have a third, attention, and the last.
        let channels = 32 + 32 * (2 + 2 * 2 + 2 * 3) + 32 * (3 + 1) + 3;
        for (size, area) in [(8, 64), (16, 256)] {
            assert_eq!(Numbers::of(&config, size).given, channels * area + 2 * area * area);
        }
    }
}
