"""Numbers as a narrower float type holds them, without a framework: NumPy itself has no bfloat16."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.backend import FloatType

# u, the largest relative error of one rounding.
UNIT_ROUNDOFFS: dict[FloatType, float] = {
    "float64": 2.0**-53,
    "float32": 2.0**-24,
    "float16": 2.0**-11,
    "bfloat16": 2.0**-8,
}


def round_to(array: NDArray[Any], dtype: FloatType) -> NDArray[Any]:
    """Floats rounded to `dtype`, to even where two are as near; bfloat16 in a float32. Anything else as it is."""
    if array.dtype.kind != "f":
        return array
    if dtype != "bfloat16":
        with np.errstate(over="ignore"):
            return array.astype(dtype, copy=False)
    wide = np.asarray(array, np.float32)
    bits = wide.view(np.uint32)
    even = (bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))) & np.uint32(0xFFFF0000)
    return np.where(np.isfinite(wide), even.view(np.float32), wide)


def held_dtype(dtype: FloatType) -> str:
    """The NumPy type in which a backend hands over floats of `dtype`."""
    return "float32" if dtype == "bfloat16" else dtype
