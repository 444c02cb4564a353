"""The peer's side of a comparison: a process that loads one thing, and then times it as it is told, line by line.

    worker.py unet WEIGHTS | inception ARCHIVE | frechet A.npz B.npz

A line is a JSON object, and so is every answer: {"do": "output", "variant", "batch", "input", "output"} computes one batch from
a file of numbers into another, {"do": "time", "variant", "batch", "seconds"} counts how much is done in so many seconds;
what was not computed before is computed once without counting. `benches/speed.rs` answers the same lines for fewstep.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import frechet
import inception
import sampling

TAU = 0.5


class UNet:
    """Noise predictions at one time, in either memory layout."""

    variants = ("contiguous", "channels_last")

    def __init__(self, weights: str) -> None:
        self.networks = {layout: sampling.predictor(Path(weights), layout) for layout in self.variants}

    def input(self, values: np.ndarray, batch: int, layout: str) -> Tensor:
        return images(values.view("<f4"), batch).contiguous(memory_format=sampling.memory_format(layout))

    def __call__(self, x: Tensor, layout: str) -> Tensor:
        return self.networks[layout](x, TAU)

    def random(self, batch: int) -> np.ndarray:
        return np.random.default_rng(0).standard_normal(batch * 3072, np.float32).view(np.uint8)


class Inception:
    """pytorch-fid's features of 8-bit images of 32x32, in either memory layout."""

    variants = ("contiguous", "channels_last")

    def __init__(self, archive: str) -> None:
        formats = {layout: sampling.memory_format(layout) for layout in self.variants}
        self.networks = {layout: inception.load(Path(archive)).to(memory_format=form) for layout, form in formats.items()}

    def input(self, values: np.ndarray, batch: int, layout: str) -> Tensor:
        pixels = torch.from_numpy(values.reshape(batch, sampling.SIDE, sampling.SIDE, 3).copy()).permute(0, 3, 1, 2)
        return pixels.contiguous(memory_format=sampling.memory_format(layout))

    def __call__(self, x: Tensor, layout: str) -> Tensor:
        return inception.features(self.networks[layout], x.float() / 255)

    def random(self, batch: int) -> np.ndarray:
        return np.random.default_rng(0).integers(0, 256, batch * 3072, np.uint8)


class Frechet:
    """The distance of two files of moments; the batch is 1."""

    variants = {"sqrtm": frechet.by_sqrtm, "numpy": frechet.by_eigenvalues}

    def __init__(self, *files: str) -> None:
        self.gaussians = [(moments["mu"], moments["sigma"]) for moments in map(np.load, files)]

    def input(self, values: np.ndarray, batch: int, form: str) -> None:
        return None

    def __call__(self, x: None, form: str) -> Tensor:
        return torch.tensor([self.variants[form](*self.gaussians)], dtype=torch.float64)

    def random(self, batch: int) -> np.ndarray:
        return np.empty(0, np.uint8)


def images(values: np.ndarray, batch: int) -> Tensor:
    """`[batch, 3, side, side]`."""
    return torch.from_numpy(values.reshape(batch, 3, sampling.SIDE, sampling.SIDE).copy())


def timed(call: Callable[[], Any], seconds: float) -> tuple[int, float]:
    """How often `call` was called in at least so many seconds, and how many it took."""
    count, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds or count == 0:
        call()
        count += 1
    return count, passed


def answer(work: Any, asked: dict[str, Any], warm: set[tuple[str, int]]) -> dict[str, Any]:
    """What one line asks for; `warm` are the variants and batches that were computed before."""
    variant, batch = asked["variant"], asked["batch"]
    cold = (variant, batch) not in warm
    warm.add((variant, batch))
    if asked["do"] == "output":
        x = work.input(np.fromfile(asked["input"], np.uint8), batch, variant)
        work(x, variant).contiguous().numpy().tofile(asked["output"])
        return {}
    x = work.input(work.random(batch), batch, variant)
    if cold:
        work(x, variant)
    count, seconds = timed(lambda: work(x, variant), asked["seconds"])
    return {"count": count * batch, "seconds": seconds}


def main() -> None:
    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    kinds = {"unet": UNet, "inception": Inception, "frechet": Frechet}
    with torch.inference_mode():
        work = kinds[sys.argv[1]](*sys.argv[2:])
        warm: set[tuple[str, int]] = set()
        for line in sys.stdin:
            print(json.dumps(answer(work, json.loads(line), warm)), flush=True)


if __name__ == "__main__":
    main()
