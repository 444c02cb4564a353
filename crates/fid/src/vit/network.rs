//! The network: patches and a class token through blocks of attention, in burn's operations.

use burn::tensor::{
    Device, Tensor, TensorData,
    activation::{gelu, sigmoid, softmax},
    module::{layer_norm, linear},
};

use super::{
    config::{Activation, Config, Family},
    positions::interpolated,
    prepare::Preparation,
    tensors::Tensors,
};
use crate::Result;

/// y = x W + b, W `[input, output]`.
struct Linear {
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
}

/// Layer normalisation with scale and shift.
struct Norm {
    scale: Tensor<1>,
    shift: Tensor<1>,
    epsilon: f64,
}

/// x + λ₁ Attention(Norm x), then x + λ₂ Network(Norm x); λ is 1 in CLIP.
struct Block {
    norms: [Norm; 2],
    /// Queries, keys and values side by side.
    qkv: Linear,
    out: Linear,
    network: [Linear; 2],
    scales: [Option<Tensor<1>>; 2],
}

/// A loaded network.
pub(super) struct Network {
    pub preparation: Preparation,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Of a token.
    pub width: usize,
    /// Of a row of features.
    pub dim: usize,
    pub layers: usize,
    /// Patches a side in the table of positions.
    pub stored: usize,
    config: Config,
    device: Device,
    patches: Linear,
    /// The class token with its position, `[1, 1, width]`.
    class: Tensor<3>,
    /// Of the patches, `[1, grid², width]`.
    positions: Tensor<3>,
    /// CLIP's first.
    before: Option<Norm>,
    blocks: Vec<Block>,
    after: Norm,
    /// CLIP's last.
    projection: Option<Linear>,
}

/// What the two families call the same things.
struct Names {
    class: &'static str,
    patches: &'static str,
    positions: &'static str,
    blocks: &'static str,
    norms: [&'static str; 2],
    qkv: [&'static str; 3],
    out: &'static str,
    after: &'static str,
}

const DINOV2: Names = Names {
    class: "embeddings.cls_token",
    patches: "embeddings.patch_embeddings.projection",
    positions: "embeddings.position_embeddings",
    blocks: "encoder.layer",
    norms: ["norm1", "norm2"],
    qkv: ["attention.attention.query", "attention.attention.key", "attention.attention.value"],
    out: "attention.output.dense",
    after: "layernorm",
};

const CLIP: Names = Names {
    class: "vision_model.embeddings.class_embedding",
    patches: "vision_model.embeddings.patch_embedding",
    positions: "vision_model.embeddings.position_embedding.weight",
    blocks: "vision_model.encoder.layers",
    norms: ["layer_norm1", "layer_norm2"],
    qkv: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    out: "self_attn.out_proj",
    after: "vision_model.post_layernorm",
};

/// Reads parts of a network onto a device.
struct Reader<'a> {
    tensors: &'a Tensors<'a>,
    device: &'a Device,
    epsilon: f64,
}

impl Reader<'_> {
    fn vector(&self, name: &str, len: usize) -> Result<Tensor<1>> {
        Ok(Tensor::from_data(TensorData::new(self.tensors.take(name, &[len])?, [len]), self.device))
    }

    /// Layers that read the same, side by side; PyTorch's weights are `[output, input]`.
    fn linears(&self, names: &[String], input: usize, output: usize, biased: bool) -> Result<Linear> {
        let total = names.len() * output;
        let (mut weight, mut biases) = (vec![0.0; input * total], Vec::new());
        for (part, name) in names.iter().enumerate() {
            let values = self.tensors.take(&format!("{name}.weight"), &[output, input])?;
            for (at, value) in values.into_iter().enumerate() {
                weight[at % input * total + part * output + at / input] = value;
            }
            if biased {
                biases.extend(self.tensors.take(&format!("{name}.bias"), &[output])?);
            }
        }
        let weight = Tensor::from_data(TensorData::new(weight, [input, total]), self.device);
        let bias = biased.then(|| Tensor::from_data(TensorData::new(biases, [total]), self.device));
        Ok(Linear { weight, bias })
    }

    fn linear(&self, name: String, input: usize, output: usize) -> Result<Linear> {
        self.linears(&[name], input, output, true)
    }

