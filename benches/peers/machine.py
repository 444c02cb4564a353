"""What figures were measured on and with. No name of a machine, no path, no date."""

import json
import os
import platform
import re
import resource
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from process import run
from settings import ROOT, Settings

PACKAGES = ("torch", "torchvision", "pytorch-fid", "diffusers", "scipy", "numpy")


def describe(settings: Settings, peak: dict[str, float], others: float | None) -> str:
    """As TOML."""
    tables: dict[str, dict[str, Any]] = {
        "machine": {
            "cpu": cpu(),
            "cores": settings.threads,
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            "system": f"{platform.system()} {platform.machine()}",
            # By what the run did not start: figures are worth something where this is next to nothing.
            "cores_used_by_others": "unknown" if others is None else round(others, 3),
        },
        "limits": {name: round(value, 1) for name, value in peak.items()},
        "versions": {
            "fewstep": run(settings.fewstep, "--version").output.split()[-1],
            "commit": commit(),
            "rustc": run("rustc", "--version").output.split()[1],
            "python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
        },
        "settings": {
            name: getattr(settings, name) for name in ("rounds", "long_rounds", "seconds", "batches", "images", "threads")
        },
    }
    lines = lambda table: "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
    return "\n".join(f"[{name}]\n{lines(table)}" for name, table in tables.items())


class Others:
    """How many cores are busy with what this run did not start."""

    def __init__(self) -> None:
        self._before, self._since = busy(), time.perf_counter()

    def cores(self) -> float | None:
        """On average until now, when none of this run's processes is left; nothing where the system does not say."""
        now = busy()
        if self._before is None or now is None:
            return None
        return max(0.0, (now - self._before) / (time.perf_counter() - self._since))


def busy() -> float | None:
    """Seconds of all cores since the system's start, what its host took among them, less this run's own."""
    try:
        fields = Path("/proc/stat").read_text().split("\n")[0].split()[1:9]
        user, nice, system, _, _, irq, softirq, steal = map(int, fields)
    except (OSError, ValueError):
        return None
    own = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK") - own


def cpu() -> str:
    """The processor's model, with its number, since names alone can say little."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    fields = dict(re.findall(r"^(model name|cpu family|model|flags)\s*:\s*(.*)$", text, re.MULTILINE))
    wide = next((name for name in ("avx512f", "avx2") if name in fields.get("flags", "").split()), "no AVX2")
    return f"{fields.get('model name', 'unknown')} (family {fields.get('cpu family')}, model {fields.get('model')}, {wide})"


def commit() -> str:
    """Of the sources, with a mark where they were changed."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or "unknown"
