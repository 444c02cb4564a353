"""fewstep beside the Python stack, side by side in one run: `just bench-peers`.

Ours and the peer's take turns, in processes of their own. In every round of a short comparison each side is timed in each of its
variants (memory layout or way of splitting, and batch); a side's figure is that of its best variant over all rounds, a ratio is
one round's, and what is written is the median of the ratios and their spread, the greatest less the least. Both sides' results are
compared in the same run, and a difference ends it.

Into the output folder go `peers.csv` (the ratios), `rounds.csv` (every single figure), `cell.csv` (the stages of one cell),
`edm.csv` (a network of the size of EDM's, ours alone), `scaling.csv` (our cost against images, NFE and batch, and memory), `fid.csv` (`fewstep fid` called as pytorch-fid is: no speed, but
whether the numbers are the same) and `machine.toml`. Rates are of all cores; a limit is what a
loop of multiply-adds on registers does there, for convolutions computed directly: a faster algorithm may exceed it.

In a whole run ours is timed as a process, from its start to its end. The peer's clock begins when everything is imported; the rows
"with the peer's start" are of whole processes on both sides, on the peer's with the fewstep processes that make its plans: up to
0.3 s in the quick sweep. The limit of a sweep counts every evaluation that is asked for; ours makes 2.6 % fewer, since the first is
known. A network is timed at one timestep, whose embedding ours keeps: that tells at batch 1 only.
"""

import sys
import tempfile

import machine
import pairs
import runs
from drop_in import drop_in
from edm import edm
from process import run
from results import Limits, Results, say
from scaling import scaling
from settings import HERE, NETWORK, STATISTICS, WORKS, parse


def main() -> None:
    others = machine.Others()
    with tempfile.TemporaryDirectory() as folder:
        settings = parse(__doc__, folder)
        archive = [settings.inception] if {"inception", "fid", "cell"} & set(settings.only) else []
        run(sys.executable, HERE / "verify.py", *archive)
        operations = run(sys.executable, HERE / "prepare.py", folder, STATISTICS, NETWORK, *archive).last()
        peak = run(settings.ours, "peak", 2 * settings.seconds).last()
        say(f"limits: {peak}")
        results = Results(settings.out, Limits(peak, operations))
        authors = settings.folder / "authors.safetensors"
        works = {
            "unet": lambda: pairs.unet(settings, results, pairs.UNET, "small", NETWORK),
            "authors": lambda: pairs.unet(settings, results, pairs.AUTHORS, "authors", authors),
            "edm": lambda: edm(settings, results),
            "inception": lambda: pairs.inception(settings, results),
            "frechet": lambda: pairs.frechet(settings, results),
            "fid": lambda: drop_in(settings),
            "cell": lambda: runs.cell(settings, results),
            "sweep": lambda: runs.quick(settings, results),
            "scaling": lambda: scaling(settings, results),
        }
        for name in (name for name in WORKS if name in settings.only):
            works[name]()
            (settings.out / "machine.toml").write_text(machine.describe(settings, peak, others.cores()))


if __name__ == "__main__":
    main()
