"""Processes to time: ones that run to their end, and ones that answer lines."""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# For the other side's threads to go to sleep.
PAUSE = 0.3


def environment() -> dict[str, str]:
    """This process's, without settings of OpenBLAS for another processor, which slow a current NumPy down."""
    return {name: value for name, value in os.environ.items() if name not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}


@dataclass
class Ran:
    """A finished process."""

    seconds: float
    peak_mib: float
    output: str

    def last(self) -> dict[str, Any]:
        """The object in its last line."""
        return json.loads(self.output.splitlines()[-1])


def run(*command: str | int | float | Path) -> Ran:
    """Runs a command to its end; where it fails, so does this run."""
    words = [str(part) for part in command]
    time.sleep(PAUSE)
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, stderr=errors, text=True)
        output = process.stdout.read()
        peak = wait(process)
        seconds = time.perf_counter() - start
        if process.returncode != 0:
            errors.seek(0)
            sys.exit(f"{' '.join(words)}\n{errors.read()}")
    return Ran(seconds, peak, output)


def wait(process: subprocess.Popen) -> float:
    """Until it ends; the peak of its resident memory in MiB, which on Linux is at least its parent's: little here."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


class Side:
    """A process that answers lines: `benches/speed.rs`, or `worker.py`, which says what the lines are."""

    def __init__(self, *command: str | Path) -> None:
        self.command = [str(part) for part in command]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(self.command, env=environment(), text=True, **pipes)

    def output(self, folder: Path, variant: str, batch: int, values: np.ndarray, dtype: str) -> np.ndarray:
        """What it computes from an input."""
        into, back = folder / "input.bin", folder / "output.bin"
        values.tofile(into)
        self._ask(do="output", variant=variant, batch=batch, input=str(into), output=str(back))
        return np.fromfile(back, dtype).astype(np.float64)

    def rate(self, variant: str, batch: int, seconds: float) -> float:
        """How much it does a second."""
        time.sleep(PAUSE)
        found = self._ask(do="time", variant=variant, batch=batch, seconds=seconds)
        return found["count"] / found["seconds"]

    def end(self) -> float:
        """Ends it; its peak of memory in MiB."""
        self.process.stdin.close()
        return wait(self.process)

    def _ask(self, **line: Any) -> dict[str, Any]:
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()
        if not (answer := self.process.stdout.readline()):
            sys.exit(f"no answer from {' '.join(self.command)}")
        return json.loads(answer)
