"""The Fréchet distance of two Gaussians: pytorch-fid's, and NumPy's symmetric form of it."""

import json
import warnings
from pathlib import Path

import numpy as np
from pytorch_fid.fid_score import calculate_frechet_distance
from safetensors import safe_open

Gaussian = tuple[np.ndarray, np.ndarray]


def by_sqrtm(a: Gaussian, b: Gaussian) -> float:
    """As pytorch-fid computes it: SciPy's square root of the covariances' product, which is not symmetric."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pytorch-fid 0.3 passes `disp`
        return float(calculate_frechet_distance(*a, *b))


def by_eigenvalues(a: Gaussian, b: Gaussian) -> float:
    """tr (AB)^1/2 = tr (A^1/2 B A^1/2)^1/2: two symmetric eigenproblems. Takes covariances without full rank, as a cell's are."""
    (mean_a, sigma_a), (mean_b, sigma_b) = a, b
    values, vectors = np.linalg.eigh(sigma_a)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    coupled = np.sqrt(np.clip(np.linalg.eigvalsh(root @ sigma_b @ root), 0, None)).sum()
    shift = mean_a - mean_b
    return float(shift @ shift + np.trace(sigma_a) + np.trace(sigma_b) - 2 * coupled)


def moments(features: np.ndarray) -> Gaussian:
    """As pytorch-fid's `calculate_activation_statistics`, which keeps features in double precision."""
    features = features.astype(np.float64)
    return features.mean(axis=0), np.cov(features, rowvar=False)


def read(path: Path) -> tuple[Gaussian, str]:
    """Statistics written by `fewstep stats` (the covariance's upper triangle, row after row), and their data set's hash."""
    with safe_open(path, "np") as file:
        origin = json.loads(file.metadata()["fewstep"])
        mean, packed = file.get_tensor("mean"), file.get_tensor("covariance").astype(np.float64)
    sigma = np.zeros((len(mean), len(mean)))
    sigma[np.triu_indices(len(mean))] = packed
    return (mean, sigma + np.triu(sigma, 1).T), origin["dataset"]


def another(gaussian: Gaussian, samples: int, seed: int = 0) -> Gaussian:
    """Moments of `samples` random rows near `gaussian`: what a cell's are beside the data's."""
    mean, sigma = gaussian
    random = np.random.default_rng(seed)
    rows = random.standard_normal((samples, len(mean))) @ np.linalg.cholesky(sigma).T
    return moments(rows * random.uniform(0.8, 1.2, len(mean)) + mean + 0.05 * random.standard_normal(len(mean)))
