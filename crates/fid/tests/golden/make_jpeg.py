"""Small JPEGs of every kind, and what Pillow makes of them: `jpeg/`. Pillow 13.0.0, libjpeg-turbo 3.2.0."""

import hashlib
import json
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, features

OUT = Path(__file__).resolve().parent / "jpeg"
CASES = {
    "444": ("RGB", 37, 29, {"quality": 95, "subsampling": 0}),
    "422": ("RGB", 37, 29, {"quality": 80, "subsampling": 1}),
    "420": ("RGB", 37, 29, {"quality": 75}),
    "420-even": ("RGB", 64, 48, {"quality": 60}),
    "gray": ("L", 33, 21, {"quality": 85}),
    "progressive": ("RGB", 41, 35, {"quality": 70, "progressive": True}),
    "restarts": ("RGB", 40, 40, {"quality": 75, "restart_marker_rows": 1}),
    "one-pixel": ("RGB", 1, 1, {"quality": 75}),
    "cmyk": ("CMYK", 16, 16, {"quality": 75}),
}

random = np.random.default_rng(7)


def smooth(width: int, height: int, mode: str) -> Image.Image:
    """Of strong colours, on which decoders differ most."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    shape = (4, 5, channels) if channels > 1 else (4, 5)
    small = Image.fromarray(random.integers(0, 256, shape, np.uint8), mode=mode)
    return small.resize((width, height), Image.Resampling.BICUBIC)


found = {"pillow": PIL.__version__, "libjpeg_turbo": features.version("libjpeg_turbo")}
for name, (mode, width, height, options) in CASES.items():
    smooth(width, height, mode).save(OUT / f"{name}.jpg", **options)
    pixels = np.asarray(Image.open(OUT / f"{name}.jpg").convert("RGB"))
    found[name] = {"size": [width, height]}
    if mode != "CMYK":
        found[name]["sha256"] = hashlib.sha256(pixels.tobytes()).hexdigest()
(OUT / "pillow.json").write_text(json.dumps(found, indent=1) + "\n")
