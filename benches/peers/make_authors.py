"""Final samples of methods by their authors' own code on a closed-form noise predictor, in float64.

    python benches/peers/make_authors.py CHECKOUTS > crates/sampler/tests/golden/authors.json

CHECKOUTS is a folder with checkouts of zju-pi/diff-sampler, onefly123/PFDiff, wl-zhao/DC-Solver and jin01020/rx-dpm under their
repositories' names. Their functions are run, not copied: data, schedule and predictor are those of `make_solvers.py`.
"""

import ast
import importlib.util
import json
import math
import pathlib
import sys

import numpy as np
import torch

torch.set_default_dtype(torch.float64)
HERE = pathlib.Path(__file__).parent
# Of the checkouts.
COMMITS = {
    "zju-pi/diff-sampler": "68d5ce427f261962b89ce3b0ee8f6b29f0577328",
    "onefly123/PFDiff": "e63fd30fa69e6b715d0b124e9763c6ea6dfe0afa",
    "wl-zhao/DC-Solver": "f82d0601851b483d1dc06fc97e443588c6c9d9b0",
    "jin01020/rx-dpm": "580ecf72b87ed03fad4abd66ff1a2ff8e9ffbdf2",
}
# Its problem, without its runs of diffusers, which need another patch of torch.
PROBLEM = (HERE / "make_solvers.py").read_text().split("\ndef use_levels")[0].replace("import diffusers\n", "")
exec(compile(PROBLEM.replace("torch.float32 = torch.float64\n", ""), "make_solvers.py", "exec"))

checkouts = pathlib.Path(sys.argv[1])
cases = []


def functions(path, *names):
    """Some functions of a file whose imports are not all there."""
    tree = ast.parse((checkouts / path).read_text())
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in names]
    assert len(tree.body) == len(names), names
    for node in tree.body:
        node.decorator_list = []
    space = {"torch": torch, "np": np, "math": math}
    exec(compile(tree, path, "exec"), space)
    return space


def case(method, order, tau, x, nfe=None):
    assert torch.isfinite(x).all(), (method, order)
    nfe = nfe or len(tau) - 1
    cases.append({"method": method, "order": order, "threshold": "none", "nfe": nfe, "tau": tau, "x_0": x.tolist()})


class Denoiser:
    """D(y; sigma) of y = x/sqrt(alpha_bar), as EDM's networks have it."""

    sigma_min, sigma_max = 0.0, math.inf
    calls = 0

    def __call__(self, y, sigma, class_labels=None):
        self.calls += 1
        sigma = float(sigma)
        return y - sigma * epsilon(y / math.sqrt(1 + sigma * sigma), sigma)

    def round_sigma(self, sigma):
        return torch.as_tensor(sigma)


def start(first):
    """What they multiply by the first noise level, for our x_T."""
    return X_T * math.sqrt(1 + first * first) / first


def to_x(y, last):
    return y / math.sqrt(1 + last * last)


# iPNDM_v
ipndm_v = functions("diff-sampler/diff-solvers-main/solvers.py", "ipndm_v_sampler", "get_denoised")
for tau in [quadratic(5), quadratic(10), log_snr(8, 0.001)]:
    levels = torch.tensor([level(t) for t in tau])
    # Order 1 has an index out of range there.
    for order in (2, 3, 4):
        # Its latents are images: it asks for their size.
        latents = start(levels[0]).reshape(len(X_T), 2, 2, 2)
        net = lambda y, sigma, class_labels=None: Denoiser()(y.reshape(X_T.shape), sigma).reshape(y.shape)
        y = ipndm_v["ipndm_v_sampler"](net, latents, t_steps=levels, max_order=order)
        case("ipndm-v", order, tau, to_x(y.reshape(X_T.shape), levels[-1]))

# RX-DPM, RX-Euler: its grid is EDM's, and ends at 0.
rx = functions("rx-dpm/edm/generate.py", "rx_euler_sampler", "get_coeff")
rx["print"] = lambda *_: None
for steps, k in [(6, 2), (9, 2), (6, 3), (8, 3)]:
    low, high = level(0.002), level(1)
    levels = [(high ** (1 / 7) + i / (steps - 1) * (low ** (1 / 7) - high ** (1 / 7))) ** 7 for i in range(steps)]
    net = Denoiser()
    y = rx["rx_euler_sampler"](
        net, start(high), num_steps=steps, frequency=k, sigma_min=low, sigma_max=high, solver="euler", skip_last=True
    )
    assert net.calls == steps
    case(f"rx-ddim-{k}", None, [1.0, *[tau_of(l) for l in levels[1:]], 0.0], y)

# PFDiff on DDIM: times are indices, and -1 is the end.
torch.Tensor.to = (lambda to: lambda self, where, *rest: self if where in ("cuda", "cpu") else to(self, where, *rest))(torch.Tensor.to)
for k, l in [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3)]:
    name = "PFDiff_1.py" if k == 1 else f"PFDiff_{k}_{l}.py"
    steps = functions(f"PFDiff/uncondition/ddim-main/functions/denoising_{name}", "generalized_steps")
    for nfe in (4, 6):
        count = (k + 1) * (nfe - 1) + 1
        tau = quadratic(count)
        seq = list(range(count))
        alpha = {i: torch.tensor(alpha_bar(tau[count - 1 - i])) for i in seq}
        alpha[-1] = torch.tensor(alpha_bar(tau[count]))
        calls = []

        def network(x, t):
            calls.append(int(t[0]))
            return epsilon(x, level(tau[count - 1 - calls[-1]]))

        xs, _ = steps["generalized_steps"](X_T, seq, network, alpha, None)
        assert len(calls) == nfe, calls
        case("pfdiff-1" if k == 1 else f"pfdiff-{k}-{l}", None, tau, xs[-1], nfe=nfe)

# DC-Solver
spec = importlib.util.spec_from_file_location(
    "dc_solver", checkouts / "DC-Solver/stable-diffusion/ldm/models/diffusion/dc_solver/dc_solver.py"
)
dc_solver = importlib.util.module_from_spec(spec)
spec.loader.exec_module(dc_solver)
schedule = dc_solver.NoiseScheduleVP("linear", continuous_beta_0=0.1, continuous_beta_1=20.0)
for tau in [log_snr(6, 0.01), [0.001 + 0.999 * t for t in trailing(8)]]:
    for ratio in (0.9, 1.0, 1.15):
        # Its einsum wants images.
        model = lambda x, t: epsilon(x.reshape(X_T.shape), level(float(t[0]))).reshape(x.shape)
        solver = dc_solver.DCSolver(model, schedule)
        solver.get_time_steps = lambda *_, **__: torch.tensor(tau)
        ratios = [1.0 if i < 2 else ratio for i in range(len(tau) - 1)]
        x = solver.sample(
            X_T.reshape(len(X_T), 2, 2, 2), steps=len(tau) - 1, order=3, method="multistep", lower_order_final=False, dc_ratios=ratios
        )
        case(f"dc-solver-{ratio:g}", 3, tau, x.reshape(X_T.shape))


versions = {"torch": torch.__version__.split("+")[0], "numpy": np.__version__} | COMMITS
json.dump({"versions": versions, "m": M.tolist(), "v": V.tolist(), "x_T": X_T.tolist(), "cases": cases}, sys.stdout, indent=0)
print()
