"""What `experiments/quick.toml` computes, its cells one by one in PyTorch. Prints one JSON object.

In the clock: reading the weights, collecting the normaliser (100 evaluations of 32 images), the solution (500 evaluations of 64
images) and the one that it is checked with (1000 of 8), and every cell: samples, their 8-bit images, the Fréchet distance of
their pooled pixels to the data's, and their distance to the solution. Not in it: imports, fewstep's plans, and the tables,
charts, pictures and the canary that fewstep's sweep makes besides.
"""

import argparse
import json
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

import frechet
import sampling

CHECKED = 8


class Clock:
    """Seconds that count."""

    def __init__(self) -> None:
        self.seconds, self._since = 0.0, time.perf_counter()

    def stop(self) -> None:
        self.seconds += time.perf_counter() - self._since

    def go_on(self) -> None:
        self._since = time.perf_counter()


class Sweep:
    """An experiment's parts on one network."""

    def __init__(self, experiment: dict[str, Any], arguments: argparse.Namespace) -> None:
        self.experiment, self.arguments = experiment, arguments
        folder = arguments.experiment.parent
        self.epsilon = sampling.predictor(folder / experiment["model"]["weights"], arguments.layout)
        self.reference, _ = frechet.read(folder / experiment["reference"]["fd_pixel"])
        self.start = sampling.noise(arguments.noise, arguments.layout)
        self.evaluations = 0

    def sample(self, plan: sampling.Plan, start: Tensor, observe=lambda _: None) -> Tensor:
        """x at the plan's end, batch by batch."""
        self.evaluations += len(plan["steps"]) * len(start)
        return torch.cat([sampling.integrate(plan, self.epsilon, x, observe) for x in start.split(self.arguments.batch)])

    def curve(self, plan: sampling.Plan) -> tuple[list[float], list[float]]:
        """tau and mean |eps| along a long run, with tau ascending."""
        start = sampling.noise(self.arguments.normaliser_noise, self.arguments.layout)
        means: list[float] = []
        self.sample(plan, start, lambda epsilon: means.append(epsilon.abs().mean().item() * len(epsilon)))
        nfe = len(plan["steps"])
        means = np.reshape(means, (-1, nfe)).sum(axis=0) / len(start)
        return plan["tau"][:nfe][::-1], means[::-1].tolist()

    def pixels(self, x: Tensor) -> float:
        """Fréchet distance of 192 pooled pixels."""
        pooled = F.avg_pool2d(sampling.levels(x).float() / 255, sampling.SIDE // 8)
        rows = pooled.permute(0, 2, 3, 1).reshape(len(x), -1).numpy()
        return frechet.by_sqrtm(frechet.moments(rows), self.reference)


def distance(x: Tensor, y: Tensor) -> float:
    """Root-mean-square over images and pixels."""
    return (x - y).double().square().mean().sqrt().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("fewstep", "experiment", "noise", "normaliser-noise", "curve"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--layout", default="channels_last")
    parser.add_argument("--batch", type=int, default=16)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with torch.inference_mode():
        print(json.dumps(run(arguments)))


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds, evaluations and every cell's figures."""
    experiment = tomllib.loads(arguments.experiment.read_text())
    collect, solution = experiment["normaliser"]["collect"], experiment["solution"]
    long = {
        nfe: sampling.plan(arguments.fewstep, "deis", nfe, "--order", "2")
        for nfe in (collect["nfe"], solution["nfe"], 2 * solution["nfe"])
    }
    clock = Clock()
    sweep = Sweep(experiment, arguments)
    tau, means = sweep.curve(long[collect["nfe"]])
    clock.stop()
    rows = "\n".join(f"{t!r},{mean!r}" for t, mean in zip(tau, means))
    arguments.curve.write_text(f"tau,mean_abs_eps\n{rows}\n")
    plans = [
        (entry["name"], nfe, cell_plan(arguments, experiment, entry, nfe))
        for entry in experiment["method"]
        for nfe in experiment["nfe"]
    ]
    clock.go_on()
    solved = sweep.sample(long[solution["nfe"]], sweep.start)
    checked = sweep.sample(long[2 * solution["nfe"]], sweep.start[:CHECKED])
    cells = [{"method": "solution", "ode_rmse": distance(solved[:CHECKED], checked), "fd_pixel": sweep.pixels(solved)}]
    for method, nfe, plan in plans:
        x = sweep.sample(plan, sweep.start)
        cells.append({"method": method, "nfe": nfe, "ode_rmse": distance(x, solved), "fd_pixel": sweep.pixels(x)})
    clock.stop()
    return {"seconds": clock.seconds, "evaluations": sweep.evaluations, "cells": cells}


def cell_plan(arguments: argparse.Namespace, experiment: dict[str, Any], entry: dict[str, Any], nfe: int) -> sampling.Plan:
    """A method's, with the curve where it is normalised."""
    options = ["--order", str(entry["order"])] if "order" in entry else []
    if entry["name"].endswith("-sn"):
        options += ["--normaliser", str(arguments.curve), "--clip", str(experiment["normaliser"]["clip"])]
    return sampling.plan(arguments.fewstep, entry["name"], nfe, *options)


if __name__ == "__main__":
    main()
