"""`fewstep fid` in the place of `pytorch-fid`: the same folders and statistics, the same number.

One folder has images in several formats, sizes and modes, which pytorch-fid takes one at a time (`--batch-size 1`); the other is of
one size. More images than features, since SciPy's root of the covariances' product is not there for fewer.
"""

import csv
import re
from pathlib import Path
from unittest import mock

import numpy as np
import pytorch_fid.fid_score as peer
import torch
from PIL import Image

import inception
from process import run
from results import agree, digits, relative, say
from settings import Settings

# A little more than the features' number.
IMAGES = 2200
ALLOWED = 1e-3
FORMATS = (("png", {}), ("jpg", {"quality": 95, "subsampling": 0}), ("jpg", {"quality": 75}), ("bmp", {}), ("webp", {"lossless": True}), ("tiff", {}))
MODES = ("RGB", "RGB", "L", "RGBA")


def drop_in(settings: Settings, images: int = IMAGES) -> None:
    """Every way in which the two are called, into `fid.csv`."""
    mixed, plain = settings.folder / "mixed", settings.folder / "plain"
    make(mixed, images, seed=0, mixed=True)
    make(plain, images, seed=1, mixed=False)
    theirs = {folder: settings.folder / f"{folder.name}-theirs.npz" for folder in (mixed, plain)}
    with mock.patch.object(peer, "InceptionV3", network(settings.inception)), torch.inference_mode():
        for folder, file in theirs.items():
            peer.save_fid_stats([str(folder), str(file)], 1 if folder == mixed else 50, "cpu", 2048, 0)

        def of(a: Path, b: Path) -> float:
            return float(peer.calculate_fid_given_paths([str(a), str(b)], 50, "cpu", 2048, 0))

        single = settings.folder / "single.npz"
        with np.load(theirs[plain]) as file:
            np.savez(single, mu=file["mu"].astype(np.float32), sigma=file["sigma"].astype(np.float32))
        ours = settings.folder / "mixed-ours.npz"
        run(settings.fewstep, "fid", "--save-stats", mixed, ours, "--batch-size", 20)
        expected = of(theirs[mixed], theirs[plain])
        rows = [
            ("folder, folder", fid(settings, mixed, plain, "--batch-size", 50, "--num-workers", 2, "--dims", 2048), expected),
            ("folder, its .npz", fid(settings, mixed, theirs[plain], "--device", "cpu"), expected),
            (".npz, .npz", fid(settings, theirs[mixed], theirs[plain]), expected),
            (".npz, .npz of f32", fid(settings, theirs[mixed], single), of(theirs[mixed], single)),
            ("our .npz in both", fid(settings, ours, theirs[plain]), of(ours, theirs[plain])),
        ]
    with (settings.out / "fid.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("arguments", "ours", "pytorch_fid", "relative_difference", "allowed"))
        for arguments, found, figure in rows:
            checked = agree(f"fid, {arguments}", relative(found, figure), ALLOWED)
            writer.writerow((arguments, digits(found), digits(figure), f"{checked.difference:.1e}", f"{ALLOWED:.0e}"))
            say(f"fid, {arguments}: ours {found:.6f}, pytorch-fid {figure:.6f}")


def fid(settings: Settings, *arguments: str | int | Path) -> float:
    """What ours prints, as a script that calls pytorch-fid reads it."""
    return float(re.fullmatch(r"FID:  (\S+)\n", run(settings.fewstep, "fid", *arguments).output).group(1))


def network(archive: Path) -> type:
    """pytorch-fid's class, with weights from the archive."""

    class FromArchive:
        BLOCK_INDEX_BY_DIM = peer.InceptionV3.BLOCK_INDEX_BY_DIM

        def __new__(cls, _blocks: list[int]) -> torch.nn.Module:
            return inception.load(archive)

    return FromArchive


def make(folder: Path, images: int, seed: int, mixed: bool) -> None:
    """Smooth random images."""
    folder.mkdir()
    random = np.random.default_rng(seed)
    for k in range(images):
        small = Image.fromarray(random.integers(0, 256, (int(random.integers(2, 9)), 5, 3), np.uint8))
        width, height = random.integers(20, 90, 2) if mixed else (32, 32)
        image = small.resize((int(width), int(height)), Image.Resampling.BICUBIC)
        ending, options = FORMATS[k % len(FORMATS)] if mixed else FORMATS[0]
        mode = MODES[k % len(MODES)] if mixed and ending in ("png", "tiff") else "RGB"
        image.convert(mode).save(folder / f"{k:05}.{ending}", **options)
