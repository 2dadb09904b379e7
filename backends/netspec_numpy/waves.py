"""Sines and cosines of positions, in NumPy."""

from __future__ import annotations

import numpy as np

from netspec_numpy.windows import Array


def sin_cos(positions: Array, x: Array, *, count: int, base: float) -> tuple[Array, Array]:
    angles = positions[..., None] * base ** (-np.arange(count) / count)
    return np.sin(angles).astype(x.dtype), np.cos(angles).astype(x.dtype)
