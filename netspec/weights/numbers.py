"""What the numbers of a tensor are like, and how far apart those of two are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from netspec.weights.safetensors_file import Array


@dataclass(frozen=True)
class Statistics:
    """Of the finite numbers of a tensor, None where there are none; and how many are not finite."""

    mean: float | None
    std: float | None
    minimum: float | None
    maximum: float | None
    nan: int
    infinite: int


def statistics(array: Array) -> Statistics:
    """Taken in float64, the standard deviation in two passes and over n."""
    wide = np.asarray(array, np.float64)
    finite = wide[np.isfinite(wide)]
    nan = int(np.isnan(wide).sum())
    infinite = wide.size - finite.size - nan
    if not finite.size:
        return Statistics(None, None, None, None, nan, infinite)
    return Statistics(
        float(finite.mean()), float(finite.std()), float(finite.min()), float(finite.max()), nan, infinite
    )


def largest_difference(a: Array, b: Array) -> float:
    """The largest |a - b| of two tensors of one shape: 0 where NaN meets NaN or an infinity itself, infinite where it
    does not."""
    if a.dtype.kind in "iu" and b.dtype.kind in "iu":
        differing = a != b  # exact: beyond 2^53 floats would be equal that are not
        pairs = zip(a[differing].tolist(), b[differing].tolist(), strict=True)
        return float(max((abs(one - other) for one, other in pairs), default=0))
    one, other = np.asarray(a, np.float64), np.asarray(b, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(one - other)
    difference[(one == other) | (np.isnan(one) & np.isnan(other))] = 0
    largest = float(difference.max(initial=0.0))
    return math.inf if math.isnan(largest) else largest
