"""Final samples with an analytic first step (AFS) by diff-sampler's solvers on a closed-form denoiser, in float64.

    git clone https://github.com/zju-pi/diff-sampler
    python benches/peers/make_afs.py diff-sampler/diff-solvers-main > crates/sampler/tests/golden/afs.json

Data, schedule and grids are those of make_solvers.py. Their solvers run in y = x/sqrt(alpha_bar) on noise levels and begin at
sigma_0 times the latents: the latents here are such that y_0 is x_T/sqrt(alpha_bar(1)), as it is with us. Data predictions are not
thresholded.
"""

import json
import math
import sys

import torch

sys.path.insert(0, sys.argv[1])
import solver_utils  # noqa: E402
import solvers  # noqa: E402

torch.set_default_dtype(torch.float64)
for module in (solvers, solver_utils):
    module.dynamic_thresholding_fn = lambda x: x

M = torch.tensor([0.3, -0.5, 0.1, 1.2, -0.2, 0.6, -0.9, 0.4])
V = torch.tensor([0.25, 0.05, 0.7, 0.4, 0.02, 0.1, 0.3, 0.5])
X_T = torch.tensor(
    [[0.5, -1.0, 0.3, 2.0, -0.7, 1.1, 0.2, -1.6], [1.5, 0.4, -0.3, -2.0, 0.9, 0.6, -0.8, 0.1], [0, 1, -1, 0.5, -0.5, 2, -2, 3]]
).double()


def level(tau):
    alpha_bar = math.exp(-0.1 * tau - 0.5 * 19.9 * tau * tau)
    return math.sqrt((1 - alpha_bar) / alpha_bar)


def tau_of(level):
    log = math.log1p(level * level)
    return 2 * log / (0.1 + math.sqrt(0.01 + 2 * 19.9 * log))


def log_snr(n, end):
    first, last = math.log(level(1)), math.log(level(end))
    inner = [tau_of(math.exp(first + (last - first) * i / n)) for i in range(1, n)]
    return [1.0, *inner, end]


def even(n):
    return [1 - (1 - 0.05) * i / n for i in range(n)] + [0.05]


def polynomial(n, end=0.002):
    """EDM's, from the first level to the field's last one."""
    first, last = level(1) ** (1 / 7), end ** (1 / 7)
    return [1.0, *(tau_of((first + (last - first) * i / n) ** 7) for i in range(1, n + 1))]


calls = 0


def denoiser(y, sigma, class_labels=None):
    """E[x_0 | y] of N(M, V)."""
    global calls
    calls += 1
    m, v = M[:, None, None], V[:, None, None]
    return m + v / (v + sigma * sigma) * (y - m)


cases = []


def case(method, order, tau, sampler, between=None, **options):
    """`between`: `tau` with what a step of two calls needs no list of."""
    global calls
    calls = 0
    sigma = torch.tensor([level(t) for t in tau])
    # Images of one pixel: UniPC asks for four dimensions.
    latents = X_T[:, :, None, None] * torch.sqrt(1 + sigma[0] ** 2) / sigma[0]
    y = sampler(denoiser, latents, num_steps=len(tau), t_steps=sigma, afs=True, **options)
    x = y[:, :, 0, 0] / math.sqrt(1 + float(sigma[-1]) ** 2)
    assert torch.isfinite(x).all(), (method, order)
    cases.append({"method": method, "order": order, "nfe": calls, "tau": between or tau, "x_0": x.tolist()})


for tau in [log_snr(6, 0.01), even(8)]:
    case("ddim", None, tau, solvers.euler_sampler)
    case("edm-heun", None, tau, solvers.heun_sampler)
    for order in (2, 3, 4):
        case("ipndm", order, tau, solvers.ipndm_sampler, max_order=order)
    for order in (1, 2, 3):
        case("dpm-solver++m", order, tau, solvers.dpm_pp_sampler, max_order=order, lower_order_final=False)
        case("unipc-bh2", order, tau, solvers.unipc_sampler, max_order=order, lower_order_final=False, variant="bh2")
        case("unipc-bh1", order, tau, solvers.unipc_sampler, max_order=order, lower_order_final=False, variant="bh1")

for n in (2, 3, 6):
    tau = polynomial(n)
    case("ddim", None, tau, solvers.euler_sampler)
    case("ipndm", 4, tau, solvers.ipndm_sampler, max_order=4)
case("edm-heun", None, polynomial(6), solvers.heun_sampler)
for tau in [log_snr(3, 0.01), even(4), polynomial(2), polynomial(3), polynomial(5)]:
    between = [tau[0], *(t for pair in zip(tau, tau[1:]) for t in (sum(pair) / 2, pair[1]))]
    case("dpm-solver", 2, tau, solvers.dpm_2_sampler, between)

json.dump({"m": M.tolist(), "v": V.tolist(), "x_T": X_T.tolist(), "cases": cases}, sys.stdout, indent=0)
print()