    fn norm(&self, name: &str, width: usize) -> Result<Norm> {
        let part = |part: &str| self.vector(&format!("{name}.{part}"), width);
        Ok(Norm { scale: part("weight")?, shift: part("bias")?, epsilon: self.epsilon })
    }

    fn block(&self, names: &Names, prefix: &str, width: usize, scaled: bool) -> Result<Block> {
        let name = |part: &str| format!("{prefix}.{part}");
        let [inner, _] = self.tensors.shape(&name("mlp.fc1.weight"))?;
        let scale = |part| scaled.then(|| self.vector(&name(part), width)).transpose();
        Ok(Block {
            norms: [self.norm(&name(names.norms[0]), width)?, self.norm(&name(names.norms[1]), width)?],
            qkv: self.linears(&names.qkv.map(name), width, width, true)?,
            out: self.linear(name(names.out), width, width)?,
            network: [self.linear(name("mlp.fc1"), width, inner)?, self.linear(name("mlp.fc2"), inner, width)?],
            scales: [scale("layer_scale1.lambda1")?, scale("layer_scale2.lambda1")?],
        })
    }
}

impl Network {
    /// Of all tensors of a file, but for those of other towers.
    pub fn read(tensors: &Tensors, config: Config, device: &Device) -> Result<Self> {
        let reader = Reader { tensors, device, epsilon: config.epsilon };
        let is_clip = config.family == Family::Clip;
        let names = if is_clip { &CLIP } else { &DINOV2 };
        let weight = format!("{}.weight", names.patches);
        let [width, channels, patch, other] = tensors.shape(&weight)?;
        if channels != 3 || patch != other || patch == 0 || width == 0 {
            let found = [width, channels, patch, other];
            return Err(
                tensors.invalid(format!("tensor {weight} has shape {found:?}; expected [width, 3, patch, patch]"))
            );
        }
        if config.width.is_some_and(|said| said != width) || !width.is_multiple_of(config.heads) {
            let said = config.width.map_or(String::new(), |said| format!(" and hidden_size {said}"));
            let message = format!("config.json beside it has {} attention heads{said}", config.heads);
            return Err(tensors.invalid(format!("tensor {weight} is {width} wide; {message}: not this network's")));
        }
        let count =
            if is_clip { tensors.shape::<2>(names.positions)?[0] } else { tensors.shape::<3>(names.positions)?[1] };
        let stored = count.saturating_sub(1).isqrt();
        if stored == 0 || stored * stored + 1 != count {
            let message = format!("{count} positions; expected a class token's and those of a square of patches");
            return Err(tensors.invalid(format!("tensor {} has {message}", names.positions)));
        }
        let preparation = if is_clip { Preparation::clip(stored * patch) } else { Preparation::dinov2() };
        let side = preparation.side;
        if !side.is_multiple_of(patch) || side > MAX_SIDE || side / patch > MAX_GRID {
            let message = format!(
                "patches of side {patch}, for images of side {side}; expected sides of images up to {MAX_SIDE}"
            );
            let message = format!("{message} that patches divide, into at most {MAX_GRID}");
            return Err(tensors.invalid(format!("tensor {weight} has {message}")));
        }
        let grid = preparation.side / patch;

        let class =
            if is_clip { tensors.take(names.class, &[width])? } else { tensors.take(names.class, &[1, 1, width])? };
        let input = 3 * patch * patch;
        // CLIP's patches have no bias.
        let mut of_patches = tensors.take(&weight, &[width, 3, patch, patch])?;
        of_patches = transposed(&of_patches, width, input);
        let patches = Linear {
            weight: Tensor::from_data(TensorData::new(of_patches, [input, width]), device),
            bias: (!is_clip).then(|| reader.vector(&format!("{}.bias", names.patches), width)).transpose()?,
        };
        let shape = [1, count, width];
        let table = tensors.take(names.positions, if is_clip { &shape[1..] } else { &shape })?;
        let class: Vec<f32> = class.iter().zip(&table).map(|(class, position)| class + position).collect();
        let positions = interpolated(&table[width..], stored, grid, width);
        let before = is_clip.then(|| reader.norm("vision_model.pre_layrnorm", width)).transpose()?;
        let mut blocks = Vec::new();
        // The first is asked for, whether or not it is there.
        while blocks.is_empty() || tensors.has(&format!("{}.{}.", names.blocks, blocks.len())) {
            blocks.push(reader.block(names, &format!("{}.{}", names.blocks, blocks.len()), width, !is_clip)?);
        }
        let after = reader.norm(names.after, width)?;
        let last = "visual_projection";
        let dim = if is_clip { tensors.shape::<2>(&format!("{last}.weight"))?[0] } else { width };
        let projection = is_clip.then(|| reader.linears(&[last.to_owned()], width, dim, false)).transpose()?;
        Ok(Network {
            preparation,
            patch,
            width,
            dim,
            layers: blocks.len(),
            stored,
            config,
            device: device.clone(),
            patches,
            class: Tensor::from_data(TensorData::new(class, [1, 1, width]), device),
            positions: Tensor::from_data(TensorData::new(positions, [1, grid * grid, width]), device),
            before,
            blocks,
            after,
            projection,
        })
    }

