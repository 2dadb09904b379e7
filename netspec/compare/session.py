"""What a comparing process does: compiles graphs on one backend, and evaluates them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from netspec.backend import Backend, FloatType, find_backend
from netspec.graph.graph import GraphPair
from netspec.model import Arrays, Evaluation, Model


@dataclass(frozen=True)
class Task:
    """One evaluation: the backend (by name, or itself), the graphs, and what they run on, all canonical NumPy."""

    backend: str | Backend
    graphs: GraphPair
    weights: Arrays
    inputs: Arrays
    cotangents: Arrays | None
    training: bool
    dtype: FloatType


@dataclass(frozen=True)
class Answer:
    """What the backend found. `shapes` are those of all parameters and buffers that the native model holds.

    `moved` is what a call in training leaves in the model: the buffers that it updates, and all else that has changed.
    """

    evaluation: Evaluation
    moved: Arrays
    shapes: Mapping[str, tuple[int, ...]]
    params: int


class Session:
    """Runs tasks one after another."""

    def run(self, task: Task) -> Answer:
        """Compile and evaluate. Raises what the backend raises."""
        backend = find_backend(task.backend) if isinstance(task.backend, str) else task.backend.require_installed()
        model = backend.compile(task.graphs, task.weights, task.dtype)
        graph = task.graphs.of(task.training)
        inputs = {
            entry.name: model.to_native(entry.name, task.inputs[entry.name], entry.value.type) for entry in graph.inputs
        }
        evaluation = model.evaluate(inputs, task.cotangents, task.training)
        shapes = {path: np.shape(array) for path, array in model.weights().items()}
        held = {param.path for param in graph.params}
        params = sum(int(np.prod(shape, dtype=np.int64)) for path, shape in shapes.items() if path in held)
        moved = _moved(model, inputs, graph.updates) if task.training else {}
        return Answer(evaluation, moved, shapes, params)


def _moved(model: Model, inputs: Mapping[str, Any], updates: Iterable[str]) -> Arrays:
    """Call the model in training: the weights that are to move, and those that have moved all the same."""
    before = model.weights()
    model.run(inputs, training=True)
    after = model.weights()
    changed = [path for path in after if not np.array_equal(before[path], after[path], equal_nan=True)]
    return {path: after[path] for path in dict.fromkeys((*updates, *changed))}
