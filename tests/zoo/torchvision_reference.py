"""What was measured from torchvision (tests/data/torchvision), and the weights and images that it was measured with."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parents[1] / "data" / "torchvision"
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.json")))

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Facts:
    """One model of torchvision. `shapes` is its state dict; the counts of batches are left out, here and in `buffers`.

    `logits` are the first 16 of each of 2 samples in float64, `mean` is that of all their absolute values.
    """

    name: str
    params: int
    buffers: int
    macs: int
    shapes: Mapping[str, Shape]
    input_shape: Shape
    norm_scale: float
    logits: NDArray[np.float64]
    argmax: list[int]
    mean: float
    sample_difference: float


def facts(name: str) -> Facts:
    """The facts of the model `name`."""
    data: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return Facts(
        name=name,
        params=data["params"],
        buffers=data["buffers"],
        macs=data["matmul_conv_flops_batch1"] // 2,
        shapes={path: tuple(shape) for path, shape in data["state_dict"].items()},
        input_shape=tuple(data["input_shape"]),
        norm_scale=data["norm_scale"],
        logits=np.array(data["logits_f64"]),
        argmax=data["argmax"],
        mean=data["logits_abs_mean"],
        sample_difference=data["sample_difference_over_mean"],
    )


def weights(model: Facts) -> dict[str, NDArray[np.float32]]:
    """The weights that the logits were measured with, by path: the same on every machine, from the names alone."""
    return {path: _weight(path, shape, model.norm_scale) for path, shape in model.shapes.items()}


def image(model: Facts) -> NDArray[np.float32]:
    """The two images, uniform in [-1, 1)."""
    drawn = np.random.Generator(np.random.Philox(7)).integers(0, 1 << 24, math.prod(model.input_shape), np.uint32)
    return (drawn / (1 << 23) - 1).reshape(model.input_shape).astype(np.float32)


def _weight(path: str, shape: Shape, norm_scale: float) -> NDArray[np.float32]:
    generator = np.random.Generator(np.random.Philox(zlib.crc32(path.encode())))
    drawn = generator.integers(0, 1 << 24, math.prod(shape), np.uint32)
    u = ((drawn.astype(np.float64) + 0.5) / (1 << 24)).reshape(shape)
    if path.endswith("running_var"):
        values = 0.5 + u
    elif path.endswith(("running_mean", "bias")):
        values = 0.2 * (u - 0.5)
    elif len(shape) <= 1:
        values = norm_scale * (0.75 + 0.5 * u)
    else:
        values = (u - 0.5) * 2 * math.sqrt(6 / math.prod(shape[1:]))
    return values.astype(np.float32)