    /// Whose it is.
    pub fn family(&self) -> Family {
        self.config.family
    }

    /// What features depend on besides tensors' values.
    pub fn shape(&self) -> impl serde::Serialize + '_ {
        (&self.config, self.patch, self.width, self.layers, self.stored)
    }

    /// Features `[n, dim]` of patches `[n, grid², 3 · patch²]`.
    pub fn forward(&self, patches: Vec<f32>, n: usize) -> Tensor<2> {
        let shape = [n, patches.len() / n / (3 * self.patch * self.patch), 3 * self.patch * self.patch];
        let x = Tensor::<3>::from_data(TensorData::new(patches, shape), &self.device);
        let x = self.patches.forward(x) + self.positions.clone();
        let x = Tensor::cat(vec![self.class.clone().expand([n, 1, self.width]), x], 1);
        let x = match &self.before {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x, &self.config));
        // What the others' tokens would become is asked by nobody.
        let class = x.slice([0..n, 0..1, 0..self.width]);
        let class = self.after.forward(class);
        let features = match &self.projection {
            Some(last) => last.forward(class),
            None => class,
        };
        features.reshape([n, self.dim])
    }
}

/// Side of the largest image that goes through a network here.
const MAX_SIDE: usize = 1024;
/// Patches a side: what a small file may ask of memory for positions.
const MAX_GRID: usize = 64;

/// `[rows, columns]` as `[columns, rows]`.
fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}

impl Linear {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        linear(x, self.weight.clone(), self.bias.clone())
    }
}

impl Norm {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        layer_norm(x, self.scale.clone(), Some(self.shift.clone()), self.epsilon)
    }
}

impl Block {
    fn forward(&self, x: Tensor<3>, config: &Config) -> Tensor<3> {
        let scaled = |x: Tensor<3>, index: usize| match &self.scales[index] {
            Some(scale) => x * scale.clone().reshape([1, 1, -1]),
            None => x,
        };
        let attended = self.attention(self.norms[0].forward(x.clone()), config.heads);
        let x = x + scaled(attended, 0);
        let inner = self.network[0].forward(self.norms[1].forward(x.clone()));
        let inner = match config.activation {
            Activation::Gelu => gelu(inner),
            Activation::QuickGelu => inner.clone() * sigmoid(inner * 1.702),
        };
        x + scaled(self.network[1].forward(inner), 1)
    }

    /// softmax(Q Kᵗ / √d) V in each of `heads`, of d numbers of a token each.
    fn attention(&self, x: Tensor<3>, heads: usize) -> Tensor<3> {
        let [n, tokens, width] = x.dims();
        let qkv = self.qkv.forward(x);
        let part = |index: usize| {
            let part = qkv.clone().slice([0..n, 0..tokens, index * width..(index + 1) * width]);
            part.reshape([n, tokens, heads, width / heads]).swap_dims(1, 2)
        };
        let scores = (part(0) / ((width / heads) as f64).sqrt()).matmul(part(1).swap_dims(2, 3));
        let mixed = softmax(scores, 3).matmul(part(2));
        self.out.forward(mixed.swap_dims(1, 2).reshape([n, tokens, width]))
    }
}
