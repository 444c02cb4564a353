"""Final samples of diffusers' schedulers on a closed-form noise predictor, in float64.

    pip install diffusers==0.42.1 torch==2.15 && python benches/peers/make_solvers.py > crates/sampler/tests/golden/solvers.json

Data is Gaussian, N(m, v) in each of D numbers; the schedule is Song et al.'s continuous one with rates 0.1 and 20. The
schedulers are given noise levels at our times instead of their own, and compute in double precision (they ask for
torch.float32 by name). `levels` are sigma/sqrt(alpha_bar), the schedulers' sigmas.
"""

import json
import math
import sys

import diffusers
import numpy as np
import torch

torch.float32 = torch.float64
torch.set_default_dtype(torch.float64)

M = torch.tensor([0.3, -0.5, 0.1, 1.2, -0.2, 0.6, -0.9, 0.4])
V = torch.tensor([0.25, 0.05, 0.7, 0.4, 0.02, 0.1, 0.3, 0.5])
X_T = torch.tensor(
    [[0.5, -1.0, 0.3, 2.0, -0.7, 1.1, 0.2, -1.6], [1.5, 0.4, -0.3, -2.0, 0.9, 0.6, -0.8, 0.1], [0, 1, -1, 0.5, -0.5, 2, -2, 3]]
)


def alpha_bar(tau):
    return math.exp(-0.1 * tau - 0.5 * 19.9 * tau * tau)


def level(tau):
    return math.sqrt((1 - alpha_bar(tau)) / alpha_bar(tau))


def tau_of(level):
    log = math.log1p(level * level)
    return 2 * log / (0.1 + math.sqrt(0.01 + 2 * 19.9 * log))


def epsilon(x, level):
    """For x of variance-preserving scale."""
    ab = 1 / (1 + level * level)
    sigma = math.sqrt(1 - ab)
    return sigma * (x - math.sqrt(ab) * M) / (ab * V + sigma * sigma)


def quadratic(n):
    return [(1 - i / n) ** 2 for i in range(n + 1)]


def trailing(n):
    return [1 - i / n for i in range(n + 1)]


def log_snr(n, end):
    first, last = math.log(level(1)), math.log(level(end))
    inner = [tau_of(math.exp(first + (last - first) * i / n)) for i in range(1, n)]
    return [1.0, *inner, end]


def use_levels(scheduler, tau):
    """Noise levels at our times, whatever set_timesteps made."""
    n = len(tau) - 1
    scheduler.set_timesteps(n)
    scheduler.sigmas = torch.tensor([level(t) for t in tau])
    # Only compared with one another; each must be there once.
    scheduler.timesteps = torch.arange(n, 0, -1)
    return scheduler


def run_levels(scheduler, tau):
    use_levels(scheduler, tau)
    # Thresholding wants images: [batch, channels, width].
    x = X_T.reshape(len(X_T), 2, -1)
    for t, time in zip(scheduler.timesteps, tau):
        predicted = epsilon(x.reshape(X_T.shape), level(time)).reshape(x.shape)
        x = scheduler.step(predicted, t, x).prev_sample
    return x.reshape(X_T.shape)


def multistep(order, tau, algorithm="dpmsolver++", **options):
    zero = tau[-1] == 0
    scheduler = diffusers.DPMSolverMultistepScheduler(
        algorithm_type=algorithm, solver_order=order, lower_order_final=zero, final_sigmas_type="zero" if zero else "sigma_min", **options
    )
    return run_levels(scheduler, tau)


