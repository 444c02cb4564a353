"""Long comparisons, of whole runs: one cell to its FID, and the quick sweep. Ours is the program that people use."""

import csv
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

from pairs import INCEPTION, UNET
from picture import draw
from process import Ran, run
from results import Checked, Figures, Results, agree, digits, relative
from settings import HERE, NETWORK, PIXELS, QUICK, STATISTICS, Settings

NFE = 10
BATCH = 16


def experiment(samples: int, nfe: int, batch: int, metric: str) -> str:
    """One cell of DEIS-2 on the small network."""
    reference = {"fid": STATISTICS, "fd_pixel": PIXELS}[metric]
    dataset = tomllib.loads(QUICK.read_text())["reference"]["dataset"]
    return f"""title = "speed"
seed = 0
samples = {samples}
batch = {batch}
nfe = [{nfe}]
metrics = ["{metric}"]
grid = "quadratic"
coefficients = "exact"

[model]
kind = "unet"
size = 32
weights = {json.dumps(str(NETWORK))}

[reference]
dataset = "{dataset}"
{metric} = {json.dumps(str(reference))}

[[method]]
name = "deis"
order = 2
"""


def sweep(settings: Settings, file: Path, name: str, device: str = "cpu") -> Ran:
    """All cells of an experiment anew."""
    return run(settings.fewstep, "sweep", file, "--out", settings.folder / name, "--fresh", "--device", device)


