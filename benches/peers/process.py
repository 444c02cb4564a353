"""Processes to time: ones that run to their end, and ones that answer lines."""

import json
import os
import subprocess
import sys
import tempfile
import threading
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
        peak = Peak(process)
        try:
            output = process.stdout.read()
            process.wait()
        finally:
            # A thread that nobody ends would keep a failed run from ending.
            mib = peak.end()
        seconds = time.perf_counter() - start
        if process.returncode != 0:
            errors.seek(0)
            sys.exit(f"{' '.join(words)}\n{errors.read()}")
    return Ran(seconds, mib, output)


class Peak:
    """The peak of a process's resident memory, asked for until it ends: what the system says at its end counts its parent's too, which
    it had before it was its own."""

    EVERY = 0.02

    def __init__(self, process: subprocess.Popen) -> None:
        self.status, self.mib = Path(f"/proc/{process.pid}/status"), float("nan")
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()

    def end(self) -> float:
        """In MiB; not a number where the system does not say."""
        self.look()
        self.ended.set()
        self.thread.join()
        return self.mib

    def look(self) -> None:
        """A process that has ended has no line of it."""
        try:
            lines = self.status.read_text().splitlines()
        except OSError:
            return
        found = [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")]
        self.mib = found[0] if found else self.mib

    def _watch(self) -> None:
        while not self.ended.wait(self.EVERY):
            self.look()


class Side:
    """A process that answers lines: `benches/speed.rs`, or `worker.py`, which says what the lines are."""

    def __init__(self, *command: str | Path) -> None:
        self.command = [str(part) for part in command]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(self.command, env=environment(), text=True, **pipes)
        self.peak = Peak(self.process)

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
        peak = self.peak.end()
        self.process.stdin.close()
        self.process.wait()
        return peak

    def _ask(self, **line: Any) -> dict[str, Any]:
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()
        if not (answer := self.process.stdout.readline()):
            sys.exit(f"no answer from {' '.join(self.command)}")
        return json.loads(answer)
