"""One thing to compare: graphs and what they run on, and what the float64 reference says of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Protocol, cast

import numpy as np

from netspec.backend import Backend, FloatType, find_backend
from netspec.compare.drawing import SEED, draw_cotangents, draw_inputs, draw_sizes, draw_weights, given_inputs
from netspec.compare.roundings import UNIT_ROUNDOFFS, round_to
from netspec.compare.tolerance import DRAWS, UNIT_ROUNDOFF, Reference, reference
from netspec.graph.graph import Graph, GraphPair
from netspec.model import Arrays, Evaluation, InputCheck
from netspec.passes.noise_inputs import noise_inputs
from netspec.weights.generator import draw_normal

REFERENCE = "numpy"


@dataclass(frozen=True)
class Case:
    """One thing to compare: graphs with their random numbers as inputs, and what they run on."""

    graphs: GraphPair
    training: bool
    weights: Arrays
    inputs: Arrays
    cotangents: Arrays
    sizes: Mapping[str, int]

    @property
    def graph(self) -> Graph:
        return self.graphs.of(self.training)


class ReferenceBackend(Protocol):
    """What the reference can do beside being a backend."""

    def rounding(self, seed: int, unit: float) -> Backend:
        """The same backend with random roundings of size `unit` in all that it computes."""


@cache
def reference_backend() -> Backend:
    """The backend that all are compared with; to find it is to read what is installed."""
    return find_backend(REFERENCE)


def make_case(
    graphs: GraphPair,
    training: bool,
    dtype: FloatType,
    data: Mapping[str, Any] | None = None,
    dims: Mapping[str, int] | None = None,
    weights: Arrays | None = None,
) -> Case:
    """Sizes, inputs, weights and cotangents for one mode, and the graph of that mode with its noise as inputs."""
    graph, noise = noise_inputs(graphs.of(training))
    pair = replace(graphs, training=graph) if training else replace(graphs, inference=graph)
    if data is None:
        sizes = draw_sizes(graph, dims or {})
        inputs = draw_inputs(graph, sizes, noise)
    else:
        inputs = given_inputs(graph, data, noise, dtype)
        sizes = InputCheck(graph)(inputs)
    # What is given is rounded before the reference sees it: the rounding is not the backend's.
    held = draw_weights(graph) if weights is None else _rounded_to(dtype, weights)
    cotangents = draw_cotangents(graph, sizes)
    if dtype in ("float16", "bfloat16"):  # and so is what is drawn, of which every number is a float32
        inputs, held, cotangents = (_rounded_to(dtype, arrays) for arrays in (inputs, held, cotangents))
    return Case(pair, training, held, inputs, cotangents, sizes)


def _rounded_to(dtype: FloatType, arrays: Arrays) -> Arrays:
    return {name: round_to(array, dtype) for name, array in arrays.items()}


def evaluate_reference(case: Case, dtype: FloatType) -> Reference:
    """The float64 reference of a case, which also tells how far roundings of a narrower type move it.

    Those of `dtype`, which are made at once; to judge float64 those of float32, made when they are asked for.
    """
    unit = UNIT_ROUNDOFF if dtype == "float64" else UNIT_ROUNDOFFS[dtype]
    backend = reference_backend()
    backend.check(case.graphs)
    model = backend.compile(case.graphs, case.weights, "float64")
    exact = model.evaluate(case.inputs, case.cotangents or None, case.training)
    return reference(case.graph, case.sizes, exact, lambda: rounded(case, unit), dtype)


def rounded(case: Case, unit: float = UNIT_ROUNDOFF, given: bool = True) -> Iterator[Evaluation]:
    """The same pass, 8 times, with a random rounding of size `unit` in every number computed, and in what is `given`.

    In cotangents too: a bias at the end has their sum as its gradient, in which each of them is added with a rounding.
    """
    backend = cast(ReferenceBackend, reference_backend())
    for draw in range(DRAWS):
        inputs, weights, cotangents = (
            {name: _shaken(f"{kind}{name}", each, draw, unit if given else 0.0) for name, each in arrays.items()}
            for kind, arrays in (("input:", case.inputs), ("", case.weights), ("cotangent:", case.cotangents))
        )
        model = backend.rounding(draw, unit).compile(case.graphs, weights, "float64")
        yield model.evaluate(inputs, cotangents or None, case.training)


def _shaken(name: str, array: Any, draw: int, unit: float) -> Any:
    if array.dtype.kind != "f":
        return array
    noise = draw_normal(SEED, f"roundings:{draw}:{name}", array.shape)
    return np.asarray(array, "float64") * (1 + unit * noise.astype("float64"))
