"""How many bytes the activations of one sample take: all of them together, and as many as live at one time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netspec.analysis.sample import sample_sizes
from netspec.graph.dims import Dim, Size, compare, evaluate
from netspec.graph.graph import Call, Graph, Node, Value
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
    last_reader = _last_readers(graph)
    known = {held.value for held in graph.state} | {entry.value for entry in graph.inputs}
    due: dict[int, Size] = {}  # bytes that die once the node at this position has run; -1: that nothing reads
    live: Size = 0
    total: Size = 0
    for entry in graph.inputs:
        size = _bytes(entry.value.type, sizes)
        live = live + size
        last = last_reader.get(entry.value, -1)
        due[last] = due.get(last, 0) + size
    moments = _Moments()
    moments.add(live, "inputs")
    live = live - due.pop(-1, 0)
    for position, node in enumerate(graph.nodes):
        for value in node.outputs:
            if value not in known:
                known.add(value)
                size = _bytes(value.type, sizes)
                total, live = total + size, live + size
                last = last_reader.get(value, position)
                due[last] = due.get(last, 0) + size
        moments.add(live, _name(node))
        live = live - due.pop(position, 0)
    return moments.memory(total)


@dataclass
class _Moments:
    """The moments that may be the peak: none of them is known to be at most another."""

    highest: list[tuple[Size, str]] = field(default_factory=list)

    def add(self, live: Size, where: str) -> None:
        if any(compare(live, "<=", other) for other, _ in self.highest):
            return
        self.highest = [(other, at) for other, at in self.highest if not compare(other, "<=", live)]
        self.highest.append((live, where))

    def memory(self, total: Size) -> ActivationMemory:
        (first, at), *others = self.highest
        if not others:
            return ActivationMemory(total, first, at)
        differences = [other - first for other, _ in others]
        symbols = {name for each in differences if isinstance(each, Dim) for name in each.symbols()}
        return ActivationMemory(total, None, None, tuple(sorted(symbols)))


def _bytes(type: TensorType, sizes: Mapping[str, Size]) -> Size:
    size: Size = evaluate(type.size, sizes)
    return size * BYTES[type.dtype]


def _last_readers(graph: Graph) -> dict[Value, int]:
    """The position of the last node that reads each value; the number of nodes for the graph's outputs."""
    last: dict[Value, int] = {}
    for position, node in enumerate(graph.nodes):
        last.update(dict.fromkeys(node.inputs, position))
    last.update({output.value: len(graph.nodes) for output in graph.outputs})
    return last


def _name(node: Node | Call) -> str:
    return node.path if isinstance(node, Call) else node.op.name
