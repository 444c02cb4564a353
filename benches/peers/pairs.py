"""Short comparisons: both sides live, and are timed in turns."""

import sys
from pathlib import Path

import numpy as np

from process import Side
from results import Figures, Results, agree, relative
from settings import HERE, Settings

UNET = "U-Net forward, cifar10-small"
AUTHORS = "U-Net forward, the authors' CIFAR-10 configuration"
INCEPTION = "Inception features from 32x32"
FRECHET = "Fréchet distance of 2048 features"

LAYOUTS = ("contiguous", "channels_last")
LEN = 3 * 32 * 32
# A variant that in two rounds never came so near to the best of its side is not timed again.
HOPELESS = 0.75

Variant = tuple[str, int]


def sides(settings: Settings, *arguments: str | Path) -> tuple[Side, Side]:
    """Ours and the peer's, with the same thing loaded."""
    return Side(settings.ours, *arguments), Side(sys.executable, HERE / "worker.py", *arguments)


def alternate(
    both: tuple[Side, Side],
    variants: tuple[list[Variant], list[Variant]],
    rounds: int,
    seconds: float,
    hopeless: float = HOPELESS,
) -> list[Figures]:
    """Rates of all variants, one a round. The two sides take turns, and so does which of them is first."""
    figures = [Figures(rates=True), Figures(rates=True)]
    for k in range(rounds):
        turns = [[(which, *variant) for variant in variants[which]] for which in (0, 1)]
        for which, variant, batch in interleave(*turns) if k % 2 == 0 else interleave(*turns)[::-1]:
            name = ", ".join([*([variant] if variant else []), f"batch {batch}"])
            found = figures[which].found
            if k >= 2 and max(found[name]) < hopeless * max(map(max, found.values())):
                continue
            figures[which].add(name, both[which].rate(variant, batch, seconds))
    return figures


def interleave(a: list, b: list) -> list:
    """a0 b0 a1 b1 …, and what is left of the longer."""
    return [item for pair in zip(a, b) for item in pair] + a[len(b) :] + b[len(a) :]


def with_batches(settings: Settings, names: tuple[str, ...]) -> list[Variant]:
    """Every way of computing with every batch."""
    return [(name, batch) for batch in settings.batches for name in names]


def unet(settings: Settings, results: Results, work: str, network: str, weights: Path) -> None:
    """Evaluations a second. Ours: a batch in one call, or a part of it on every core, as a sweep has its batches."""
    ours, peer = sides(settings, "unet", weights)
    x = np.random.default_rng(1).standard_normal(4 * LEN, np.float32)
    mine = [ours.output(settings.folder, variant, 4, x, "<f4") for variant in ("whole", "split")]
    theirs = [peer.output(settings.folder, layout, 4, x, "<f4") for layout in LAYOUTS]
    checked = agree(work, max(np.abs(a - b).max() for a in mine for b in theirs), 1e-4)
    variants = (with_batches(settings, ("whole", "split")), with_batches(settings, LAYOUTS))
    figures = alternate((ours, peer), variants, settings.rounds, settings.seconds)
    peaks = [ours.end(), peer.end()]
    results.compare(work, "evaluations/s", *figures, checked, 1 / results.limits.images(network), peaks)


def inception(settings: Settings, results: Results) -> None:
    """Images a second."""
    ours, peer = sides(settings, "inception", settings.inception)
    pixels = np.random.default_rng(1).integers(0, 256, 4 * LEN, np.uint8)
    mine = ours.output(settings.folder, "", 4, pixels, "<f4")
    theirs = [peer.output(settings.folder, layout, 4, pixels, "<f4") for layout in LAYOUTS]
    checked = agree(INCEPTION, max(np.abs(mine - b).max() for b in theirs), 1e-3)
    variants = (with_batches(settings, ("",)), with_batches(settings, LAYOUTS))
    figures = alternate((ours, peer), variants, settings.rounds, settings.seconds)
    peaks = [ours.end(), peer.end()]
    results.compare(INCEPTION, "images/s", *figures, checked, 1 / results.limits.images("inception"), peaks)


def frechet(settings: Settings, results: Results) -> None:
    """Seconds of one distance, neither covariance factored before: against pytorch-fid's form and against NumPy's symmetric one."""
    ours, peer = sides(settings, "frechet", settings.folder / "a.npz", settings.folder / "b.npz")
    forms = {"sqrtm": "SciPy sqrtm", "numpy": "NumPy symmetric"}
    nothing = np.empty(0, np.uint8)
    mine = ours.output(settings.folder, "", 1, nothing, "<f8")[0]
    theirs = {form: peer.output(settings.folder, form, 1, nothing, "<f8")[0] for form in forms}
    # Both forms to the end: they are compared one by one.
    variants = ([("", 1)], [(form, 1) for form in forms])
    both = alternate((ours, peer), variants, settings.rounds, settings.seconds, hopeless=0)
    peaks = [ours.end(), peer.end()]
    for form, name in forms.items():
        work = f"{FRECHET}, {name}"
        figures = both[0].seconds_of("batch 1"), both[1].seconds_of(f"{form}, batch 1")
        results.compare(work, "s", *figures, agree(work, relative(mine, theirs[form]), 1e-5), results.limits.frechet(), peaks)
