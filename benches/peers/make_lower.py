"""Final samples of diff-sampler's DPM-Solver++ and UniPC with `lower_order_final=True`, its default, on grids that end above 0,
on a closed-form denoiser in float64.

    git clone https://github.com/zju-pi/diff-sampler
    python benches/peers/make_lower.py diff-sampler/diff-solvers-main > crates/sampler/tests/golden/lower.json

Data, schedule and predictor are those of `make_solvers.py`; data predictions are not thresholded.
"""

import json
import math
import pathlib
import sys

import torch

sys.path.insert(0, sys.argv[1])
import solver_utils  # noqa: E402
import solvers  # noqa: E402

torch.set_default_dtype(torch.float64)
for module in (solvers, solver_utils):
    module.dynamic_thresholding_fn = lambda x: x
# Its problem, without its runs of diffusers.
PROBLEM = (pathlib.Path(__file__).parent / "make_solvers.py").read_text().split("\ndef use_levels")[0]
for line in ("import diffusers\n", "torch.float32 = torch.float64\n"):
    PROBLEM = PROBLEM.replace(line, "")
exec(compile(PROBLEM, "make_solvers.py", "exec"))

cases = []


def case(method, order, tau, sampler, **options):
    sigma = torch.tensor([level(t) for t in tau])
    calls = []

    def denoiser(y, s, class_labels=None):
        calls.append(float(s))
        x = y.reshape(X_T.shape) / math.sqrt(1 + calls[-1] ** 2)
        return y - s * epsilon(x, calls[-1]).reshape(y.shape)

    # Images of one pixel: UniPC asks for four dimensions.
    latents = X_T[:, :, None, None] * torch.sqrt(1 + sigma[0] ** 2) / sigma[0]
    y = sampler(denoiser, latents, num_steps=len(tau), t_steps=sigma, max_order=order, lower_order_final=True, **options)
    x = y[:, :, 0, 0] / math.sqrt(1 + float(sigma[-1]) ** 2)
    assert torch.isfinite(x).all(), (method, order)
    cases.append({"method": method, "order": order, "threshold": "none", "nfe": len(calls), "tau": tau, "x_0": x.tolist()})


for tau in [log_snr(3, 0.01), log_snr(6, 0.01), log_snr(12, 0.001)]:
    for order in (2, 3):
        case("dpm-solver++m-lof", order, tau, solvers.dpm_pp_sampler)
        case("dpm-solver-m-lof", order, tau, solvers.dpm_pp_sampler, predict_x0=False)
        for variant in ("bh1", "bh2"):
            case(f"unipc-{variant}-lof", order, tau, solvers.unipc_sampler, variant=variant)

json.dump({"m": M.tolist(), "v": V.tolist(), "x_T": X_T.tolist(), "cases": cases}, sys.stdout, indent=0)
print()
