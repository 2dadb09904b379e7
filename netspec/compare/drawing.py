"""What a comparison runs on: sizes, inputs, weights and cotangents that no symmetry can hide a mistake behind."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from netspec.analysis.index_bounds import index_bounds
from netspec.errors import InputError, NetspecError, nearest
from netspec.graph.dims import evaluate
from netspec.graph.folding import Computed
from netspec.graph.graph import Graph, Param
from netspec.graph.ops import Bernoulli, Op, Uniform
from netspec.graph.types import TensorType
from netspec.layers.initializers import Constant, Ones, Zeros
from netspec.model import Arrays, InputCheck, numpy_input
from netspec.weights.generator import draw_integers, draw_mask, draw_normal, draw_uniform
from netspec.weights.initial import initial_weights

SEED = 0
# Small, unequal, odd and even, none of them 1: the first symbol of a spec (mostly `batch`) is the first number.
SIZES = (3, 7, 5, 6, 9, 4, 11, 8)
LARGEST_SIZE = 4096


def draw_sizes(graph: Graph, dims: Mapping[str, int]) -> dict[str, int]:
    """A size for every symbol: those of `dims`, else small unequal ones, as large as the layers require.

    Raises NetspecError for a symbol that the spec does not have, or where no size will do.
    """
    symbols = list(graph.symbols())
    for name in dims:
        if name not in symbols:
            known = f"; known are {', '.join(symbols)}" if symbols else "; the spec has no symbolic dimension"
            raise NetspecError(f"there is no symbolic dimension {name}{nearest(name, symbols) or known}")
    free = [name for name in symbols if name not in dims]
    for factor in itertools.count(1):
        sizes = {name: SIZES[place % len(SIZES)] * factor + place // len(SIZES) for place, name in enumerate(free)}
        sizes.update(dims)
        unmet = [need for need in graph.requirements if evaluate(need.size, sizes) < need.at_least]
        if not unmet:
            return sizes
        if not free or min(sizes[name] for name in free) > LARGEST_SIZE:
            first = unmet[0]
            size = evaluate(first.size, sizes)
            raise NetspecError(f"{first.origin.path}: {first.message.format(size=size)}", first.origin.location)
    raise AssertionError("itertools.count ends")


def draw_inputs(graph: Graph, sizes: Mapping[str, int], noise: Mapping[str, Op]) -> Arrays:
    """An array for every input: floats are standard normal, flags even odds, integers below what bounds them.

    `noise` says for inputs that stand for a random primitive what they hold. Raises NetspecError for an integer
    input that no operation bounds: only the user knows what may stand in it. One that nothing reads, as an input of
    what only training runs, is 0.
    """
    read = {value for node in graph.nodes for value in node.inputs} | {output.value for output in graph.outputs}
    bounds = {entry.name: 1 for entry in graph.inputs if entry.value not in read}
    bounds |= {name: min(evaluate(size, sizes) for size in each) for name, each in index_bounds(graph).items()}
    return {
        entry.name: _draw(entry.name, entry.value.type, sizes, bounds.get(entry.name), noise.get(entry.name))
        for entry in graph.inputs
    }


def _draw(name: str, type: TensorType, sizes: Mapping[str, int], bound: int | None, random: Op | None) -> Any:
    shape = tuple(evaluate(size, sizes) for size in type.shape)
    path = f"input:{name}"
    if random is not None:
        return _draw_noise(random, path, shape)
    if type.dtype == "float":
        return draw_normal(SEED, path, shape)
    if type.dtype == "bool":
        return draw_mask(SEED, path, 0.5, shape)
    if bound is None:
        raise NetspecError(f"input {name}: nothing bounds its integers, so none can be drawn: give it with --data")
    return draw_integers(SEED, path, bound, shape).astype(type.dtype)


def _draw_noise(random: Op, path: str, shape: tuple[int, ...]) -> Any:
    """What a random primitive could have drawn, for every backend the same."""
    if isinstance(random, Bernoulli):
        return draw_mask(SEED, path, random.keep, shape).astype("float32")
    draw = draw_uniform if isinstance(random, Uniform) else draw_normal
    return draw(SEED, path, shape)


def given_inputs(graph: Graph, data: Mapping[str, Any], noise: Mapping[str, Op], dtype: str) -> Arrays:
    """The arrays of `data`, checked, with noise drawn to their sizes. Raises InputError where they do not fit."""
    names = [entry.name for entry in graph.inputs if entry.name not in noise]
    for name in data:
        if name not in names:
            raise InputError(f"data: there is no input {name}{nearest(name, names)}; inputs are {', '.join(names)}")
    for name in names:
        if name not in data:
            raise InputError(f"data: input {name} is missing; inputs are {', '.join(names)}")
    arrays = {
        entry.name: numpy_input(entry.name, data[entry.name], entry.value.type, dtype)
        for entry in graph.inputs
        if entry.name not in noise
    }
    plain = replace(graph, inputs=tuple(entry for entry in graph.inputs if entry.name not in noise))
    sizes = InputCheck(plain)(arrays)
    for entry in graph.inputs:
        if entry.name in noise:
            arrays[entry.name] = _draw(entry.name, entry.value.type, sizes, None, noise[entry.name])
    return arrays


def draw_weights(graph: Graph) -> Arrays:
    """Initial weights, but nothing that starts constant is left so: a bias of 0 or a variance of 1 hides mistakes.

    What starts constant gets up to 0.25 of noise, so that a running variance stays above 0. The row of a table that
    starts at zero is drawn like the others: else whoever masks it would agree.
    """
    weights = initial_weights(graph, SEED)
    for held in graph.state:
        initializer, values = held.initializer, weights[held.path]
        if values.dtype.kind != "f":
            continue
        if initializer in ("zeros", "ones") or isinstance(initializer, Zeros | Ones | Constant | Computed):
            noise = np.tanh(draw_normal(SEED, f"perturbed:{held.path}", values.shape)) * np.float32(0.25)
            weights[held.path] = values + noise.astype("float32")
        elif isinstance(held, Param) and held.zero_row is not None:
            values[held.zero_row] = draw_normal(SEED, f"perturbed:{held.path}", values.shape[1:])
    return weights


def draw_cotangents(graph: Graph, sizes: Mapping[str, int]) -> Arrays:
    """A standard normal cotangent for every output of the float type: never ones, whose gradient may be exactly 0."""
    return {
        output.name: draw_normal(
            SEED, f"cotangent:{output.name}", tuple(evaluate(size, sizes) for size in output.value.shape)
        )
        for output in graph.outputs
        if output.value.type.dtype == "float"
    }
