"""What a run of `speed.py` is asked for, and where its parts are."""

import argparse
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NETWORK = ROOT / "models/cifar10-small.safetensors"
STATISTICS = ROOT / "experiments/statistics/cifar10-train-fid-inception.safetensors"
PIXELS = ROOT / "experiments/statistics/cifar10-train-pixel-8x8.safetensors"
QUICK = ROOT / "experiments/quick.toml"

# In the order in which they run: the cell and the sweep take the peer's best variants from those before.
WORKS = ("unet", "authors", "edm", "inception", "frechet", "fid", "cell", "sweep", "scaling")


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class Settings:
    """The command line, a temporary folder, and what follows from them."""

    folder: Path
    binaries: Path
    inception: Path
    out: Path
    rounds: int
    long_rounds: int
    seconds: float
    batches: list[int]
    images: int
    experiment: Path
    only: list[str]
    large: bool
    threads: int = field(default_factory=cores)

    @property
    def fewstep(self) -> Path:
        """The program that people use."""
        return self.binaries / "fewstep"

    @property
    def ours(self) -> Path:
        """`benches/speed.rs`."""
        return self.binaries / "examples/speed"


def parse(about: str, folder: str) -> Settings:
    """From the command line."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=Path, required=True, help="folder with fewstep and examples/speed")
    parser.add_argument("--inception", type=Path, default=cache() / "inception/default_1.pt", help="archive of Inception's weights")
    parser.add_argument("--out", type=Path, default=ROOT / "results/bench")
    parser.add_argument("--rounds", type=int, default=5, help="of the short comparisons")
    parser.add_argument("--long-rounds", type=int, default=3, help="of the cell, the sweep and the scaling")
    parser.add_argument("--seconds", type=float, default=1.5, help="of a single figure, at least")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--images", type=int, default=500, help="of the cell; the scaling begins with a quarter of them")
    parser.add_argument("--experiment", type=Path, default=QUICK, help="of the sweep; a smaller one to see whether all runs")
    parser.add_argument("--only", nargs="+", choices=WORKS, default=list(WORKS))
    parser.add_argument("--large", action="store_true", help="also 50 000 images, and the same to FID: half an hour more")
    return Settings(folder=Path(folder), **vars(parser.parse_args()))


def cache() -> Path:
    """Where `fewstep fetch` puts things."""
    if found := os.environ.get("FEWSTEP_CACHE"):
        return Path(found)
    usual = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return Path(os.environ.get("XDG_CACHE_HOME") or usual) / "fewstep"
