"""Whether weights fit the model they are meant for: exactly, or they are refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.errors import MAX_SHOWN, Mistake, WeightsError, nearest

# NumPy's name of a dtype, and a shape.
ArrayType = tuple[str, tuple[int, ...]]

# Beyond this many names the search for the nearest one would take seconds.
MAX_CANDIDATES = 200


def check_weights(found: Mapping[str, ArrayType], expected: Mapping[str, ArrayType], source: str) -> None:
    """A WeightsError that lists all of `found` that differs from `expected`: missing, extra, misshapen, mistyped.

    A dtype may be narrower than expected, of the same kind, since widening is exact: float16 for float32, int32 for
    int64. `source` is what the messages begin with: the name of the file.
    """
    mistakes = [Mistake(f"{source}: {message}") for message in _differences(found, expected)]
    if mistakes:
        raise WeightsError(mistakes)


def check_finite(arrays: Mapping[str, NDArray[Any]], source: str) -> None:
    """A WeightsError that lists the arrays with a NaN or an infinity, how many there are and where the first is."""
    mistakes = []
    for name, array in arrays.items():
        # The extremes tell without an array of flags: a NaN becomes both of them.
        if array.size == 0 or array.dtype.kind != "f" or np.isfinite([array.min(), array.max()]).all():
            continue
        places = np.argwhere(~np.isfinite(array))
        first = f"{array[tuple(places[0])]} at {places[0].tolist()}"
        mistakes.append(Mistake(f"{source}: {name}: {len(places)} numbers are not finite, the first {first}"))
    if mistakes:
        raise WeightsError(mistakes)


def _differences(found: Mapping[str, ArrayType], expected: Mapping[str, ArrayType]) -> Iterator[str]:
    for name, (dtype, shape) in expected.items():
        if name not in found:
            yield f"{name}: missing, expected {dtype} {list(shape)}"
            continue
        found_dtype, found_shape = found[name]
        if found_shape != shape:
            yield f"{name}: expected the shape {list(shape)}, got {list(found_shape)}"
        if not _widens(np.dtype(found_dtype), np.dtype(dtype)):
            yield f"{name}: expected {dtype}, got {found_dtype}"
    missing = [name for name in expected if name not in found][:MAX_CANDIDATES]
    for position, name in enumerate(name for name in found if name not in expected):
        hint = nearest(name, missing) if position < MAX_SHOWN else ""
        yield f"{name}: no such parameter or buffer{hint}"


def _widens(found: np.dtype[Any], expected: np.dtype[Any]) -> bool:
    """Whether all numbers of `found` are numbers of `expected`, and of the same kind: an integer is no float."""
    same_kind = found.kind == expected.kind or (found.kind, expected.kind) == ("u", "i")
    return same_kind and np.can_cast(found, expected, "safe")
