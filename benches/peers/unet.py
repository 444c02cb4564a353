"""The U-Net of improved-diffusion (Nichol and Dhariwal 2021) in PyTorch, as a Python user would run it.

Parameters have improved-diffusion's names, so that files of weights load as they are; `patch` is this project's addition, a
pixel-unshuffle in front and the shuffle behind.
"""

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional as F

GROUPS = 32

# The DEIS-SN authors' CIFAR-10 network (experiments/authors-cifar10.toml): 52.5 M parameters. improved-diffusion's default for images of
# 32x32 has two residual blocks a level: 39.6 M.
AUTHORS: dict[str, Any] = {
    "patch": 1,
    "model_channels": 128,
    "channel_mult": [1, 2, 2, 2],
    "num_res_blocks": 3,
    "attention_ds": [2, 4],
    "num_heads": 4,
    "scale_shift": True,
}


class Layer(nn.Module):
    """What a block consists of: called with features and the activated embedding of the time."""

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        raise NotImplementedError


class Stem(nn.Conv2d):
    """The first convolution, called as every layer is."""

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        return super().forward(x)


class Residual(Layer):
    """Two convolutions, with the time in between as scale and shift, or added."""

    def __init__(self, inputs: int, outputs: int, width: int, scale_shift: bool) -> None:
        super().__init__()
        self.scale_shift = scale_shift
        self.in_layers = nn.Sequential(
            nn.GroupNorm(GROUPS, inputs), nn.SiLU(inplace=True), nn.Conv2d(inputs, outputs, 3, padding=1)
        )
        # The activation in front is every block's, and computed once.
        self.emb_layers = nn.Sequential(nn.Identity(), nn.Linear(width, 2 * outputs if scale_shift else outputs))
        norm, conv = nn.GroupNorm(GROUPS, outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.out_layers = nn.Sequential(norm, nn.SiLU(inplace=True), nn.Identity(), conv)
        self.skip_connection = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.in_layers(x)
        embedding = self.emb_layers(embedding)[:, :, None, None]
        if self.scale_shift:
            scale, shift = embedding.chunk(2, dim=1)
            h = torch.addcmul(shift, self.out_layers[0](h), 1 + scale)
            h = self.out_layers[1:](h)
        else:
            h = self.out_layers(h + embedding)
        return self.skip_connection(x) + h


class Attention(Layer):
    """Self-attention over positions; channels of `qkv` are, per head, the query, then the key, then the value."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        y = self.qkv(self.norm(x).reshape(batch, channels, height * width))
        query, key, value = y.reshape(batch, self.heads, 3, channels // self.heads, height * width).transpose(3, 4).unbind(2)
        y = F.scaled_dot_product_attention(query, key, value)
        y = self.proj_out(y.transpose(2, 3).reshape(batch, channels, height * width))
        return x + y.reshape(x.shape)


class Down(Layer):
    """Half the side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        return self.op(x)


class Up(Layer):
    """Twice the side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class UNet(nn.Module):
    """The network: x `[batch, 3, side, side]` and timesteps `[batch]` or `[1]` to an output of the shape of x."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.patch: int = config.get("patch", 1)
        first: int = config["model_channels"]
        width, ends = 4 * first, 3 * self.patch**2
        attended, heads, scale_shift = set(config["attention_ds"]), config["num_heads"], config["scale_shift"]
        mults, depth = config["channel_mult"], config["num_res_blocks"]

        def stage(inputs: int, outputs: int, factor: int) -> list[nn.Module]:
            layers: list[nn.Module] = [Residual(inputs, outputs, width, scale_shift)]
            return [*layers, Attention(outputs, heads)] if factor in attended else layers

        self.time_embed = nn.Sequential(nn.Linear(first, width), nn.SiLU(), nn.Linear(width, width))
        channels, factor = first * mults[0], 1
        self.input_blocks = nn.ModuleList([nn.ModuleList([Stem(ends, channels, 3, padding=1)])])
        skips = [channels]
        for level, mult in enumerate(mults):
            for _ in range(depth):
                self.input_blocks.append(nn.ModuleList(stage(channels, mult * first, factor)))
                channels = mult * first
                skips.append(channels)
            if level + 1 < len(mults):
                self.input_blocks.append(nn.ModuleList([Down(channels)]))
                skips.append(channels)
                factor *= 2
        middle = [Residual(channels, channels, width, scale_shift), Attention(channels, heads)]
        self.middle_block = nn.ModuleList([*middle, Residual(channels, channels, width, scale_shift)])
        self.output_blocks = nn.ModuleList()
        for level, mult in reversed(list(enumerate(mults))):
            for i in range(depth + 1):
                layers = stage(channels + skips.pop(), mult * first, factor)
                channels = mult * first
                if level > 0 and i == depth:
                    layers.append(Up(channels))
                    factor //= 2
                self.output_blocks.append(nn.ModuleList(layers))
        self.out = nn.Sequential(nn.GroupNorm(GROUPS, channels), nn.SiLU(inplace=True), nn.Conv2d(channels, ends, 3, padding=1))
        half = first // 2
        self.register_buffer("frequencies", torch.exp(-math.log(1e4) * torch.arange(half) / half), persistent=False)

    def forward(self, x: Tensor, timesteps: Tensor) -> Tensor:
        angles = timesteps[:, None] * self.frequencies[None]
        embedding = F.silu(self.time_embed(torch.cat([angles.cos(), angles.sin()], dim=1)))
        h = F.pixel_unshuffle(x, self.patch) if self.patch > 1 else x
        skips = []
        for block in self.input_blocks:
            for layer in block:
                h = layer(h, embedding)
            skips.append(h)
        for layer in self.middle_block:
            h = layer(h, embedding)
        for block in self.output_blocks:
            h = torch.cat([h, skips.pop()], dim=1)
            for layer in block:
                h = layer(h, embedding)
        h = self.out(h)
        return F.pixel_shuffle(h, self.patch) if self.patch > 1 else h


def load(path: Path, config: dict[str, Any] | None = None) -> tuple[UNet, str]:
    """The network of a safetensors file, and what it predicts; the file's metadata say both unless `config` is given."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name).float() for name in file.keys()}
    network = UNet(config or json.loads(metadata["config"]))
    network.load_state_dict(tensors)
    return network.eval().requires_grad_(False), metadata.get("prediction", "epsilon")


def write_random(path: Path, config: dict[str, Any] = AUTHORS, seed: int = 0) -> None:
    """A file of random weights that both sides load. No layer starts at zero, so that every one of them shows in the output."""
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    tensors = {name: tensor.contiguous() for name, tensor in UNet(config).state_dict().items()}
    save_file(tensors, path, {"config": json.dumps(config), "prediction": "epsilon", "schedule": "linear"})
