"""Whether weights fit the model they are meant for: exactly, or they are refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.errors import MAX_SHOWN, Mistake, WeightsError, nearest

# NumPy's name of a dtype, and a shape.
ArrayType = tuple[str, tuple[int, ...]]

# Beyond this many names the search for the nearest one would take seconds.
MAX_CANDIDATES = 200


# How many batches a batch_norm has seen: torch saves it and uses it only where momentum is None.
IGNORED = "num_batches_tracked"

Names = Mapping[str, Sequence[str]]


def check_weights(
    found: Mapping[str, ArrayType],
    expected: Mapping[str, ArrayType],
    source: str,
    aliases: Mapping[str, str] = MappingProxyType({}),
) -> Names:
    """The names in `found` that hold each of `expected`: its path, or the path of a parameter tied to it, or both.

    A WeightsError lists all of `found` that differs: missing, extra, misshapen, mistyped. A dtype may be narrower than
    expected, of the same kind, since widening is exact: float16 for float32, int32 for int64. What torch counts in
    `num_batches_tracked` may be there. `source` is what the messages begin with: the name of the file.
    """
    names: dict[str, list[str]] = {path: [] for path in expected}
    extra: list[str] = []
    for name in found:
        path = aliases.get(name, name)
        if path in names:
            names[path].append(name)
        elif not is_ignored(name):
            extra.append(name)
    mistakes = [Mistake(f"{source}: {message}") for message in _differences(found, expected, names, extra)]
    if mistakes:
        raise WeightsError(mistakes)
    return names


def is_ignored(name: str) -> bool:
    """Whether a tensor of a file is left out without a word, where the model has none of that name."""
    return name.rpartition(".")[2] == IGNORED


def check_equal(arrays: Mapping[str, NDArray[Any]], names: Names, source: str) -> None:
    """A WeightsError that lists the tied parameters that are given under several names and are not equal."""
    mistakes = [
        Mistake(f"{source}: {other}: differs from {first}, which is the same parameter")
        for first, *others in names.values()
        for other in others
        if not np.array_equal(arrays[first], arrays[other], equal_nan=True)
    ]
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


def _differences(
    found: Mapping[str, ArrayType], expected: Mapping[str, ArrayType], names: Names, extra: Sequence[str]
) -> Iterator[str]:
    for path, (dtype, shape) in expected.items():
        if not names[path]:
            yield f"{path}: missing, expected {dtype} {list(shape)}"
        for name in names[path]:
            found_dtype, found_shape = found[name]
            if found_shape != shape:
                yield f"{name}: expected the shape {list(shape)}, got {list(found_shape)}"
            if not _widens(np.dtype(found_dtype), np.dtype(dtype)):
                yield f"{name}: expected {dtype}, got {found_dtype}"
    missing = [path for path in expected if not names[path]][:MAX_CANDIDATES]
    for position, name in enumerate(extra):
        hint = nearest(name, missing) if position < MAX_SHOWN else ""
        yield f"{name}: no such parameter or buffer{hint}"


def _widens(found: np.dtype[Any], expected: np.dtype[Any]) -> bool:
    """Whether all numbers of `found` are numbers of `expected`, and of the same kind: an integer is no float."""
    same_kind = found.kind == expected.kind or (found.kind, expected.kind) == ("u", "i")
    return same_kind and np.can_cast(found, expected, "safe")
