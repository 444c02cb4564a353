"""The peer computes what it is taken to: its networks against golden outputs of the libraries themselves.

    python benches/peers/verify.py [ARCHIVE]

improved-diffusion's U-Net to 1e-5, and, where the archive of Inception's weights is given, pytorch-fid's features to 1e-4.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

import inception
import unet

ROOT = Path(__file__).parents[2]


def main() -> None:
    with torch.inference_mode():
        for name in ("openai-cifar-tiny", "openai-church-tiny"):
            report(f"U-Net, {name}", of_unet(ROOT / "crates/model/tests/golden" / name), 1e-5)
        if len(sys.argv) > 1:
            report("Inception", of_inception(Path(sys.argv[1])), 1e-4)


def of_unet(golden: Path) -> float:
    """The largest difference of a golden network's output."""
    network, _ = unet.load(golden.with_suffix(".safetensors"), config(json.loads(golden.with_suffix(".json").read_text())))
    io = load_file(f"{golden}.io.safetensors")
    return (network(io["x"], io["t"]) - io["eps"]).abs().max().item()


def config(theirs: dict[str, Any]) -> dict[str, Any]:
    """A configuration in improved-diffusion's words."""
    numbers = {key: [int(part) for part in theirs[key].split(",")] for key in ("channel_mult", "attention_resolutions")}
    return {
        "model_channels": theirs["model_channels"],
        "channel_mult": numbers["channel_mult"],
        "num_res_blocks": theirs["num_res_blocks"],
        "attention_ds": [theirs["sample_size"] // side for side in numbers["attention_resolutions"]],
        "num_heads": theirs["num_heads"],
        "scale_shift": theirs["use_scale_shift_norm"],
    }


def of_inception(archive: Path) -> float:
    """The largest difference of the golden features of 16 images."""
    golden = load_file(ROOT / "crates/fid/tests/golden/inception-features-16.safetensors")
    images = golden["images"].reshape(-1, 32, 32, 3).permute(0, 3, 1, 2).float() / 255
    return (inception.features(inception.load(archive), images) - golden["features"]).abs().max().item()


def report(what: str, difference: float, allowed: float) -> None:
    """Ends the run where something else is computed."""
    print(f"{what}: largest difference {difference:.1e}, allowed {allowed:.0e}", file=sys.stderr)
    if not difference <= allowed:
        sys.exit(f"{what}: this is not the network that the peer is taken for")


if __name__ == "__main__":
    main()
