"""What the driver needs of PyTorch and SciPy before anything is timed, in a process of its own: the driver stays small, since on
Linux a process's peak of memory begins with that of the one that started it.

    prepare.py FOLDER STATISTICS NETWORK [ARCHIVE]

leaves `authors.safetensors` (random weights of the authors' CIFAR-10 configuration), `a.npz` and `b.npz` (two sets of moments of
2048 features) in the folder, and prints how many floating-point operations an image takes in every network.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import frechet
import inception
import unet

# Rows that the second set of moments is of: more than features, so that its covariance has full rank.
ROWS = 5000


def main() -> None:
    folder, statistics, weights = map(Path, sys.argv[1:4])
    authors = folder / "authors.safetensors"
    unet.write_random(authors)
    data, _ = frechet.read(statistics)
    for name, (mean, sigma) in (("a.npz", data), ("b.npz", frechet.another(data, ROWS))):
        np.savez(folder / name, mu=mean, sigma=sigma)
    time = torch.zeros(1)
    found = {"small": operations(unet.load(weights)[0], time), "authors": operations(unet.load(authors)[0], time)}
    if len(sys.argv) > 4:
        found["inception"] = operations(inception.load(Path(sys.argv[4])))
    print(json.dumps(found))


def operations(network: nn.Module, *more: torch.Tensor) -> int:
    """Two a multiply-add, with convolutions computed directly: of convolutions, linear layers and attention, which is all but a few
    percent."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 32, 32), *more)
    return counter.get_total_flops()


if __name__ == "__main__":
    main()
