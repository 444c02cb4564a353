"""Small vision transformers with random weights and their features, by the original libraries.

    pip install torch==2.* transformers==4.57.1 pillow==12.0.0 numpy
    git clone https://github.com/facebookresearch/dinov2
    PYTHONPATH=dinov2 python make_vit.py

Pillow is one before 13, which resizes some images in the other order, lines first.

Writes vit/NAME/model.safetensors with config.json as `save_pretrained` does, and vit/golden.json: features of three
images, and hashes of Pillow's resized pixels. The networks are transformers'; `dinov2`, whose table of positions has to be
interpolated, is run by the authors' own code too, and the two are held to each other here.
"""

import hashlib
import json
import math
import os
from pathlib import Path

import numpy as np
import torch
from dinov2.models.vision_transformer import DinoVisionTransformer
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, Dinov2Config, Dinov2Model

HERE = Path(__file__).parent / "vit"
SIZES = [(32, 32), (30, 41), (300, 261)]
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def pixels(height: int, width: int) -> np.ndarray:
    """An image `[height, width, 3]` by a formula that the tests have too: smooth, with edges at both ends of the range."""
    y, x, channel = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return ((5 * x + 3 * y + 70 * channel + x * y % 23 * 4) % 256).astype(np.uint8)


def randomise(model: torch.nn.Module, seed: int) -> None:
    """Weights such that features depend on every part: transformers' own start is close to 0."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.named_parameters():
        noise = torch.randn(tensor.shape, generator=generator)
        if "norm" in name and name.endswith("weight") or "lambda" in name:
            values = 1 + 0.2 * noise
        elif tensor.dim() < 2:
            values = 0.2 * noise
        elif "position" in name or "token" in name:
            values = 0.5 * noise
        else:
            values = 1.5 * noise / math.sqrt(tensor[0].numel())
        tensor.data.copy_(values)


def save(model, name: str, kind: torch.dtype) -> None:
    """Keeps the weights in `kind`, and computes with what was kept."""
    model.to(kind).save_pretrained(HERE / name)
    model.to(torch.float32).eval()
    (HERE / name / "README.md").unlink(missing_ok=True)


def to_tensor(image: Image.Image) -> torch.Tensor:
    """As torchvision's ToTensor and Normalize, which dgm-eval (Stein et al. 2023) uses."""
    x = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float().div(255)
    mean, std = (torch.tensor(IMAGENET[key]).reshape(3, 1, 1) for key in ("mean", "std"))
    return ((x - mean) / std)[None]


def stretched(height: int, width: int) -> torch.Tensor:
    return to_tensor(Image.fromarray(pixels(height, width)).resize((224, 224), Image.BICUBIC))


def authors(model: Dinov2Model) -> DinoVisionTransformer:
    """The same weights in the authors' network, as their hub builds it: interpolation with its offset of 0.1."""
    config = model.config
    theirs = DinoVisionTransformer(
        img_size=config.image_size,
        patch_size=config.patch_size,
        embed_dim=config.hidden_size,
        depth=config.num_hidden_layers,
        num_heads=config.num_attention_heads,
        init_values=1.0,
        block_chunks=0,
        interpolate_offset=0.1,
    )
    state = {
        "cls_token": model.embeddings.cls_token,
        "mask_token": model.embeddings.mask_token,
        "pos_embed": model.embeddings.position_embeddings,
        "patch_embed.proj.weight": model.embeddings.patch_embeddings.projection.weight,
        "patch_embed.proj.bias": model.embeddings.patch_embeddings.projection.bias,
        "norm.weight": model.layernorm.weight,
        "norm.bias": model.layernorm.bias,
    }
    for i, layer in enumerate(model.encoder.layer):
        for part in ("weight", "bias"):
            at = layer.attention.attention
            qkv = [getattr(linear, part) for linear in (at.query, at.key, at.value)]
            state[f"blocks.{i}.attn.qkv.{part}"] = torch.cat(qkv)
            state[f"blocks.{i}.attn.proj.{part}"] = getattr(layer.attention.output.dense, part)
            for name in ("norm1", "norm2"):
                state[f"blocks.{i}.{name}.{part}"] = getattr(getattr(layer, name), part)
            for name in ("fc1", "fc2"):
                state[f"blocks.{i}.mlp.{name}.{part}"] = getattr(getattr(layer.mlp, name), part)
        state[f"blocks.{i}.ls1.gamma"] = layer.layer_scale1.lambda1
        state[f"blocks.{i}.ls2.gamma"] = layer.layer_scale2.lambda1
    theirs.load_state_dict(state, strict=True)
    return theirs.eval()


@torch.no_grad()
def interpolated() -> dict:
    """Positions 5 by 5, asked for 16 by 16: by the authors' code, and by transformers with the table that it computes."""
    config = Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=4, image_size=70, patch_size=14
    )
    model = Dinov2Model(config)
    randomise(model, 0)
    save(model, "dinov2", torch.float16)
    theirs = authors(model)
    images = [stretched(*size) for size in SIZES]
    features = [theirs(image)[0] for image in images]
    tokens = torch.zeros(1, 257, 32)
    model.embeddings.position_embeddings.data = theirs.interpolate_pos_encoding(tokens, 224, 224)
    for image, feature in zip(images, features):
        other = model(image).pooler_output[0]
        assert (other - feature).norm() < 1e-6 * feature.norm(), (other, feature)
    return {"features": [feature.tolist() for feature in features]}


@torch.no_grad()
def plain() -> dict:
    """Positions that are as many as there are patches, by transformers alone."""
    config = Dinov2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=1, mlp_ratio=2, image_size=224, patch_size=16
    )
    model = Dinov2Model(config)
    randomise(model, 1)
    save(model, "dinov2-plain", torch.bfloat16)
    return {"features": [model(stretched(*size)).pooler_output[0].tolist() for size in SIZES]}


@torch.no_grad()
def clip() -> dict:
    """A whole CLIP, its text tower too, whose image embedding is taken."""
    vision = {
        "hidden_size": 24, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 3,
        "image_size": 64, "patch_size": 8,
    }
    text = {
        "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1,
        "vocab_size": 12, "max_position_embeddings": 4, "bos_token_id": 0, "eos_token_id": 1,
    }
    model = CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=20))
    randomise(model, 2)
    save(model, "clip", torch.float32)
    processor = CLIPImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
    images = [processor(Image.fromarray(pixels(*size)), return_tensors="pt")["pixel_values"] for size in SIZES]
    return {"features": [model.get_image_features(image)[0].tolist() for image in images]}


def resized() -> list:
    """SHA-256 of Pillow's bicubic pixels, up and down."""
    cases = []
    for height, width in SIZES:
        for to in [(224, 224), (64, 64), (17, 224), (height, 50), (1, 1)]:
            image = Image.fromarray(pixels(height, width)).resize((to[1], to[0]), Image.BICUBIC)
            cases.append({"from": [height, width], "to": to, "sha256": hashlib.sha256(image.tobytes()).hexdigest()})
    return cases


golden = {"sizes": SIZES, "dinov2": interpolated(), "dinov2-plain": plain(), "clip": clip(), "resized": resized()}
(HERE / "golden.json").write_text(json.dumps(golden) + "\n")
