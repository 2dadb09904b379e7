"""The NumPy model: a graph with its weights, run by the interpreter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.graph.dims import Size, evaluate
from netspec.graph.graph import Buffer, Graph, GraphPair, Param, Value
from netspec.graph.types import TensorType
from netspec.model import Arrays, Evaluation, Model, numpy_input
from netspec_numpy.interpreter import Run, Table, add_cotangent, forward

Array = NDArray[Any]


@dataclass(frozen=True)
class Trace:
    """One pass with all that was computed on the way, in the layout of the graph.

    `values` and `cotangents` are by Value of the graph, those of inputs, parameters and buffers included. A value that
    no gradient flows back to has no cotangent.
    """

    values: Mapping[Value, Array]
    cotangents: Mapping[Value, Array]
    evaluation: Evaluation


class NumpyModel(Model):
    """A spec run in NumPy. There is no native object behind it: `native` is the model itself."""

    def __init__(
        self, graphs: GraphPair, weights: Mapping[str, Any], dtype: str, lowerings: Table, vjps: Table
    ) -> None:
        super().__init__(graphs, dtype, "numpy")
        self._lowerings = lowerings
        self._vjps = vjps
        self.load_weights(weights)

    @property
    def native(self) -> NumpyModel:
        return self

    def run(self, inputs: Mapping[str, Any], training: bool) -> dict[str, Any]:
        graph = self.graphs.of(training)
        values, sizes = self._start(graph, inputs, self._weights)
        forward(graph, Run(self._lowerings, sizes, self.dtype, values, keep=False))
        for path, value in graph.updates.items():
            self._weights[path] = np.array(values[value])
        return {output.name: values[output.value] for output in graph.outputs}

    def evaluate(
        self,
        inputs: Mapping[str, Any],
        cotangents: Mapping[str, Any] | None = None,
        training: bool = False,
        *,
        weights: Mapping[str, Any] | None = None,
    ) -> Evaluation:
        """As in every model; `weights` stand in for the model's own in this pass, some or all of them."""
        return self._pass(inputs, cotangents, training, weights, keep=False).evaluation

    def trace(
        self,
        inputs: Mapping[str, Any],
        cotangents: Mapping[str, Any] | None = None,
        training: bool = False,
        *,
        weights: Mapping[str, Any] | None = None,
    ) -> Trace:
        """`evaluate` with every intermediate value, and with its cotangent where cotangents of outputs are given."""
        return self._pass(inputs, cotangents, training, weights, keep=True)

    def weights(self) -> Arrays:
        return {path: array.copy() for path, array in self._weights.items()}

    def load_weights(self, weights: Mapping[str, Any]) -> None:
        """Replace all parameters and buffers by these, checked, by path."""
        state = self.graphs.inference.state
        self._weights = {held.path: np.array(weights[held.path], self._dtype(held.value.type)) for held in state}

    def to_native(self, name: str, value: Any, type: TensorType) -> Array:
        return numpy_input(name, value, type, self.dtype)

    def to_numpy(self, value: Any) -> Array:
        return np.asarray(value)

    def _pass(
        self,
        inputs: Mapping[str, Any],
        cotangents: Mapping[str, Any] | None,
        training: bool,
        weights: Mapping[str, Any] | None,
        keep: bool,
    ) -> Trace:
        graph = self.graphs.of(training)
        values, sizes = self._start(graph, inputs, {**self._weights, **(weights or {})})
        given = cotangents is not None
        run = Run(self._lowerings, sizes, self.dtype, values, keep or given)
        forward(graph, run)
        outputs = {output.name: np.array(values[output.value]) for output in graph.outputs}
        updates = {path: np.array(values[value]) for path, value in graph.updates.items()}
        flowing: dict[Value, Array] = {}
        gradients: Arrays = {}
        if cotangents is not None:
            for output in graph.outputs:
                if output.name in cotangents:
                    cotangent = np.asarray(cotangents[output.name], self.dtype)
                    assert cotangent.shape == values[output.value].shape, (output.name, cotangent.shape)
                    add_cotangent(flowing, output.value, cotangent)
            run.backward(graph.nodes, self._vjps, flowing, keep)
            gradients = self._gradients(graph, values, flowing)
        return Trace(values, flowing, Evaluation(outputs, gradients, updates))

    def _start(
        self, graph: Graph, inputs: Mapping[str, Any], weights: Mapping[str, Any]
    ) -> tuple[dict[Value, Array], Callable[[Size], int]]:
        """The values of inputs and state, and what turns a symbolic size into a number."""
        values = {entry.value: np.asarray(inputs[entry.name], self._dtype(entry.value.type)) for entry in graph.inputs}
        symbols = {name: values[entry.value].shape[axis] for name, (entry, axis) in graph.symbols().items()}
        for held in graph.state:
            array = np.asarray(weights[held.path], self._dtype(held.value.type))
            values[held.value] = array.transpose(_permutation(held))
            assert values[held.value].shape == held.value.shape, (held.path, array.shape)
        return values, lambda size: int(evaluate(size, symbols))

    def _gradients(self, graph: Graph, values: Mapping[Value, Array], flowing: Mapping[Value, Array]) -> Arrays:
        """Of every trainable parameter and float input, zeros where nothing flows back."""

        def gradient(value: Value) -> Array:
            return np.array(flowing[value]) if value in flowing else np.zeros_like(values[value])

        found = {
            held.path: gradient(held.value).transpose(np.argsort(_permutation(held)))
            for held in graph.params
            if held.trainable
        }
        for entry in graph.inputs:
            if entry.value.type.dtype == "float":
                found[f"input:{entry.name}"] = gradient(entry.value)
        return found

    def _dtype(self, type: TensorType) -> str:
        return self.dtype if type.dtype == "float" else type.dtype


def _permutation(held: Param | Buffer) -> tuple[int, ...]:
    """Stored axis k is axis `permutation[k]` of the canonical layout; here the stored one is a view."""
    if isinstance(held, Param) and held.permutation is not None:
        return held.permutation
    return tuple(range(held.value.type.rank))
