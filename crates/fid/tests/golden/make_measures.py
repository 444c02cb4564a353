"""Figures of KID by torch-fidelity 0.4.0 and of precision, recall, density and coverage by prdc 0.2, on small random features.

    pip install torch-fidelity==0.4.0 prdc==0.2
    python make_measures.py > measures.json

Subsets as large as the sets are the sets, in whatever order: KID is compared without a generator of random numbers.
"""

import contextlib
import io
import json

import numpy as np
import torch
from prdc import compute_prdc
from torch_fidelity.metric_kid import kid_features_to_metric


def case(n: int, m: int, dim: int, nearest: int, seed: int) -> dict:
    """`n` real and `m` fake rows; KID of the first min(n, m) of both."""
    random = np.random.default_rng(seed)
    # Three digits: what JSON holds is what was measured.
    real = np.round(random.standard_normal((n, dim)), 3).astype(np.float32)
    fake = np.round(0.9 * random.standard_normal((m, dim)) + 0.3, 3).astype(np.float32)
    few = min(n, m)
    pair = [torch.from_numpy(rows[:few].astype(np.float64)) for rows in (fake, real)]
    kid = kid_features_to_metric(*pair, kid_subsets=2, kid_subset_size=few, verbose=False)
    with contextlib.redirect_stdout(io.StringIO()):
        measures = compute_prdc(real, fake, nearest)
    return {
        "dim": dim,
        "nearest": nearest,
        "real": [round(float(value), 3) for value in real.ravel()],
        "fake": [round(float(value), 3) for value in fake.ravel()],
        "kid": kid["kernel_inception_distance_mean"],
        **{name: float(value) for name, value in measures.items()},
    }


print(json.dumps([case(40, 40, 6, 5, 0), case(50, 30, 4, 3, 1), case(24, 32, 12, 1, 2)]))
