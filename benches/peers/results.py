"""Figures, ratios of them, and the files they go to."""

import csv
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

# Features of FID-Inception.
FEATURES = 2048


@dataclass
class Limits:
    """The least that work can take: floating-point operations by the rate of a loop of multiply-adds on registers."""

    peak: dict[str, float]
    operations: dict[str, int]

    def images(self, network: str, count: int = 1) -> float:
        """Seconds of so many images in a network, with convolutions computed directly."""
        return count * self.operations[network] / (self.peak["f32_gflops"] * 1e9)

    def frechet(self, n: int = FEATURES) -> float:
        """Seconds of the cheapest textbook route to the distance, in double precision: one Cholesky factor (n^3/3), two products
        with triangles (2 n^3), the eigenvalues of a symmetric matrix (4 n^3/3)."""
        return (1 / 3 + 2 + 4 / 3) * n**3 / (self.peak["f64_gflops"] * 1e9)


@dataclass
class Figures:
    """One kind of work on one side: the figures of every variant, one a round. Rates, or seconds."""

    rates: bool
    found: dict[str, list[float]] = field(default_factory=dict)

    def add(self, variant: str, figure: float) -> None:
        """One round's."""
        self.found.setdefault(variant, []).append(figure)

    def best(self) -> str:
        """The variant with the best median, of those that were timed to the end."""
        rounds = max(map(len, self.found.values()))
        whole = [variant for variant, found in self.found.items() if len(found) == rounds]
        return (max if self.rates else min)(whole, key=lambda variant: median(self.found[variant]))

    def seconds_of(self, variant: str) -> "Figures":
        """Of one variant, from its rates."""
        return Figures(False, {variant: [1 / rate for rate in self.found[variant]]})


@dataclass
class Checked:
    """How far the two sides' results lie apart, and how far they may."""

    difference: float
    allowed: float


def agree(what: str, difference: float, allowed: float) -> Checked:
    """Ends the run where the two sides do not compute the same: there is no ratio of different work."""
    if not difference <= allowed:
        sys.exit(f"{what}: the two sides differ by {difference:.2e}; {allowed:.0e} is allowed")
    return Checked(float(difference), allowed)


def relative(ours: float, peer: float) -> float:
    """To the peer's."""
    return abs(ours - peer) / abs(peer)


class Results:
    """The output folder; written after every comparison, so that an interrupted run leaves what it has."""

    def __init__(self, out: Path, limits: Limits) -> None:
        self.out, self.limits = out, limits
        self.peers: list[dict[str, Any]] = []
        self.rounds: list[dict[str, Any]] = []
        out.mkdir(parents=True, exist_ok=True)
        # What another run compared stays, until this one compares it too.
        self.before = {name: rows_of(out / name) for name in ("peers.csv", "rounds.csv")}

    def compare(
        self, work: str, unit: str, ours: Figures, peer: Figures, checked: Checked, limit: float, peaks: list[float]
    ) -> None:
        """One row: in every round the ratio of each side's best variant, above 1 where ours is faster."""
        mine, theirs = ours.best(), peer.best()
        ratios = [a / b if ours.rates else b / a for a, b in zip(ours.found[mine], peer.found[theirs], strict=True)]
        figure, their_figure, ratio = median(ours.found[mine]), median(peer.found[theirs]), median(ratios)
        row = {
            "work": work,
            "ours": digits(figure),
            "peer": digits(their_figure),
            "ratio": digits(ratio),
            "spread": digits(max(ratios) - min(ratios)),
            "unit": unit,
            "ratio_least": digits(min(ratios)),
            "ratio_greatest": digits(max(ratios)),
            "rounds": len(ratios),
            "ours_variant": mine,
            "peer_variant": theirs,
            "difference": f"{checked.difference:.1e}",
            "allowed": f"{checked.allowed:.0e}",
            "limit": digits(limit),
            "share_of_limit": digits(figure / limit if ours.rates else limit / figure),
            "ours_peak_mib": digits(peaks[0]),
            "peer_peak_mib": digits(peaks[1]),
        }
        self.peers.append(row)
        for side, figures in (("ours", ours), ("peer", peer)):
            for variant, found in figures.found.items():
                named = {"work": work, "side": side, "variant": variant}
                self.rounds += [{**named, "round": k, "figure": digits(value), "unit": unit} for k, value in enumerate(found)]
        self.write("peers.csv", self.peers)
        self.write("rounds.csv", self.rounds)
        of = f"ratio {ratio:.3g} ({min(ratios):.3g} to {max(ratios):.3g})"
        say(f"{work}: {of}: ours {figure:.4g} {unit} ({mine}), peer {their_figure:.4g} ({theirs})")

    def peer_variant(self, work: str) -> tuple[str, str]:
        """Memory layout and batch that were the peer's best in this run; a good choice where that was not measured."""
        known = [*self.peers, *self.before["peers.csv"]]
        found = (row["peer_variant"].split(", batch ") for row in known if row["work"] == work)
        return tuple(next(found, ("channels_last", "16")))

    def write(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Rows as CSV."""
        works = {row.get("work") for row in rows}
        rows = [row for row in self.before.get(name, []) if row["work"] not in works] + rows
        with (self.out / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def rows_of(file: Path) -> list[dict[str, Any]]:
    """A CSV file's rows; none where there is no file."""
    if not file.exists():
        return []
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def digits(value: float | None) -> str:
    """Five of them, or nothing."""
    return "" if value is None else f"{value:.5g}"


def say(text: str) -> None:
    """To people."""
    print(text, file=sys.stderr, flush=True)
