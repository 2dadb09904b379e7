"""The values that a graph's parameters and buffers start from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.graph.graph import Graph, Param
from netspec.layers.initializers import Initializer, parse_initializer
from netspec.weights.check import ArrayType, check_finite, check_weights
from netspec.weights.initialize import draw
from netspec.weights.safetensors_file import read_weights

Arrays = dict[str, NDArray[Any]]


def initial_weights(graph: Graph, seed: int = 0) -> Arrays:
    """Parameters and buffers by path, float32, canonical layout, in the order of the state dict.

    Each depends on the seed, its own path, shape and initialiser only.
    """
    drawn: Arrays = {}
    for held in graph.state:
        initializer = held.initializer
        if not isinstance(initializer, Initializer):
            initializer = parse_initializer(initializer)
        fan = held.fan if isinstance(held, Param) else None
        values = draw(initializer, held.value.shape, held.path, seed, fan)
        if isinstance(held, Param) and held.zero_row is not None:
            values[held.zero_row] = 0
        drawn[held.path] = values
    return drawn


def load_weights(graph: Graph, source: str | os.PathLike[str] | Mapping[str, Any]) -> Arrays:
    """The weights of a .safetensors file, or arrays by path: exactly the graph's and finite, or a WeightsError."""
    expected: Mapping[str, ArrayType] = {held.path: ("float64", held.value.shape) for held in graph.state}
    if isinstance(source, Mapping):
        name = "weights"
        found = {path: np.asarray(values) for path, values in source.items()}
        check_weights({path: (values.dtype.name, values.shape) for path, values in found.items()}, expected, name)
    else:
        name = os.fspath(source)
        found = read_weights(source, expected)
    check_finite(found, name)
    return {held.path: found[held.path] for held in graph.state}


def widened(weights: Mapping[str, NDArray[Any]]) -> Arrays:
    """The same numbers as float64."""
    return {path: np.asarray(values, np.float64) for path, values in weights.items()}
