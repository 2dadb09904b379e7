"""Runs a graph forwards, primitive by primitive, and backwards by vector-Jacobian products.

It reads the bodies of the layers and shares nothing with the interpreter of the other backends, so that it can judge
them. NumPy's warnings are off: infinities and NaNs are results, which the comparison looks for in every backend.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netspec.graph.dims import Size
from netspec.graph.graph import Body, Call, Graph, Node, Value, primitives
from netspec.graph.ops import Control, Op
from netspec_numpy.windows import Array

Table = Mapping[type[Op], Callable[..., Any]]
Arrays = dict[Value, Array]
Sizes = Callable[[Size], int]
Nodes = Iterable[Node | Call]


@dataclass
class Run:
    """One pass through a list of nodes: `values` starts with those of inputs and state.

    With `keep` every value stays, for a trace or for `backward`; else it is dropped behind its last reader. Control
    flow keeps a Run for each time that it runs a body, in `bodies`.
    """

    lowerings: Table
    sizes: Sizes
    float_type: str
    values: Arrays
    keep: bool
    bodies: dict[Node, dict[str, Any]] = field(default_factory=dict)

    def forward(self, nodes: Nodes, results: Iterable[Value]) -> None:
        """Add the value of every primitive's outputs to `values`; `results` are read by what comes behind."""
        found = list(primitives(nodes))
        readers = Counter(value for node in found for value in node.inputs)
        readers.update(results)
        with np.errstate(all="ignore"):
            for node in found:
                inputs = [self.values[value] for value in node.inputs]
                result = self.lowerings[type(node.op)](*inputs, **self._attributes(node))
                outputs = result if isinstance(node.op, Control) or len(node.outputs) > 1 else (result,)
                for value, array in zip(node.outputs, outputs, strict=True):
                    # A constant comes as a Python number, and one computed of constants as a float64.
                    self.values[value] = np.asarray(array, self.dtype(value))
                if not self.keep:
                    self._drop_read(readers, node.inputs)

    def backward(self, nodes: Nodes, vjps: Table, cotangents: Arrays, keep: bool) -> None:
        """Add to `cotangents`, which starts with those of the outputs, what flows back to every value.

        A value that nothing flows back to has no entry. Without `keep`, values and cotangents are dropped behind the
        primitive that computed them: only inputs and state keep theirs.
        """
        with np.errstate(all="ignore"):
            for node in reversed(list(primitives(nodes))):
                if node.op.differentiable and any(value in cotangents for value in node.outputs):
                    self._pull_back(node, vjps, cotangents)
                if not keep:
                    for value in node.outputs:
                        del self.values[value]
                        cotangents.pop(value, None)

    def _pull_back(self, node: Node, vjps: Table, cotangents: Arrays) -> None:
        outputs = [self.values[value] for value in node.outputs]
        found = [
            cotangents[value] if value in cotangents else np.zeros_like(array)
            for value, array in zip(node.outputs, outputs, strict=True)
        ]
        inputs = [self.values[value] for value in node.inputs]
        attributes = self.bodies[node] if node in self.bodies else node.op.attributes(self.sizes)
        for part in _parts(attributes):
            part.vjps = vjps
        flows = vjps[type(node.op)](found, inputs, outputs, **attributes)
        for value, flow in zip(node.inputs, flows, strict=True):
            if flow is not None and value.type.dtype == "float":
                add_cotangent(cotangents, value, flow)

    def dtype(self, value: Value) -> str:
        return self.float_type if value.type.dtype == "float" else value.type.dtype

    def _attributes(self, node: Node) -> Mapping[str, Any]:
        if not isinstance(node.op, Control):
            return node.op.attributes(self.sizes)
        found = vars(node.op) | node.op.changed_parts(lambda body: RunnableBody(body, self))
        if self.keep:
            self.bodies[node] = found
        return found

    def _drop_read(self, readers: Counter[Value], read: Iterable[Value]) -> None:
        for value in read:
            readers[value] -= 1
            if not readers[value]:
                del self.values[value]


@dataclass(eq=False)
class RunnableBody:
    """A body as a lowering gets it: a function of its inputs, which can be pulled back along what it ran, the last run
    first."""

    body: Body
    around: Run
    vjps: Table = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        around = self.around
        values = dict(zip(self.body.inputs, inputs, strict=True))
        run = Run(around.lowerings, around.sizes, around.float_type, values, around.keep)
        run.forward(self.body.nodes, self.body.outputs)
        if around.keep:
            self.runs.append(run)
        return tuple(values[value] for value in self.body.outputs)

    def pull_back(self, cotangents: Sequence[Array]) -> list[Array]:
        """What flows back to the inputs of the last run that was not pulled back yet, of integers too: zeros."""
        run = self.runs.pop()
        flowing: Arrays = {}
        for value, cotangent in zip(self.body.outputs, cotangents, strict=True):
            if value.type.dtype == "float":
                add_cotangent(flowing, value, cotangent)
        run.backward(self.body.nodes, self.vjps, flowing, keep=True)
        return [flowing.get(value, np.zeros_like(run.values[value])) for value in self.body.inputs]


def forward(graph: Graph, run: Run) -> None:
    """Run the whole graph."""
    run.forward(graph.nodes, [*(output.value for output in graph.outputs), *graph.updates.values()])


def add_cotangent(cotangents: Arrays, value: Value, flow: Array) -> None:
    """Sum what flows back to `value` from several readers. Never in place: flows may share memory."""
    cotangents[value] = np.asarray(cotangents[value] + flow if value in cotangents else flow)


def _parts(attributes: Mapping[str, Any]) -> Iterable[RunnableBody]:
    for held in attributes.values():
        for part in held if isinstance(held, tuple) else (held,):
            if isinstance(part, RunnableBody):
                yield part
