"""Figures of the three protocols by the packages that have them: torch-fidelity 0.4.0, clean-fid 0.1.35 and pytorch-fid 0.3.0.

    pip install -r ../../../../benches/peers/requirements.txt torch-fidelity==0.4.0 clean-fid==0.1.35 prdc==0.2
    python make_protocols.py INCEPTION CIFAR10

INCEPTION is the archive and CIFAR10 the folder of images that `fewstep fetch` leaves. Writes `protocols.json` and `protocols.safetensors`.

All networks have the archive's weights, which are those of every package. It has no last layer: logits are of one by a formula.
"""

import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from cleanfid.inception_torchscript import InceptionV3W
from cleanfid.resize import build_resizer
from PIL import Image
from prdc import compute_prdc
from pytorch_fid.fid_score import calculate_frechet_distance
from safetensors.torch import save_file
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import BasicConv2d, FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[3] / "benches" / "peers"))
import inception  # noqa: E402

PROTOCOLS = ("pytorch-fid", "tensorflow", "clean")
# Numbers of one prepared image that are kept: one in a prime.
EVERY = 1009
# Images of each of the two parts, and features of those few whose covariances have full rank with so many images.
PART, FEW = 400, 128
BATCH = 50


def main() -> None:
    archive, folder = Path(sys.argv[1]), Path(sys.argv[2])
    images = np.asarray(Image.open(folder / "test_batch.png").convert("RGB")).reshape(-1, 32, 32, 3)
    with torch.inference_mode(), contextlib.redirect_stdout(io.StringIO()):
        networks = Networks(archive)
        save_file(tensors(networks, images[:16]), HERE / "protocols.safetensors")
        figures = {
            "prepared": [prepared(*size) for size in ((5, 7), (32, 32), (299, 299), (400, 310))],
            "scores": [score(24, 6, 4, 0), score(25, 9, 4, 1), score(30, 3, 10, 2)],
            "part": PART,
            "few": FEW,
            "measures": {p: measures(networks, p, images[:PART], images[PART : 2 * PART]) for p in PROTOCOLS},
        }
    (HERE / "protocols.json").write_text(json.dumps(figures, indent=1) + "\n")


