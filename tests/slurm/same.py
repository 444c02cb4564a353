"""Whether two folders of results are equal to the last byte, but for columns of seconds: `same.py A B`."""

import csv
import sys
from pathlib import Path

# Has the seconds within; its figures are in cells.csv.
APART = {"cells.parquet"}
# What going on needs, and what Slurm's part leaves.
FOLDERS = {"cells", "shards", "slurm"}


def files(folder: Path) -> dict[str, Path]:
    """The files of results by name."""
    return {path.name: path for path in folder.iterdir() if path.is_file() and path.name not in APART}


def table(path: Path) -> list[list[str]]:
    """The rows of a CSV file without its columns of seconds."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    kept = [i for i, name in enumerate(rows[0]) if not name.startswith("seconds")]
    return [[row[i] for i in kept] for row in rows]


def content(path: Path) -> object:
    """What must be equal of a file."""
    if path.name == "cells.csv":
        return table(path)
    if path.name == "provenance.toml":
        # Has the hashes of files with seconds in them.
        return [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith('"cells.')]
    return path.read_bytes()


def main() -> None:
    """Compares, says what was compared, and fails where anything differs."""
    first, second = (Path(argument) for argument in sys.argv[1:])
    unknown = {path.name for folder in (first, second) for path in folder.iterdir() if path.is_dir()} - FOLDERS
    left, right = files(first), files(second)
    wrong = [f"folder {name}" for name in sorted(unknown)]
    wrong += [f"{name}: in one of both" for name in sorted(left.keys() ^ right.keys())]
    both = sorted(left.keys() & right.keys())
    wrong += [f"{name}: differs" for name in both if content(left[name]) != content(right[name])]
    rows = len(table(left["cells.csv"])) - 1 if "cells.csv" in both else 0
    if rows < 1 or "images.parquet" not in both:
        wrong.append("no cells.csv with rows, or no images.parquet, to compare")
    if wrong:
        sys.exit("not the same: " + "; ".join(wrong))
    print(f"the same: {rows} cells, {len(both)} files: {', '.join(both)}")


main()
