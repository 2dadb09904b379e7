"""Runs a graph forwards, primitive by primitive, and backwards by vector-Jacobian products.

It reads the bodies of the layers and shares nothing with the interpreter of the other backends, so that it can judge
them. NumPy's warnings are off: infinities and NaNs are results, which the comparison looks for in every backend.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from netspec.graph.dims import Size
from netspec.graph.graph import Graph, Value
from netspec.graph.ops.base import Op
from netspec_numpy.windows import Array

Table = Mapping[type[Op], Callable[..., Any]]
Arrays = dict[Value, Array]
Sizes = Callable[[Size], int]


def forward(graph: Graph, lowerings: Table, values: Arrays, sizes: Sizes, float_type: str, keep: bool) -> None:
    """Add the value of every primitive's outputs to `values`, which starts with those of inputs and state.

    Without `keep` a value is dropped behind its last reader, unless the graph gives it out.
    """
    readers = Counter(value for node in graph.primitives() for value in node.inputs)
    readers.update(output.value for output in graph.outputs)
    readers.update(graph.updates.values())
    with np.errstate(all="ignore"):
        for node in graph.primitives():
            inputs = [values[value] for value in node.inputs]
            result = lowerings[type(node.op)](*inputs, **node.op.attributes(sizes))
            for value, array in zip(node.outputs, (result,) if len(node.outputs) == 1 else result, strict=True):
                # A constant comes as a Python number, and one computed of constants as a float64.
                values[value] = np.asarray(array, float_type if value.type.dtype == "float" else value.type.dtype)
            if not keep:
                _drop_read(values, readers, node.inputs)


def backward(graph: Graph, vjps: Table, values: Arrays, cotangents: Arrays, sizes: Sizes, keep: bool) -> None:
    """Add to `cotangents`, which starts with those of the outputs, what flows back to every value.

    A value that nothing flows back to has no entry. Without `keep`, values and cotangents are dropped behind the
    primitive that computed them: only inputs and state keep theirs.
    """
    with np.errstate(all="ignore"):
        for node in reversed(list(graph.primitives())):
            if node.op.differentiable and any(value in cotangents for value in node.outputs):
                outputs = [values[value] for value in node.outputs]
                found = [
                    cotangents[value] if value in cotangents else np.zeros_like(array)
                    for value, array in zip(node.outputs, outputs, strict=True)
                ]
                inputs = [values[value] for value in node.inputs]
                flows = vjps[type(node.op)](found, inputs, outputs, **node.op.attributes(sizes))
                for value, flow in zip(node.inputs, flows, strict=True):
                    if flow is not None:
                        add_cotangent(cotangents, value, flow)
            if not keep:
                for value in node.outputs:
                    del values[value]
                    cotangents.pop(value, None)


def add_cotangent(cotangents: Arrays, value: Value, flow: Array) -> None:
    """Sum what flows back to `value` from several readers. Never in place: flows may share memory."""
    cotangents[value] = np.asarray(cotangents[value] + flow if value in cotangents else flow)


def _drop_read(values: Arrays, readers: Counter[Value], read: Iterable[Value]) -> None:
    for value in read:
        readers[value] -= 1
        if not readers[value]:
            del values[value]
