"""A published table of a solver as a plan file, from a checkout of its authors' repository:

    python benches/peers/import_plan.py dyweight DyWeight/exps/00003-cifar-nfe5/network-snapshot-000010.pkl > dyweight-5.json
    python benches/peers/import_plan.py epd EPD/exps/.../network-snapshot.pkl [--levels "80 9.7 0.002"] > epd.json

Needs torch for the tensors. Nothing in a file is executed: their pickles carry the source of their classes, which is not
looked at (`tables.py`). EPD-Plugin's tables (on iPNDM) and guided ones are refused. The grid's ends are the
table's own, where it has them, and --sigma-min and --sigma-max override them. Neither repository has a licence: what this writes is for its user.
"""

import argparse
import json
import sys

import plans
import tables

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("kind", choices=["dyweight", "epd"])
parser.add_argument("file")
parser.add_argument("--levels", help="noise levels, noisiest first, where the table's schedule needs its network")
parser.add_argument("--sigma-min", type=float, help="lowest noise level, instead of the table's; 0.002 where it has none")
parser.add_argument("--sigma-max", type=float, help="highest noise level, instead of the table's; 80 where it has none")
parser.add_argument("--label", help="the plan's method")
arguments = parser.parse_args()


def levels(kind, points, rho, settings):
    if kind == "flowmatch":
        sys.exit("a table for flow matching: its network predicts no noise")
    if arguments.levels is None:
        low = plans.first(arguments.sigma_min, settings.get("sigma_min"), 0.002)
        high = plans.first(arguments.sigma_max, settings.get("sigma_max"), 80.0)
        return plans.schedule(kind, points, low, high, 7.0 if rho is None else rho)
    given = [float(level) for level in arguments.levels.replace(",", " ").split()]
    if len(given) != points:
        sys.exit(f"--levels has {len(given)} levels; the table has {points}")
    return given


table = tables.read(arguments.file)
if arguments.kind == "dyweight":
    solver, loss = table["predictor"], table["loss_fn"]
    if reason := plans.guidance_refusal(solver):
        sys.exit(f"{arguments.file}: {reason}")
    weights = [[w * m for w, m in zip(*rows)] for rows in zip(solver["hybrid_weights"], solver["mask"])]
    sigma = levels(loss.get("schedule_type", "polynomial"), solver["num_steps"], loss.get("schedule_rho"), loss)
    made = plans.dyweight(weights, solver["t_scale"], sigma, solver["afs"], arguments.label or "DyWeight")
else:
    solver = table["model"]
    if reason := plans.epd_refusal(solver):
        sys.exit(f"{arguments.file}: {reason}")
    sigma = levels(solver["schedule_type"], solver["num_steps"], solver["schedule_rho"], table.get("loss_fn", {}))
    names = ("r_params", "weight_s", "scale_dir_params", "scale_time_params")
    points = plans.epd_points(*(solver[name] for name in names), solver, solver["fcn"])
    made = plans.epd(points, sigma, solver["afs"], arguments.label or "EPD")
made["provenance"] = {"table": arguments.file, "imported by": "fewstep, benches/peers/import_plan.py"}
json.dump(made, sys.stdout, indent=1)
print()
