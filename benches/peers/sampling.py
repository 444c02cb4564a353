"""Sampling in PyTorch with the numbers of `fewstep plan --json`, image for image from the noise that fewstep uses."""

import json
import subprocess
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import unet

SIDE = 32
LEVELS = 1000
Plan = dict[str, Any]
Epsilon = Callable[[Tensor, float], Tensor]


def plan(fewstep: Path, method: str, nfe: int, *options: str) -> Plan:
    """Coefficients and times of a method on the quadratic grid."""
    command = [str(fewstep), "plan", "--method", method, "--nfe", str(nfe), "--json", *options]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def alpha_bar(tau: float) -> float:
    """Of DDPM's schedule, linear between its 1000 levels."""
    return float(np.interp(tau * LEVELS, np.arange(LEVELS + 1), _PRODUCTS))


_PRODUCTS = np.concatenate([[1.0], np.cumprod(1 - np.linspace(1e-4, 0.02, LEVELS))])


def predictor(weights: Path, layout: str) -> Epsilon:
    """The noise prediction of a network of weights, in a memory layout: `contiguous` or `channels_last`."""
    network, prediction = unet.load(weights)
    network = network.to(memory_format=memory_format(layout))

    def epsilon(x: Tensor, tau: float) -> Tensor:
        output = network(x, torch.tensor([tau * LEVELS - 1], dtype=torch.float32))
        if prediction == "epsilon":
            return output
        level = alpha_bar(tau)
        return level**0.5 * output + (1 - level) ** 0.5 * x

    return epsilon


def memory_format(layout: str) -> torch.memory_format:
    """By its name here."""
    return {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}[layout]


def integrate(plan: Plan, epsilon: Epsilon, x: Tensor, observe: Callable[[Tensor], None] = lambda _: None) -> Tensor:
    """x at the plan's end: x <- a x + sum b_j x_(-1-j) + sum c_j eps_(-j), newest first. Without noise and thresholds."""
    steps = plan["steps"]
    states = deque(maxlen=max(len(step.get("b", [])) for step in steps))
    predictions = deque(maxlen=max(len(step["c"]) for step in steps))
    for step, tau in zip(steps, plan["tau"]):
        predictions.appendleft(epsilon(x, tau))
        observe(predictions[0])
        following = x * step["a"]
        for factor, term in [*zip(step.get("b", []), states), *zip(step["c"], predictions)]:
            following.add_(term, alpha=factor)
        states.appendleft(x)
        x = following
    return x


def noise(path: Path, layout: str) -> Tensor:
    """x at tau = 1 of all images, as `speed noise` wrote it."""
    x = torch.from_numpy(np.fromfile(path, "<f4").reshape(-1, 3, SIDE, SIDE))
    return x.contiguous(memory_format=memory_format(layout))


def levels(x: Tensor) -> Tensor:
    """8-bit images of x in [-1, 1]."""
    return (x / 2 + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8)
