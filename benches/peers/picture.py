"""The picture of `results/bench/cell.csv`: where the time of one cell goes, each stage beside the least that it can take."""

import csv
from collections import defaultdict
from pathlib import Path
from statistics import median

import matplotlib

matplotlib.use("Agg")
# The same file from the same figures.
matplotlib.rcParams["svg.hashsalt"] = "fewstep"
from matplotlib import pyplot

SIDES = {
    "peer, sqrtm": "PyTorch, pytorch-fid",
    "peer, numpy": "the same, NumPy's distance",
    "ours, burn alone": "fewstep --device cpu-plain",
    "ours": "fewstep",
}
# A stage's colour, and what it is called; both sides' features and distance have one colour, since ours are one figure.
STAGES = {
    "sample": ("#4477aa", "sampling"),
    "features": ("#cc6677", "features, moments, distance"),
    "moments": ("#cc6677", None),
    "frechet": ("#cc6677", None),
    "features and frechet": ("#cc6677", None),
    "load": ("#bbbbbb", "everything else"),
    "everything else": ("#bbbbbb", None),
    "imports and plan": ("#bbbbbb", None),
}


def draw(folder: Path) -> None:
    """Medians over the rounds, as bars; SVG and PNG beside the table."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    floors: dict[str, float] = {}
    with (folder / "cell.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found[row["side"], row["stage"]].append(float(row["seconds"]))
            if row["floor"]:
                floors[row["stage"]] = float(row["floor"])
    figure, axes = pyplot.subplots(figsize=(9, 3.2), layout="constrained")
    sides = [side for side in SIDES if (side, "whole process") in found]
    for y, side in enumerate(reversed(sides)):
        left, whole = 0.0, median(found[side, "whole process"])
        # Where a batch waits for its parts on burn's path it may do another's work, whose time is then in both: shares stay.
        stages = {stage: max(0.0, median(found.get((side, stage), [0.0]))) for stage in STAGES}
        scale = min(1.0, whole / sum(stages.values()))
        for stage, (colour, _) in STAGES.items():
            axes.barh(y, scale * stages[stage], left=left, color=colour, height=0.6)
            left += scale * stages[stage]
        axes.text(whole, y, f"  {whole:.1f} s", va="center")
    axes.set_xlim(0, 1.12 * max(median(found[side, "whole process"]) for side in sides))
    edge = 0.0
    for stage in ("sample", "features and frechet"):
        edge += floors[stage]
        axes.axvline(edge, color=STAGES[stage][0], linestyle="--", linewidth=1)
    axes.set_yticks(range(len(sides)), [SIDES[side] for side in reversed(sides)])
    axes.set_xlabel("seconds; dashed: the multiply-adds of direct convolutions at the machine's peak")
    axes.spines[["top", "right"]].set_visible(False)
    for colour, name in STAGES.values():
        if name:
            axes.bar(0, 0, color=colour, label=name)
    axes.legend(loc="lower right", frameon=False)
    axes.set_title("One cell to its FID: 500 images of DEIS-2 at 10 NFE", loc="left")
    for ending in ("svg", "png"):
        metadata = {"Date": None} if ending == "svg" else {"Software": None}
        figure.savefig(folder / f"cell.{ending}", dpi=150, metadata=metadata)
