//! From SongUNet's names to improved-diffusion's.

use crate::{Result, UNetConfig, Weights};

/// Gives every tensor improved-diffusion's name, walking the architecture as SongUNet's constructor does; `size` is the side of the
/// images, which its blocks are named by.
pub(super) fn rename(config: &UNetConfig, size: usize, weights: &mut Weights) -> Result<()> {
    let mut names = Names { weights };
    for (from, to) in [("map_layer0", "time_embed.0"), ("map_layer1", "time_embed.2"), ("map_label", "label_embed")] {
        names.weights.rename_layer(from, to);
    }
    // What an augmented training image was told; samples are told nothing.
    names.weights.forget("map_augment.weight");
    let levels = config.channel_mult.len();
    let at = |level: usize| format!("{0}x{0}", size >> level);
    names.weights.rename_layer(&format!("enc.{}_conv", at(0)), "input_blocks.0.0");
    let mut block = 1;
    for level in 0..levels {
        if level > 0 {
            names.residual(&format!("enc.{}_down", at(level)), &format!("input_blocks.{block}.0"));
            block += 1;
        }
        for i in 0..config.num_res_blocks {
            let attention = config.attention_ds.contains(&(1 << level));
            names.block(&format!("enc.{}_block{i}", at(level)), &format!("input_blocks.{block}"), attention)?;
            block += 1;
        }
    }
    names.residual(&format!("dec.{}_in0", at(levels - 1)), "middle_block.0");
    names.attention(&format!("dec.{}_in0", at(levels - 1)), "middle_block.1")?;
    names.residual(&format!("dec.{}_in1", at(levels - 1)), "middle_block.2");
    let mut block = 0;
    for level in (0..levels).rev() {
        for i in 0..=config.num_res_blocks {
            let last = i == config.num_res_blocks;
            let attention = last && config.attention_ds.contains(&(1 << level));
            let to = format!("output_blocks.{block}");
            names.block(&format!("dec.{}_block{i}", at(level)), &to, attention)?;
            if last && level > 0 {
                // Here it ends a level, there it begins the next.
                let up = format!("dec.{}_up", at(level - 1));
                names.residual(&up, &format!("{to}.{}", 1 + usize::from(attention)));
            }
            block += 1;
        }
    }
    names.weights.rename_layer(&format!("dec.{}_aux_norm", at(0)), "out.0");
    names.weights.rename_layer(&format!("dec.{}_aux_conv", at(0)), "out.2");
    Ok(())
}

struct Names<'a> {
    weights: &'a mut Weights,
}

impl Names<'_> {
    fn residual(&mut self, from: &str, to: &str) {
        let layers = [
            ("norm0", "in_layers.0"),
            ("conv0", "in_layers.2"),
            ("affine", "emb_layers.1"),
            ("norm1", "out_layers.0"),
            ("conv1", "out_layers.3"),
            ("skip", "skip_connection"),
        ];
        self.weights.rename_layers(from, to, &layers);
    }

    fn block(&mut self, from: &str, to: &str, attention: bool) -> Result<()> {
        self.residual(from, &format!("{to}.0"));
        if attention { self.attention(from, &format!("{to}.1")) } else { Ok(()) }
    }

    /// Attention of one head. Its rows of query, key and value go by channel, 3c + j; here all queries are first, then all keys.
    fn attention(&mut self, from: &str, to: &str) -> Result<()> {
        self.weights.rename_layer(&format!("{from}.norm2"), &format!("{to}.norm"));
        let Some(&[rows, columns, 1, 1]) = self.weights.shape(&format!("{from}.qkv.weight")) else {
            return Err(self
                .weights
                .invalid(format!("tensor {from}.qkv.weight is missing; expected four dimensions, the last two 1")));
        };
        let channels = rows / 3;
        for (part, width) in [("weight", columns), ("bias", 1)] {
            let name = format!("{from}.qkv.{part}");
            let weight = part == "weight";
            let shape = [3 * channels, columns, 1, 1];
            let values = self.weights.values(&name, &shape[..if weight { 4 } else { 1 }])?;
            let row = |row: usize| &values[row * width..(row + 1) * width];
            let sorted = (0..3).flat_map(|j| (0..channels).flat_map(move |c| row(3 * c + j))).copied().collect();
            let shape = &shape[..if weight { 3 } else { 1 }];
            self.weights.insert(&format!("{to}.qkv.{part}"), &name, shape.to_vec(), sorted);
        }
        // A convolution of one pixel is one of one position.
        let name = format!("{from}.proj.weight");
        let weight = self.weights.values(&name, &[channels, channels, 1, 1])?;
        self.weights.insert(&format!("{to}.proj_out.weight"), &name, vec![channels, channels, 1], weight);
        self.weights.rename(&format!("{from}.proj.bias"), &format!("{to}.proj_out.bias"));
        Ok(())
    }
}
