"""One cell to its FID as a Python user would: PyTorch samples, pytorch-fid measures. Prints one JSON object.

The clock starts when everything is imported, before any weights are read; it stops when the distance is known. Working out the
plan is not in it: fewstep did that.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

import frechet
import inception
import sampling


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("fewstep", "weights", "inception", "statistics", "noise"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--method", default="deis")
    parser.add_argument("--nfe", type=int, default=10)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--layout", default="channels_last")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--inception-layout", default="channels_last")
    parser.add_argument("--inception-batch", type=int, default=16)
    parser.add_argument("--numpy", action="store_true", help="the distance by NumPy's symmetric form instead of SciPy's sqrtm")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    plan = sampling.plan(arguments.fewstep, arguments.method, arguments.nfe)
    with torch.inference_mode():
        print(json.dumps(run(arguments, plan)))


def run(arguments: argparse.Namespace, plan: sampling.Plan) -> dict[str, float]:
    """Seconds of every stage, and the FID."""
    times = [time.perf_counter()]
    epsilon = sampling.predictor(arguments.weights, arguments.layout)
    network = inception.load(arguments.inception).to(memory_format=sampling.memory_format(arguments.inception_layout))
    reference, _ = frechet.read(arguments.statistics)
    start = sampling.noise(arguments.noise, arguments.layout)
    times.append(time.perf_counter())
    images = torch.cat([sampling.levels(sampling.integrate(plan, epsilon, x)) for x in start.split(arguments.batch)])
    times.append(time.perf_counter())
    parts = images.split(arguments.inception_batch)
    rows = np.concatenate([inception.features(network, part.float() / 255).numpy() for part in parts])
    times.append(time.perf_counter())
    gaussian = frechet.moments(rows)
    times.append(time.perf_counter())
    fid = (frechet.by_eigenvalues if arguments.numpy else frechet.by_sqrtm)(gaussian, reference)
    times.append(time.perf_counter())
    stages = dict(zip(("load", "sample", "features", "moments", "frechet"), np.diff(times).tolist()))
    return {"fid": fid, "seconds": times[-1] - times[0], **stages}


if __name__ == "__main__":
    main()
