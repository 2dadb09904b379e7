"""When each tensor of a training step is made and freed: the moments that may be its peak."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netspec.analysis.backward import kept_values, values_with_gradient
from netspec.analysis.memory import Moments, tensor_bytes
from netspec.graph.dims import Size
from netspec.graph.flow import path_of
from netspec.graph.graph import Graph, Value


@dataclass(frozen=True)
class _Lifetime:
    """A tensor is there from the step `begin` to the step `end`, both included."""

    value: Value
    begin: int
    end: int


def training_moments(graph: Graph, sizes: Mapping[str, Size], float_bytes: int = 4) -> Moments:
    """The moments of one forward and backward pass of a training graph that may be its peak.

    Live at a moment are

    - the model's inputs and outputs, which the caller holds all the time;
    - of the forward pass what a layer still to run reads, and what the backward pass of a layer reads (`kept_values`),
      until that has run, in reverse order;
    - of the backward pass the gradient of each value between two layers, from the backward pass of its last reader to
      that of the layer that made it.

    A layer counts as one operation, so that what it needs inside is not counted, and a reshape makes a new value.
    Gradients of parameters are not among them: they are there all the time, as parameters are.
    """
    count = len(graph.nodes)
    change: list[Size] = [0] * (2 * count + 2)
    for lifetime in _lifetimes(graph):
        size = tensor_bytes(lifetime.value.type, sizes, float_bytes)
        change[lifetime.begin] = change[lifetime.begin] + size
        change[lifetime.end + 1] = change[lifetime.end + 1] - size
    names = [path_of(node) for node in graph.nodes]
    steps = [*names, "loss", *(f"{name} (backward)" for name in reversed(names))]
    moments = Moments()
    live: Size = 0
    for made, name in zip(change, steps, strict=False):
        live = live + made
        moments.add(live, name)
    return moments


def kept_bytes(graph: Graph, sizes: Mapping[str, Size], float_bytes: int = 4) -> Size:
    """The bytes of all that the forward pass keeps for the backward pass, inputs of the model included."""
    total: Size = 0
    for value in dict.fromkeys(value for _, values in _kept(graph) for value in values):
        total = total + tensor_bytes(value.type, sizes, float_bytes)
    return total


def _kept(graph: Graph) -> Iterator[tuple[int, list[Value]]]:
    state = {held.value for held in graph.state}
    state |= {value for call in graph.calls() for value in call.updates.values()}
    with_gradient = values_with_gradient(graph)
    for position, node in enumerate(graph.nodes):
        yield position, kept_values(node, with_gradient, state)


def _lifetimes(graph: Graph) -> Iterator[_Lifetime]:
    """Step k is the forward pass of node k, step n the loss, step 2 n - k the backward pass of node k."""
    last = 2 * len(graph.nodes)
    state = {held.value for held in graph.state}
    begin: dict[Value, int] = {}
    end: dict[Value, int] = {}
    read: dict[Value, int] = {}
    for position, node in enumerate(graph.nodes):
        for value in node.outputs:
            begin.setdefault(value, position)
        for value in node.inputs:
            read[value] = end[value] = position
    for position, values in _kept(graph):
        for value in values:
            begin.setdefault(value, position)  # what stands in the body: random numbers
            end[value] = max(end.get(value, 0), last - position)
    inputs, outputs = {entry.value for entry in graph.inputs}, {output.value for output in graph.outputs}
    begin |= dict.fromkeys(inputs, 0)
    end |= dict.fromkeys(inputs | outputs, last)
    for value, made in begin.items():
        if value not in state:
            yield _Lifetime(value, made, max(end.get(value, made), made))
    between = {value for node in graph.nodes for value in node.outputs} - state
    for value in values_with_gradient(graph) & between:
        first = len(graph.nodes) if value in outputs else last - read.get(value, begin[value])
        yield _Lifetime(value, first, last - begin[value])
