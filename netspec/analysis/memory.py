"""How many bytes the activations of one sample take: all of them together, and as many as live at one time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from netspec.analysis.sample import sample_sizes
from netspec.graph.control_flow import reads
from netspec.graph.dims import Dim, Size, compare, evaluate
from netspec.graph.flow import path_of
from netspec.graph.graph import Call, Graph, Node, Value
from netspec.graph.ops import Control
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
    its outputs to the end. What a layer needs inside is not counted, since a backend may run it as one operation; of a
    loop or a branch one turn is, and in `total` all of them. A layer that hands its input on as it is makes nothing; a
    reshape makes a new value. Raises NetspecError as `sample_sizes` does.
    """
    sizes = sample_sizes(graph, dims)
    known = {held.value for held in graph.state} | {entry.value for entry in graph.inputs}
    total = _made(graph.nodes, known, 1, sizes)
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
        for inside in _inside(node, sizes, float_bytes):
            moments.add(live + inside, path_of(node))
        live = live - due.pop(position, 0)
    return moments


def _inside(node: Node | Call, sizes: Mapping[str, Size], float_bytes: int) -> list[Size]:
    """What control flow needs inside beside its inputs and outputs, at its highest moments; 0 of anything else.

    One turn of one body: a value lives until its last reader, the body's outputs to the end of the turn.
    """
    if isinstance(node, Call) or not isinstance(node.op, Control):
        return [0]
    moments = Moments()
    for part, _ in node.op.forward_parts():
        last = dict.fromkeys(part.outputs, len(part.nodes))
        for position, inner in enumerate(part.nodes):
            last.update({value: position for value in inner.inputs if value not in part.outputs})
        known = {value for each in part.nodes for value in reads(each)} - {v for n in part.nodes for v in n.outputs}
        due: dict[int, Size] = {}
        live: Size = 0
        moments.add(live, "")
        for position, inner in enumerate(part.nodes):
            for value in inner.outputs:
                if value not in known:
                    known.add(value)
                    size = tensor_bytes(value.type, sizes, float_bytes)
                    live = live + size
                    due[last.get(value, position)] = due.get(last.get(value, position), 0) + size
            for more in _inside(inner, sizes, float_bytes):
                moments.add(live + more, "")
            live = live - due.pop(position, 0)
    return [live for live, _ in moments.highest]


def _made(nodes: Iterable[Node | Call], known: set[Value], times: Size, sizes: Mapping[str, Size]) -> Size:
    """The bytes of all outputs of layers, of those that a loop runs in every turn."""
    total: Size = 0
    for node in nodes:
        for value in node.outputs:
            if value not in known:
                known.add(value)
                total = total + times * tensor_bytes(value.type, sizes)
        if not isinstance(node, Call) and isinstance(node.op, Control):
            turns: Size = evaluate(node.op.turns(tuple(value.type for value in node.inputs)), sizes)
            for part, _ in node.op.forward_parts():
                total = total + _made(part.nodes, known | set(part.inputs), times * turns, sizes)
    return total


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
