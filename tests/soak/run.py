"""The quick sweep in a loop, beside another process that takes a core half of the time, and memory: are the results the same every time, and does memory stay flat?

    python3 tests/soak/run.py --binary target/release/fewstep --minutes 60

Each round sweeps into an empty folder. Tables, charts, pictures, the images' errors and every column of cells.csv but seconds must have the bytes of
the first round's (report.html, cells.parquet and provenance.toml hold seconds, and are left out), and the greatest
resident size of a round may not exceed the first round's by more than a tenth. Ends with status 1 where that fails. Linux.
"""

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Files that hold seconds, or are made of such.
TIMED = {"cells.csv", "cells.parquet", "provenance.toml", "report.html"}
# More than the first round, relative.
ALLOWED = 0.1


def resident(pid: int) -> float:
    """Greatest resident size so far in MiB; 0 once the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def disturb(stop: threading.Event, mebibytes: int) -> None:
    """Half of the time a loop on one core, half of the time none, and memory that is taken, written to and given back."""
    work = f"""
import time
while True:
    block = bytearray({mebibytes} << 20)
    end = time.time() + 5
    while time.time() < end:
        for i in range(0, len(block), 4096):
            block[i] = (block[i] + 1) % 256
    del block
    time.sleep(5)
"""
    process = subprocess.Popen([sys.executable, "-c", work])
    stop.wait()
    process.kill()
    process.wait()


def contents(folder: Path) -> dict[str, object]:
    """Every file of a results folder, and of its cells all columns but seconds."""
    found: dict[str, object] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name not in TIMED:
            found[path.name] = path.read_bytes()
    with (folder / "cells.csv").open(newline="") as file:
        rows = [{name: value for name, value in row.items() if not name.startswith("seconds")} for row in csv.DictReader(file)]
    found["cells.csv"] = rows
    return found


def sweep(binary: Path, experiment: Path, out: Path) -> float:
    """One round. Its greatest resident size in MiB."""
    with (out.parent / "log").open("w") as log:
        # Every round all of it.
        everything = os.environ | {"FEWSTEP_KNOWN": ""}
        process = subprocess.Popen([binary, "sweep", experiment, "--out", out], stdout=log, stderr=log, env=everything)
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, resident(process.pid))
            time.sleep(0.2)
    if process.returncode != 0:
        sys.exit(f"the sweep ended with {process.returncode}:\n{(out.parent / 'log').read_text()[-2000:]}")
    return peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--experiment", type=Path, default=ROOT / "experiments/quick.toml")
    parser.add_argument("--memory", type=int, default=2048, help="MiB that the other process takes")
    arguments = parser.parse_args()
    stop = threading.Event()
    other = threading.Thread(target=disturb, args=(stop, arguments.memory))
    other.start()
    start, peaks, first = time.monotonic(), [], None
    try:
        with tempfile.TemporaryDirectory() as folder:
            while not peaks or time.monotonic() - start < 60 * arguments.minutes:
                began, out = time.monotonic(), Path(folder) / "results"
                peaks.append(sweep(arguments.binary.resolve(), arguments.experiment.resolve(), out))
                found = contents(out)
                first = first or found
                wrong = sorted(name for name in first.keys() | found.keys() if first.get(name) != found.get(name))
                shutil.rmtree(out)
                load = os.getloadavg()[0]
                print(f"round {len(peaks)}: {time.monotonic() - began:.0f} s, peak {peaks[-1]:.0f} MiB, load {load:.1f}", flush=True)
                if wrong:
                    sys.exit(f"round {len(peaks)} differs from the first in {', '.join(wrong)}")
                if peaks[-1] > peaks[0] * (1 + ALLOWED):
                    sys.exit(f"round {len(peaks)} took {peaks[-1]:.0f} MiB, the first {peaks[0]:.0f}")
    finally:
        stop.set()
        other.join()
    minutes = (time.monotonic() - start) / 60
    print(f"{len(peaks)} rounds in {minutes:.0f} minutes, all files the same; peaks {min(peaks):.0f} to {max(peaks):.0f} MiB")


if __name__ == "__main__":
    main()