class Networks:
    """The packages' own, each up to its features."""

    def __init__(self, archive: Path) -> None:
        self.pytorch = inception.load(archive)
        layers = torch.jit.load(archive).net
        with mock.patch.object(torch.jit, "load", lambda _: layers):
            self.clean = InceptionV3W("", download=False, resize_inside=False)
        self.fidelity = fidelity(archive)
        # What passes here last: the first seven channels behind the ReLU, position by position.
        self.spatial = torch.empty(0)
        for block in (self.pytorch.blocks[2][6], self.fidelity.Mixed_6d):
            block.branch1x1.register_forward_hook(self._keep)

    def _keep(self, _module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.spatial = output[:, :7].permute(0, 2, 3, 1).flatten(1)

    def features(self, protocol: str, images: np.ndarray) -> Tensor:
        """Pool3 rows `[n, 2048]` of 8-bit images `[n, height, width, 3]`, by the protocol's own package."""
        x = torch.from_numpy(images.copy()).permute(0, 3, 1, 2)
        if protocol == "pytorch-fid":
            return inception.features(self.pytorch, x / 255)
        if protocol == "tensorflow":
            return self.fidelity(x)[0]
        return self.clean(cleaned(images))


def fidelity(archive: Path) -> FeatureExtractorInceptionV3:
    """torch-fidelity's extractor, with its weights in a file as it wants them."""
    outputs = ["2048", "logits_unbiased"]
    with mock.patch.object(torch, "load"), mock.patch.object(nn.Module, "load_state_dict"):
        empty = FeatureExtractorInceptionV3("empty", outputs, feature_extractor_weights_path="none")
    arrays = inception._arrays(archive)
    for layer in empty.modules():
        if isinstance(layer, BasicConv2d):
            layer.bn.weight.fill_(1)
            for tensor in (layer.conv.weight, layer.bn.bias, layer.bn.running_mean, layer.bn.running_var):
                tensor.copy_(torch.from_numpy(next(arrays)).reshape(tensor.shape))
    empty.fc.weight.copy_(torch.from_numpy(last_layer()))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        torch.save(empty.state_dict(), path)
        return FeatureExtractorInceptionV3("inception", outputs, feature_extractor_weights_path=str(path))


def last_layer() -> np.ndarray:
    """`[1008, 2048]`, between -0.05 and 0.05: any numbers, which a test in another language can make as well."""
    k = np.arange(1008 * 2048, dtype=np.int64)
    return ((k * 7919 % 10007) / 10007 * 0.1 - 0.05).astype(np.float32).reshape(1008, 2048)


def shown(protocol: str, images: np.ndarray) -> Tensor:
    """What the network of a protocol sees, `[n, 3, 299, 299]`, by the packages' own resizing."""
    x = torch.from_numpy(images.copy()).permute(0, 3, 1, 2).float()
    if protocol == "pytorch-fid":
        return 2 * nn.functional.interpolate(x / 255, (299, 299), mode="bilinear", align_corners=False) - 1
    if protocol == "tensorflow":
        return (interpolate_bilinear_2d_like_tensorflow1x(x, (299, 299), align_corners=False) - 128) / 128
    return (cleaned(images) - 128) / 128


def cleaned(images: np.ndarray) -> Tensor:
    """Resized by clean-fid, values 0 to 255; its network's wrapper does the rest itself."""
    resize = build_resizer("clean")
    return torch.from_numpy(np.stack([resize(image) for image in images])).permute(0, 3, 1, 2)


def pattern(height: int, width: int) -> np.ndarray:
    """An image by a formula."""
    return (np.arange(height * width * 3) * 7919 % 251).astype(np.uint8).reshape(1, height, width, 3)


def prepared(height: int, width: int) -> dict:
    """Some of what the network sees of a pattern, in the order row, column, channel."""
    of = {p: shown(p, pattern(height, width))[0].permute(1, 2, 0).flatten()[::EVERY].tolist() for p in PROTOCOLS}
    return {"height": height, "width": width, "every": EVERY, **of}


def tensors(networks: Networks, images: np.ndarray) -> dict[str, Tensor]:
    """Features of the 16 images of `inception-features-16.safetensors`, and of two patterns, one of which has to shrink."""
    found = {protocol: networks.features(protocol, images) for protocol in PROTOCOLS[1:]}
    for protocol in PROTOCOLS:
        for height, width in ((20, 51), (400, 310)):
            found[f"{protocol} {height}x{width}"] = networks.features(protocol, pattern(height, width))
    for protocol in PROTOCOLS[:2]:
        networks.features(protocol, images[:2])
        found[f"{protocol} spatial"] = networks.spatial
    found["logits"] = networks.fidelity(torch.from_numpy(images[:2].copy()).permute(0, 3, 1, 2))[1]
    return {name: tensor.contiguous().clone() for name, tensor in found.items()}


def score(n: int, classes: int, splits: int, seed: int) -> dict:
    """torch-fidelity's Inception Score of random logits in their order."""
    logits = np.round(2 * np.random.default_rng(seed).standard_normal((n, classes)), 3).astype(np.float32)
    found = isc_features_to_metric(torch.from_numpy(logits), splits, shuffle=False)
    return {
        "classes": classes,
        "splits": splits,
        "logits": [round(float(value), 3) for value in logits.ravel()],
        "mean": found["inception_score_mean"],
        "std": found["inception_score_std"],
    }


def batches(networks: Networks, protocol: str, images: np.ndarray) -> list[np.ndarray]:
    """Pool3 rows and spatial ones; of clean-fid's network, a script without hooks, the former alone."""
    rows, at = [], []
    for start in range(0, len(images), BATCH):
        print(f"{protocol}: {start} of {len(images)}", file=sys.stderr)
        rows.append(networks.features(protocol, images[start : start + BATCH]))
        at.append(networks.spatial)
    return [torch.cat(part).double().numpy() for part in ((rows,) if protocol == "clean" else (rows, at))]


def by_factors(a: np.ndarray, b: np.ndarray) -> float:
    """The Fréchet distance of rows' moments, where SciPy's root of a product of rank-deficient covariances is not there: tr (Σ₁Σ₂)^½ is the
    sum of the singular values of A Bᵀ, with the centred rows A of the one and B of the other."""
    means = [rows.mean(0) for rows in (a, b)]
    centred = [(rows - mean) / np.sqrt(len(rows) - 1) for rows, mean in zip((a, b), means)]
    coupled = np.linalg.svd(centred[0] @ centred[1].T, compute_uv=False).sum()
    return float(((means[0] - means[1]) ** 2).sum() + sum((rows**2).sum() for rows in centred) - 2 * coupled)


def by_sqrtm(a: np.ndarray, b: np.ndarray) -> float:
    """pytorch-fid's own."""
    moments = [part for rows in (a, b) for part in (rows.mean(0), np.cov(rows, rowvar=False))]
    return float(calculate_frechet_distance(*moments))


def measures(networks: Networks, protocol: str, fake: np.ndarray, real: np.ndarray) -> dict:
    """Every measure of the first part against the second, on features of the protocol's package."""
    found = {}
    both = [batches(networks, protocol, part) for part in (fake, real)]
    for name, (a, b) in zip(("fid", "sfid"), zip(*both)):
        found[name] = by_factors(a, b)
        found[f"{name}_few"] = by_sqrtm(a[:, :FEW], b[:, :FEW])
    a, b = (rows for rows, *_ in both)
    # One subset as large as the sets: no generator of random numbers has a part in it.
    pair = [torch.from_numpy(rows) for rows in (a, b)]
    kid = kid_features_to_metric(*pair, kid_subsets=1, kid_subset_size=len(fake), verbose=False)
    found["kid"] = kid["kernel_inception_distance_mean"]
    return found | {name: float(value) for name, value in compute_prdc(b, a, 5).items()}


if __name__ == "__main__":
    main()
