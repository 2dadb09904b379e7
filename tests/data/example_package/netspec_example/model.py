"""The model of the eager backend: the methods that `netspec.model.Model` asks for, on torch tensors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from netspec.backend import Fused, Lowerings, Results, run
from netspec.graph import ops
from netspec.graph.graph import GraphPair, Param
from netspec.graph.types import TensorType
from netspec.model import Arrays, Evaluation, Model, numpy_input
from netspec_example.control import CONTROL


class EagerModel(Model):
    """Tensors by path; each call interprets the graph anew."""

    def __init__(
        self, graphs: GraphPair, weights: Mapping[str, Any], dtype: str, lowerings: Lowerings, fused: Fused
    ) -> None:
        super().__init__(graphs, dtype, "eager")
        self._float: torch.dtype = getattr(torch, dtype)
        array, arange = lowerings[ops.Array], lowerings[ops.Arange]
        # torch's table makes arrays of floats in 64 bits, and asks arange for a tensor whose device it shall take.
        self._lowerings: Lowerings = {
            **lowerings,
            ops.Constant: lambda *, value, dtype: torch.tensor(value, dtype=self._type(dtype)),
            ops.Array: lambda *, dtype, **attributes: array(dtype=dtype, **attributes).to(self._type(dtype)),
            ops.Arange: partial(arange, like=torch.empty(0)),
            **CONTROL,
        }
        self._fused = fused
        self.load_weights(weights)

    @property
    def native(self) -> Mapping[str, Tensor]:
        """The tensors by path."""
        return self._held

    def run(self, inputs: Mapping[str, Any], training: bool) -> dict[str, Any]:
        results = self._interpret(inputs, training)
        self._held.update({path: value.detach() for path, value in results.updates.items()})
        return results.outputs

    def evaluate(
        self, inputs: Mapping[str, Any], cotangents: Mapping[str, Any] | None = None, training: bool = False
    ) -> Evaluation:
        graph = self.graphs.of(training)
        native = {
            name: each.detach() if isinstance(each, Tensor) else torch.tensor(each) for name, each in inputs.items()
        }
        sources = {held.path: self._held[held.path] for held in graph.params if held.trainable}
        for entry in graph.inputs:
            if entry.value.type.dtype == "float":
                sources[f"input:{entry.name}"] = native[entry.name].requires_grad_()
        results = self._interpret(native, training)
        gradients: Arrays = {}
        if cotangents is not None:
            reached = [name for name in cotangents if results.outputs[name].requires_grad]
            found = [torch.zeros_like(source) for source in sources.values()]
            if reached:
                flows = [torch.tensor(np.asarray(cotangents[name]), dtype=self._float) for name in reached]
                tensors = [results.outputs[name] for name in reached]
                found = list(torch.autograd.grad(tensors, list(sources.values()), flows, materialize_grads=True))
            gradients = {name: self.to_numpy(flow) for name, flow in zip(sources, found, strict=True)}
        outputs = {name: self.to_numpy(value) for name, value in results.outputs.items()}
        return Evaluation(outputs, gradients, {path: self.to_numpy(v) for path, v in results.updates.items()})

    def weights(self) -> Arrays:
        return {path: self.to_numpy(tensor).copy() for path, tensor in self._held.items()}

    def load_weights(self, weights: Mapping[str, Any]) -> None:
        self._held = {
            held.path: torch.tensor(np.asarray(weights[held.path]), dtype=self._type(held.value.type.dtype))
            for held in self.graphs.inference.state
        }
        for held in self.graphs.inference.state:
            self._held[held.path].requires_grad_(isinstance(held, Param) and held.trainable)

    def to_native(self, name: str, value: Any, type: TensorType) -> Tensor:
        if isinstance(value, Tensor):
            return value
        return torch.tensor(numpy_input(name, value, type, self.dtype), dtype=self._type(type.dtype))

    def to_numpy(self, value: Any) -> np.ndarray[Any, Any]:
        return np.asarray(value.detach())

    def _interpret(self, inputs: Mapping[str, Any], training: bool) -> Results:
        graph = self.graphs.of(training)
        return run(graph, self._lowerings, self._fused, inputs, self._held, lambda x, axis: x.shape[axis])

    def _type(self, dtype: str) -> torch.dtype:
        found: torch.dtype = self._float if dtype == "float" else getattr(torch, dtype)
        return found
