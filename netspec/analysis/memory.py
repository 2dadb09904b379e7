"""How many bytes the activations of one sample take: all of them together, and as many as live at one time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from netspec.analysis.sample import sample_sizes
from netspec.graph.dims import Dim, Size, compare, evaluate
from netspec.graph.flow import path_of
from netspec.graph.graph import Graph, Value
from netspec.graph.types import DType, TensorType

# The model's float type is float32 unless a user asks for another one.
BYTES: Mapping[DType, int] = {"float": 4, "int64": 8, "int32": 4, "bool": 1}


@dataclass(frozen=True)
class ActivationMemory:
    """Bytes of the activations of one sample; parameters and buffers are not among them.

    `total` is all outputs of layers. `peak` is the most that live at one time, the inputs of the model included, and
    `peak_at` the layer that runs then (`inputs` before the first). Where the sizes of the symbols `undecided` would
    have to be known to tell which moment is the peak, both are None.
    """

    total: Size
    peak: Size | None
    peak_at: str | None
    undecided: tuple[str, ...] = ()


def activation_memory(graph: Graph, dims: Mapping[str, int] | None = None) -> ActivationMemory:
    """Count the activations of one sample in an inference graph; `dims` as in `count_costs`.

    A value lives from the layer that makes it to the last one that reads it; the model's inputs live from the start,
    its outputs to the end. What a layer needs inside is not counted, since a backend may run it as one operation. A
    layer that hands its input on as it is makes nothing; a reshape makes a new value. Raises NetspecError as
    `sample_sizes` does.
    """
    sizes = sample_sizes(graph, dims)
    known = {held.value for held in graph.state} | {entry.value for entry in graph.inputs}
    made = dict.fromkeys(value for node in graph.nodes for value in node.outputs if value not in known)
    total = sum((tensor_bytes(value.type, sizes) for value in made), start=cast(Size, 0))
    return inference_moments(graph, sizes).memory(total)


def inference_moments(graph: Graph, sizes: Mapping[str, Size], float_bytes: int = 4) -> Moments:
    """The moments of one pass of an inference graph that may be its peak, as `activation_memory` counts them."""
    last_reader = _last_readers(graph)
    known = {held.value for held in graph.state} | {entry.value for entry in graph.inputs}
    due: dict[int, Size] = {}  # bytes that die once the node at this position has run; -1: that nothing reads
    live: Size = 0
    for entry in graph.inputs:
        size = tensor_bytes(entry.value.type, sizes, float_bytes)
        live = live + size
        last = last_reader.get(entry.value, -1)
        due[last] = due.get(last, 0) + size
    moments = Moments()
    moments.add(live, "inputs")
    live = live - due.pop(-1, 0)
    for position, node in enumerate(graph.nodes):
        for value in node.outputs:
            if value not in known:
                known.add(value)
                size = tensor_bytes(value.type, sizes, float_bytes)
                live = live + size
                last = last_reader.get(value, position)
                due[last] = due.get(last, 0) + size
        moments.add(live, path_of(node))
        live = live - due.pop(position, 0)
    return moments


@dataclass
class Moments:
    """The moments that may be the peak: none of them is known to be at most another."""

    highest: list[tuple[Size, str]] = field(default_factory=list)

    def add(self, live: Size, where: str) -> None:
        if any(compare(live, "<=", other) for other, _ in self.highest):
            return
        self.highest = [(other, at) for other, at in self.highest if not compare(other, "<=", live)]
        self.highest.append((live, where))

    def peak(self, sizes: Mapping[str, int]) -> int:
        """The most bytes of all moments, with a size for every symbol."""
        return max(int(evaluate(live, sizes)) for live, _ in self.highest)

    def memory(self, total: Size) -> ActivationMemory:
        (first, at), *others = self.highest
        if not others:
            return ActivationMemory(total, first, at)
        differences = [other - first for other, _ in others]
        symbols = {name for each in differences if isinstance(each, Dim) for name in each.symbols()}
        return ActivationMemory(total, None, None, tuple(sorted(symbols)))


def tensor_bytes(type: TensorType, sizes: Mapping[str, Size], float_bytes: int = 4) -> Size:
    """The bytes of a tensor, with `float_bytes` for each number of the model's float type."""
    size: Size = evaluate(type.size, sizes)
    return size * (float_bytes if type.dtype == "float" else BYTES[type.dtype])


def _last_readers(graph: Graph) -> dict[Value, int]:
    """The position of the last node that reads each value; the number of nodes for the graph's outputs."""
    last: dict[Value, int] = {}
    for position, node in enumerate(graph.nodes):
        last.update(dict.fromkeys(node.inputs, position))
    last.update({output.value: len(graph.nodes) for output in graph.outputs})
    return last