def cells(settings: Settings, name: str) -> list[dict[str, str]]:
    """What such a run found."""
    with (settings.folder / name / "cells.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def noise(settings: Settings, of: str, seed: int, images: int) -> Path:
    """The noise that fewstep starts from, so that figures can be compared."""
    file = settings.folder / f"noise-{of}-{images}.f32"
    run(settings.ours, "noise", seed, of, images, file)
    return file


def cell(settings: Settings, results: Results) -> None:
    """One cell to its FID. The peer's distance once as pytorch-fid computes it, once by NumPy's symmetric form."""
    file = settings.folder / "cell.toml"
    file.write_text(experiment(settings.images, NFE, BATCH, "fid"))
    (layout, batch), (wide_layout, wide_batch) = results.peer_variant(UNET), results.peer_variant(INCEPTION)
    variant = f"{layout}, batch {batch}; Inception {wide_layout}, batch {wide_batch}"
    peer = [sys.executable, HERE / "cell.py", "--fewstep", settings.fewstep, "--threads", settings.threads]
    peer += ["--weights", NETWORK, "--layout", layout, "--batch", batch, "--noise", noise(settings, "cell", 0, settings.images)]
    peer += ["--inception", settings.inception, "--inception-layout", wide_layout, "--inception-batch", wide_batch]
    peer += ["--statistics", STATISTICS, "--nfe", NFE]
    forms = {"sqrtm": [], "numpy": ["--numpy"]}
    work = f"one cell to FID, {settings.images} images, {NFE} NFE"
    ours, whole = Figures(rates=False), Figures(rates=False)
    theirs = {form: Figures(rates=False) for form in forms}
    checked, peaks, stages = {form: Checked(0, 0) for form in forms}, [0.0, 0.0], Stages(settings, results)
    for k in range(settings.long_rounds):
        name, ran = f"cell-{k}", {}
        for side in ["ours", *forms] if k % 2 == 0 else [*reversed(forms), "ours"]:
            ran[side] = sweep(settings, file, name) if side == "ours" else run(*peer, *forms[side])
        [row] = cells(settings, name)
        ours.add(f"batch {BATCH}", ran["ours"].seconds)
        whole.add(variant, ran["sqrtm"].seconds)
        stages.ours(k, row, ran["ours"].seconds)
        for form in forms:
            found = ran[form].last()
            theirs[form].add(variant, found["seconds"])
            stages.peer(k, form, found, ran[form].seconds)
            now = agree(f"{work}: FID, {form}", relative(float(row["fid"]), found["fid"]), 1e-2)
            checked[form] = max(checked[form], now, key=lambda checked: checked.difference)
        peaks = [max(peaks[0], ran["ours"].peak_mib), max(peaks[1], *(ran[form].peak_mib for form in forms))]
    # What it was before this machine's cores had kernels of their own: once, for the picture.
    plain = sweep(settings, file, "cell-plain", "cpu-plain")
    stages.ours(0, cells(settings, "cell-plain")[0], plain.seconds, "ours, burn alone")
    results.write("cell.csv", stages.rows)
    draw(results.out)
    limit = sum(stages.floors[stage] for stage in ("sample", "features", "frechet"))
    results.compare(work, "s", ours, theirs["sqrtm"], checked["sqrtm"], limit, peaks)
    results.compare(f"{work}, peer's distance by NumPy", "s", ours, theirs["numpy"], checked["numpy"], limit, peaks)
    results.compare(f"{work}, with the peer's start", "s", ours, whole, checked["sqrtm"], limit, peaks)


class Stages:
    """Where a cell's time goes, each stage beside the least that it can take."""

    def __init__(self, settings: Settings, results: Results) -> None:
        limits = results.limits
        sample, features = limits.images("small", settings.images * NFE), limits.images("inception", settings.images)
        self.floors = {"sample": sample, "features": features, "frechet": limits.frechet()}
        self.floors["features and frechet"] = features + limits.frechet()
        self.rows: list[dict[str, Any]] = []

    def ours(self, k: int, row: dict[str, str], whole: float, side: str = "ours") -> None:
        """From a row of cells.csv; the rest is loading, the canary, tables and charts."""
        sample, features = float(row["seconds_sample"]), float(row["seconds_features"])
        parts = {"sample": sample, "features and frechet": features, "everything else": whole - sample - features}
        self._add(k, side, {**parts, "whole process": whole})

    def peer(self, k: int, form: str, found: dict[str, float], whole: float) -> None:
        """From what cell.py prints."""
        parts = {name: found[name] for name in ("load", "sample", "features", "moments", "frechet")}
        self._add(k, f"peer, {form}", {**parts, "imports and plan": whole - found["seconds"], "whole process": whole})

    def _add(self, k: int, side: str, parts: dict[str, float]) -> None:
        for stage, seconds in parts.items():
            floor = digits(self.floors.get(stage))
            self.rows.append({"round": k, "side": side, "stage": stage, "seconds": digits(seconds), "floor": floor})


def quick(settings: Settings, results: Results) -> None:
    """The quick sweep against its cells one by one in PyTorch."""
    asked = tomllib.loads(settings.experiment.read_text())
    collect = asked["normaliser"]["collect"]
    layout, batch = results.peer_variant(UNET)
    variant = f"{layout}, batch {batch}"
    peer = [sys.executable, HERE / "sweep.py", "--fewstep", settings.fewstep, "--experiment", settings.experiment]
    peer += ["--noise", noise(settings, "cell", asked["seed"], asked["samples"])]
    peer += ["--normaliser-noise", noise(settings, "normaliser", collect["seed"], collect["samples"])]
    peer += ["--curve", settings.folder / "curve.csv", "--threads", settings.threads, "--layout", layout, "--batch", batch]
    ours, theirs, whole = (Figures(rates=False) for _ in range(3))
    checked, peaks, evaluations = Checked(0, 0), [0.0, 0.0], 0
    for k in range(settings.long_rounds):
        name, ran = f"quick-{k}", {}
        for side in ("ours", "peer") if k % 2 == 0 else ("peer", "ours"):
            ran[side] = sweep(settings, settings.experiment, name) if side == "ours" else run(*peer)
        found = ran["peer"].last()
        evaluations = found["evaluations"]
        ours.add(f"batch {asked['batch']}", ran["ours"].seconds)
        theirs.add(variant, found["seconds"])
        whole.add(variant, ran["peer"].seconds)
        now = agree("quick sweep's figures", difference(cells(settings, name), found["cells"]), 1e-2)
        checked = max(checked, now, key=lambda checked: checked.difference)
        peaks = [max(peak, ran[side].peak_mib) for peak, side in zip(peaks, ("ours", "peer"))]
    limit = results.limits.images("small", evaluations)
    results.compare(f"quick sweep, {evaluations} evaluations", "s", ours, theirs, checked, limit, peaks)
    results.compare("quick sweep, with the peer's start", "s", ours, whole, checked, limit, peaks)


def difference(ours: list[dict[str, str]], peer: list[dict[str, Any]]) -> float:
    """The largest relative difference of two sweeps' figures."""
    named = lambda cell: (cell["method"], 0 if cell["method"] == "solution" else int(cell["nfe"]))
    by_cell = {named(row): row for row in ours}
    if set(by_cell) != set(map(named, peer)):
        sys.exit(f"quick sweep: cells {sorted(by_cell)} here and {sorted(map(named, peer))} at the peer")
    largest = 0.0
    for cell in peer:
        row = by_cell[named(cell)]
        largest = max(largest, relative(float(row["fd_pixel"]), cell["fd_pixel"]))
        if cell["method"] == "solution":
            # What two nearly equal runs differ by, rounding included: its size is compared, not its digits.
            agree("the solution's own error", abs(float(row["ode_rmse"]) - cell["ode_rmse"]), 1e-4)
        else:
            largest = max(largest, relative(float(row["ode_rmse"]), cell["ode_rmse"]))
    return largest
