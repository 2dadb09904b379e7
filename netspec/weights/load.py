"""The weights of a model from a file or from arrays: exactly what it has, or as much of it as was asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from netspec.errors import NetspecError, printable
from netspec.graph.graph import Graph
from netspec.weights.check import ArrayType, check_equal, check_finite, check_weights, is_ignored
from netspec.weights.initial import Arrays, check_indices, initial_weights
from netspec.weights.safetensors_file import Array, open_weights
from netspec.weights.selection import EVERYTHING, Selection

Weights = str | os.PathLike[str] | Mapping[str, Any]


@dataclass(frozen=True)
class Loaded:
    """All weights of a model: `arrays` by path, in the order of the state dict.

    `initial` are the paths that keep the initial values of the seed, `unused` the tensors given that were left out.
    """

    arrays: Arrays
    initial: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        parts = [("initial values", self.initial), ("not used", self.unused)]
        return "weights: " + "; ".join(f"{what}: {printable(', '.join(names)) or 'none'}" for what, names in parts)


def load_weights(
    graph: Graph,
    weights: Weights,
    selection: Selection = EVERYTHING,
    seed: int = 0,
    allow_nonfinite: bool = False,
    name: str = "weights",
) -> Loaded:
    """The weights of a .safetensors file, or arrays by path, as far as `selection` wants them.

    What is wanted is exactly there and finite, or a WeightsError tells all that is not. Of what is left out neither
    the shape nor the numbers matter, and it is not read. `name` is what messages call arrays.
    """
    expected = expected_types(graph)
    with _opened(weights, name) as source:
        selection.check_all_used([*expected, *graph.aliases, *source.types])
        wanted = {path: kind for path, kind in expected.items() if selection.wants(path)}
        if selection is not EVERYTHING and not wanted:
            raise NetspecError("only and skip leave nothing to load")
        given = {name: kind for name, kind in source.types.items() if _wanted(name, graph, selection)}
        names = check_weights(given, wanted, source.path, graph.aliases)
        used = [name for held in names.values() for name in held]
        read = {name: source.read(name) for name in used}
        if not allow_nonfinite:
            check_finite(read, source.path)
        check_equal(read, names, source.path)
        left = set(source.types).difference(used)
        unused = tuple(name for name in source.types if name in left and not is_ignored(name))
    arrays = {path: read[held[0]] for path, held in names.items()}
    check_indices(graph, arrays, source.path)
    initial = tuple(path for path in expected if path not in wanted)
    arrays |= initial_weights(graph, seed, frozenset(initial))
    return Loaded({path: arrays[path] for path in expected}, initial, unused)


def expected_types(graph: Graph) -> dict[str, ArrayType]:
    """What a file may hold under each path: any float for a float, since each model rounds to its own type."""
    return {
        held.path: ("float64" if held.value.type.dtype == "float" else held.value.type.dtype, held.value.shape)
        for held in graph.state
    }


def _wanted(name: str, graph: Graph, selection: Selection) -> bool:
    """A tied parameter is wanted by its one path, and left out under another name where that is skipped."""
    return selection.wants(graph.aliases.get(name, name)) and not selection.skips(name)


class _Source(Protocol):
    path: str

    @property
    def types(self) -> Mapping[str, ArrayType]: ...

    def read(self, name: str) -> Array: ...


class _Given:
    """Arrays that the caller gives."""

    def __init__(self, arrays: Mapping[str, Any], path: str) -> None:
        self.path = path
        self._arrays = {name: np.asarray(array) for name, array in arrays.items()}
        self.types = {name: (array.dtype.name, array.shape) for name, array in self._arrays.items()}

    def read(self, name: str) -> Array:
        return self._arrays[name]


@contextmanager
def _opened(weights: Weights, name: str) -> Iterator[_Source]:
    if isinstance(weights, Mapping):
        yield _Given(weights, name)
    else:
        with open_weights(weights) as file:
            yield file
