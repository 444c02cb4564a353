"""The network that the field measures on, in its size: EDM's DDPM++ with 55.7 million parameters, of random weights. Ours alone.

Its file cannot be fetched by package name; its shape can be made, by a training of one step on one image.
"""

import json
import struct
from math import prod

import numpy as np

from process import Side, run
from results import Results, digits, say
from settings import Settings

# SongUNet's arguments in edm-cifar10-32x32-uncond-vp.pkl, as `crates/model/src/layout/edm.rs` translates them.
TRAINING = """title = "EDM's network"
data = "image.npz"
size = 32
prediction = "epsilon"

[model]
form = "ddpm++"
model_channels = 128
channel_mult = [2, 2, 2]
num_res_blocks = 4
attention_ds = [2]
num_heads = 1
scale_shift = false
dropout = 0.13
norm_epsilon = 1e-6
sin_first = true
frequency_shift = 1

[training]
steps = 1
batch = 1
learning_rate = 1e-4
rate = "constant"
ema = 0.5

[output]
samples = 1
nfe = 1
"""
# What EDM's paper gives its network (arXiv 2206.00364, table 7): 56 million.
PARAMETERS = (55.0e6, 56.5e6)
BATCHES = (2, 16)


def edm(settings: Settings, results: Results) -> None:
    """Into `edm.csv`."""
    np.savez(settings.folder / "image.npz", arr_0=np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8))
    file, out = settings.folder / "edm.toml", settings.folder / "edm"
    file.write_text(TRAINING)
    run(settings.fewstep, "train", file, "--out", out)
    # Beside it lies the training's state, four times as large.
    weights = out / "model.safetensors"
    with weights.open("rb") as opened:
        header = json.loads(opened.read(struct.unpack("<Q", opened.read(8))[0]))
    parameters = sum(prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
    if not PARAMETERS[0] < parameters < PARAMETERS[1]:
        raise SystemExit(f"{parameters} parameters, where EDM's network has 55.7 million")
    rows = []
    for batch in BATCHES:
        side = Side(settings.ours, "unet", weights)
        rates = [side.rate("split", batch, settings.seconds) for _ in range(settings.rounds)]
        figures = {"evaluations_per_second": digits(float(np.median(rates))), "least": digits(min(rates)), "greatest": digits(max(rates))}
        rows.append({"parameters": parameters, "batch": batch, **figures, "peak_mib": digits(side.end())})
        say(", ".join(f"{key} {value}" for key, value in rows[-1].items()))
    results.write("edm.csv", rows)
