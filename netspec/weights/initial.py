"""The values that a graph's parameters and buffers start from."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.errors import WeightsError
from netspec.graph.folding import Computed
from netspec.graph.graph import Graph, Param
from netspec.graph.indices import read_as_indices
from netspec.layers.initializers import Initializer, parse_initializer
from netspec.weights.constants import evaluate
from netspec.weights.initialize import draw

Arrays = dict[str, NDArray[Any]]


def initial_weights(graph: Graph, seed: int = 0, paths: Container[str] | None = None) -> Arrays:
    """Parameters and buffers by path, float32 (buffers of integers and flags as such), canonical layout, in the order
    of the state dict; of `paths` alone.

    Each depends on the seed, its own path, shape and initialiser only.
    """
    drawn: Arrays = {}
    for held in graph.state:
        if paths is not None and held.path not in paths:
            continue
        initializer = held.initializer
        if isinstance(initializer, Computed):
            drawn[held.path] = evaluate(initializer, held.value.type)
            continue
        if not isinstance(initializer, Initializer):
            initializer = parse_initializer(initializer)
        fan = held.fan if isinstance(held, Param) else None
        values = draw(initializer, held.value.shape, held.path, seed, fan)
        if isinstance(held, Param) and held.zero_row is not None:
            values[held.zero_row] = 0
        drawn[held.path] = values
    check_indices(graph, drawn, "the weights to start from")
    return drawn


def check_indices(graph: Graph, arrays: Mapping[str, NDArray[Any]], source: str) -> None:
    """A WeightsError where a buffer whose numbers are read as indices holds one that no call could read."""
    bounds = read_as_indices(graph.nodes) if any(b.value.type.dtype != "float" for b in graph.buffers) else {}
    for buffer in graph.buffers:
        known = [bound.size for bound in bounds.get(buffer.value, ()) if isinstance(bound.size, int)]
        if known and buffer.path in arrays:
            (bound,) = known  # of two numbers the smaller one is left
            low, high = int(arrays[buffer.path].min()), int(arrays[buffer.path].max())
            if low < 0 or high >= bound:
                got = low if low < 0 else high
                raise WeightsError(f"{source}: {buffer.path}: indices must be from 0 to {bound - 1}, got {got}")


def widened(weights: Mapping[str, NDArray[Any]]) -> Arrays:
    """The same numbers, floats as float64."""
    return {
        path: np.asarray(values, np.float64 if values.dtype.kind == "f" else None) for path, values in weights.items()
    }
