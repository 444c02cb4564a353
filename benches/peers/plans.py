"""Published tables of solvers as plan files (docs/plan-format.md), in y = x/sqrt(alpha_bar). Standard library alone."""

import math


def schedule(kind, points, low=0.002, high=80.0, rho=7.0):
    """Noise levels, noisiest first, as `get_schedule` of zju-pi/diff-sampler and of what is built on it has them."""
    along = [i / (points - 1) for i in range(points)]
    if kind == "polynomial":
        return [(high ** (1 / rho) + u * (low ** (1 / rho) - high ** (1 / rho))) ** rho for u in along]
    if kind == "logsnr":
        return [math.exp(math.log(high) + u * (math.log(low) - math.log(high))) for u in along]
    if kind == "time_uniform":
        first = 1e-3
        bd = 2 * (math.log1p(low * low) / first - math.log1p(high * high)) / (first - 1)
        bm = math.log1p(high * high) - 0.5 * bd
        times = [(1 + u * (first ** (1 / rho) - 1)) ** rho for u in along]
        return [math.sqrt(math.expm1(0.5 * bd * t * t + bm * t)) for t in times]
    raise SystemExit(f"schedule '{kind}' needs its network; give the noise levels with --levels")


def first(*values):
    """The first that is given."""
    return next(value for value in values if value is not None)


def guidance_refusal(settings):
    """Why a table's settings cannot be a plan's, whose network is one prediction; `uncond` is no guidance with any rate."""
    kind, rate = settings.get("guidance_type"), settings.get("guidance_rate")
    if kind not in (None, "uncond") or kind is None and rate not in (None, 0.0, 1.0):
        return f"guidance_type is {kind!r} and guidance_rate {rate!r}: a plan has no guidance; expected a table without"
    return None


def epd_refusal(settings):
    """Why a table of BeierZhu/EPD is not one of EPD-Solver: its plugin's parameters mean something else to another solver."""
    solver = settings.get("sampler_stu")
    if solver not in (None, "epd"):
        return f"sampler_stu is {solver!r}: a table of EPD-Plugin, whose steps are not EPD-Solver's; expected 'epd'"
    return guidance_refusal(settings)


def plan(method, sigma, steps, start):
    nfe = sum("afs" not in step for step in steps)
    return {"format": "fewstep-plan", "version": 1, "method": method, "nfe": nfe, "variable": "y", "sigma": sigma, "start": start, "steps": steps}


def analytic(level):
    """The analytic first step's direction y/sqrt(1 + level^2) at y = level x_T, in x_T."""
    return level / math.sqrt(1 + level * level)


def dyweight(weights, scales, levels, afs=False, method="DyWeight", guard=1e-8):
    """DyWeight (arXiv 2603.11607): t_{i+1} = t_i + (sum_j w_ij)(levels_{i+1} - t_i), y_{i+1} = y_i + (levels_{i+1} - t_i) sum_j w_ij d_j
    with d_i = s_i eps(y_i, |s_i t_i|), and the analytic d_0 under AFS.

    The last level is levels_N where it is below the one before, and not t_N: the authors take the last state, at whatever t
    was learned, for one at the end of their grid.

    weights: [N][N], row i for step i, column j for d_j; scales: N, or N - 1 under AFS; levels: N + 1. They divide by t + `guard`.
    """
    t, steps, direction = levels[0], [], []
    sigma = [t]
    for i, target in enumerate(levels[1:]):
        step = {}
        if afs and i == 0:
            step["afs"] = analytic(t)
            direction.append(1.0)
        else:
            scale = scales[i - 1 if afs else i] if scales else 1.0
            at = abs(scale * t)
            if at != sigma[i]:
                step["at"] = at
            direction.append(at / (t + guard))
        row = weights[i][: i + 1]
        c = [(target - t) * w * d for w, d in zip(row, direction)][::-1]
        while len(c) > 1 and c[-1] == 0:
            c.pop()
        steps.append({"a": 1.0, "c": c, **step})
        t = t + sum(row) * (target - t)
        # A plan's states have falling levels from 0 up; a learned t may miss that, and is only where the network is called.
        end = levels[-1] if i == len(levels) - 2 else t
        sigma.append(min(max(end, 0.0), sigma[-1]))
    return plan(method, sigma, steps, levels[0])


def epd(points, levels, afs=False, method="EPD"):
    """EPD (arXiv 2507.14797): y_mid = y_i + (t_mid - t_i) d_i at t_mid = t_{i+1}^r t_i^{1-r}, for each of a step's points, and
    y_{i+1} = y_i + (t_{i+1} - t_i) sum w o d_mid with d_mid = (s t_mid / t_mid) eps(y_mid, s t_mid).

    points: for each step a list of (r, w, o, s), o the scale of directions and s that of times; levels: one more than steps.
    The points of a step are independent of one another; here they are in the order of falling t_mid.
    """
    steps, sigma = [], []
    for i, (now, target) in enumerate(zip(levels, levels[1:])):
        sigma.append(now)
        first = {"afs": analytic(now)} if afs and i == 0 else {}
        middle = sorted(points[i])
        levels_mid = [target**r * now ** (1 - r) for r, *_ in middle]
        for j, level in enumerate(levels_mid):
            # The state at t_i is j back, and its prediction too.
            c = [0.0] * j + [level - now]
            steps.append({"a": 1.0, "c": c, **first} if j == 0 else {"a": 0.0, "b": [0.0] * (j - 1) + [1.0], "c": c, **place(middle[j - 1], sigma[-1])})
            sigma.append(level)
        c = [(target - now) * w * o * s for _, w, o, s in middle][::-1]
        steps.append({"a": 0.0, "b": [0.0] * (len(middle) - 1) + [1.0], "c": c, **place(middle[-1], sigma[-1])})
    sigma.append(levels[-1])
    return plan(method, sigma, steps, levels[0])


def place(point, level):
    return {} if point[3] == 1 else {"at": point[3] * level}


def epd_points(r, weight, scale_dir, scale_time, settings, last_unscaled=False):
    """What `EPD_predictor` makes of its parameters: sigmoids, softmax, and scales around 1. Each a list of rows, one a step."""
    sigmoid = lambda value: 1 / (1 + math.exp(-value))
    scaled = lambda value, most: 2 * sigmoid(0.5 * value) * most + (1 - most) if most else 1.0
    steps = []
    for i, row in enumerate(weight):
        powers = [math.exp(value - max(row)) for value in row]
        last = last_unscaled and i == len(weight) - 1
        steps.append(
            [
                (
                    sigmoid(r[i][j]),
                    powers[j] / sum(powers),
                    1.0 if last else scaled(scale_dir[i][j], settings["scale_dir"]),
                    scaled(scale_time[i][j], settings["scale_time"]),
                )
                for j in range(len(row))
            ]
        )
    return steps


def ipndm(n, order):
    """DyWeight's initial weights of `order` rows: those of iPNDM. [N][N]."""
    rows = [[1], [3 / 2, -1 / 2], [23 / 12, -16 / 12, 5 / 12], [55 / 24, -59 / 24, 37 / 24, -9 / 24]]
    table = [[0.0] * n for _ in range(n)]
    for i in range(n):
        for j, w in enumerate(rows[min(i + 1, order) - 1]):
            table[i][i - j] = w
    return table
