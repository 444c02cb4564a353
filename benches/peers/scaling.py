"""What a cell costs against its images, evaluations and batch: a straight line, in memory that does not grow."""

from collections.abc import Callable
from typing import Any

import numpy as np

from results import Results, digits, say
from runs import cells, experiment, sweep
from settings import Settings

ALL = 50_000


def scaling(settings: Settings, results: Results) -> None:
    """Whole runs of the program; the fastest of the rounds. `deviation` is from the straight line through a group, relative."""
    unit = settings.images // 4
    case = {"samples": unit, "nfe": 10, "batch": 16, "metric": "fd_pixel"}
    groups = {
        "images": [case | {"samples": unit * factor} for factor in (1, 2, 4, 8)],
        "images to FID": [case | {"samples": unit * factor, "nfe": 5, "metric": "fid"} for factor in (1, 2, 4)],
        "nfe": [case | {"nfe": nfe} for nfe in (5, 10, 20, 40)],
        "batch": [case | {"samples": 2 * unit, "batch": batch} for batch in (1, 4, 16, 64)],
    }
    if settings.large:
        groups["50 000 images"] = [case | {"samples": ALL, "nfe": 1}]
        groups["50 000 images to FID"] = [case | {"samples": ALL, "nfe": 1, "metric": "fid"}]
    rows: list[dict[str, Any]] = []
    for against, group in groups.items():
        found = [measured(settings, case) for case in group]
        varied = {"images": "samples", "images to FID": "samples", "nfe": "nfe"}.get(against)
        fitted = varied and line([case[varied] for case in group], [seconds for seconds, *_ in found])
        for case, (seconds, sampling, peak) in zip(group, found):
            deviation = seconds / fitted(case[varied]) - 1 if varied else None
            times = {"seconds": digits(seconds), "seconds_sample": digits(sampling), "deviation": digits(deviation)}
            rows.append({"against": against, **case, **times, "peak_mib": digits(peak)})
            say(", ".join(f"{key} {value}" for key, value in rows[-1].items()))
        results.write("scaling.csv", rows)


def measured(settings: Settings, case: dict[str, Any]) -> tuple[float, float, float]:
    """Seconds of the process and of sampling, and the greatest peak of memory."""
    file = settings.folder / "scaling.toml"
    file.write_text(experiment(**case))
    runs = []
    for _ in range(1 if case["samples"] == ALL else settings.long_rounds):
        ran = sweep(settings, file, "scaling")
        runs.append((ran.seconds, float(cells(settings, "scaling")[0]["seconds_sample"]), ran.peak_mib))
    seconds, sampling, _ = min(runs)
    return seconds, sampling, max(peak for *_, peak in runs)


def line(x: list[float], y: list[float]) -> Callable[[float], float]:
    """The straight line with the least relative deviations."""
    slope, start = np.polyfit(x, y, 1, w=1 / np.asarray(y))
    return lambda value: start + slope * value