def singlestep(tau, algorithm):
    scheduler = diffusers.DPMSolverSinglestepScheduler(algorithm_type=algorithm, solver_order=2, final_sigmas_type="sigma_min")
    use_levels(scheduler, tau)
    scheduler.order_list = [1, 2] * ((len(tau) - 1) // 2)
    x = X_T.clone()
    for t, time in zip(scheduler.timesteps, tau):
        x = scheduler.step(epsilon(x, level(time)), t, x).prev_sample
    return x


def unipc(order, kind, tau, **options):
    scheduler = diffusers.UniPCMultistepScheduler(solver_order=order, solver_type=kind, lower_order_final=tau[-1] == 0, **options)
    return run_levels(scheduler, tau)


def deis(order, tau):
    return run_levels(diffusers.DEISMultistepScheduler(solver_order=order, lower_order_final=False), tau)


def ddim(tau, **options):
    """diffusers looks up alphas_cumprod at whole timesteps: ours are put there, the noisiest last."""
    n = len(tau) - 1
    scheduler = diffusers.DDIMScheduler(num_train_timesteps=n, clip_sample=False, set_alpha_to_one=True, **options)
    scheduler.alphas_cumprod = torch.tensor([alpha_bar(t) for t in tau[:-1]][::-1])
    scheduler.final_alpha_cumprod = torch.tensor(alpha_bar(tau[-1]))
    scheduler.set_timesteps(n)
    x = X_T.reshape(len(X_T), 2, -1)
    for t, time in zip(scheduler.timesteps, tau):
        predicted = epsilon(x.reshape(X_T.shape), level(time)).reshape(x.shape)
        x = scheduler.step(predicted, int(t), x, use_clipped_model_output=True).prev_sample
    return x.reshape(X_T.shape)


def ipndm(tau):
    """Its model output is a velocity in its own schedule; ets = x sigma + output alpha is the noise prediction."""
    n = len(tau) - 1
    scheduler = diffusers.IPNDMScheduler()
    scheduler.set_timesteps(n)
    alpha = [math.sqrt(alpha_bar(t)) for t in tau]
    sigma = [math.sqrt(1 - alpha_bar(t)) for t in tau]
    scheduler.alphas, scheduler.betas = torch.tensor(alpha), torch.tensor(sigma)
    scheduler.timesteps = torch.arange(n, 0, -1)
    x = X_T.clone()
    for i, t in enumerate(scheduler.timesteps):
        output = (epsilon(x, level(tau[i])) - x * sigma[i]) / alpha[i]
        x = scheduler.step(output, t, x).prev_sample
    return x


def heun(tau):
    """In y = x/sqrt(alpha_bar), with every inner level twice."""
    n = len(tau) - 1
    scheduler = diffusers.HeunDiscreteScheduler()
    scheduler.set_timesteps(n)
    levels = [level(t) for t in tau]
    scheduler.sigmas = torch.tensor([levels[0], *[l for l in levels[1:-1] for _ in range(2)], levels[-1]])
    scheduler.timesteps = torch.arange(2 * n - 1, 0, -1)
    y = X_T * math.sqrt(1 + levels[0] ** 2)
    for t, l in zip(scheduler.timesteps, scheduler.sigmas):
        y = scheduler.step(epsilon(y / math.sqrt(1 + float(l) ** 2), float(l)), t, y).prev_sample
    return y / math.sqrt(1 + levels[-1] ** 2)


cases = []


def case(method, order, tau, x, nfe=None, threshold="none"):
    assert torch.isfinite(x).all(), (method, order)
    nfe = nfe or len(tau) - 1
    cases.append({"method": method, "order": order, "threshold": threshold, "nfe": nfe, "tau": tau, "x_0": x.tolist()})


for tau in [quadratic(5), quadratic(10), trailing(8)]:
    case("ddim", None, tau, ddim(tau))
    for order in (1, 2, 3):
        case("dpm-solver++m", order, tau, multistep(order, tau))
        # Its bh1 multiplies an infinite step by 0 there.
        case("unipc-bh2", order, tau, unipc(order, "bh2", tau))
    case("ipndm", 4, tau, ipndm(tau))
    case("edm-heun", None, tau, heun(tau), nfe=2 * len(tau) - 3)
    # Its sample_max_value bounds s from above: 1 clips, and a large one leaves the percentile.
    for threshold, most in (("clip", 1.0), ("dynamic-0.9", 1e9)):
        options = dict(thresholding=True, dynamic_thresholding_ratio=0.9, sample_max_value=most)
        case("dpm-solver++m", 2, tau, multistep(2, tau, **options), threshold=threshold)
        case("ddim", None, tau, ddim(tau, **options), threshold=threshold)
for tau in [log_snr(6, 0.01), log_snr(12, 0.001)]:
    for order in (1, 2, 3):
        case("deis-log-rho", order - 1, tau, deis(order, tau))
        case("dpm-solver++m", order, tau, multistep(order, tau))
        for kind in ("bh1", "bh2"):
            case(f"unipc-{kind}", order, tau, unipc(order, kind, tau))
    # Grid points in pairs: a step's end, and its middle in lambda.
    case("dpm-solver++s", None, tau, singlestep(tau, "dpmsolver++"))
    case("dpm-solver", 2, tau, singlestep(tau, "dpmsolver"))
for tau in [log_snr(6, 0.01), log_snr(12, 0.001)]:
    for order in (1, 2, 3):
        case("dpm-solver-m", order, tau, multistep(order, tau, "dpmsolver"))
    for order in (1, 2):
        # UniP on noise predictions is that method, and UniPC that method corrected.
        case("dpm-solver-m-unic", order, tau, unipc(order, "bh2", tau, predict_x0=False))

versions = {"diffusers": diffusers.__version__, "torch": torch.__version__.split("+")[0], "numpy": np.__version__}
json.dump({"versions": versions, "m": M.tolist(), "v": V.tolist(), "x_T": X_T.tolist(), "cases": cases}, sys.stdout, indent=0)
print()
