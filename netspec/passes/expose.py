"""Makes the inside of a graph visible: every layer's outputs as outputs, and inputs that show what flows back."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from netspec.graph.graph import Call, Graph, Input, Node, Output, Value
from netspec.graph.ops import Add

NODE = "node:"
PROBE = "probe:"


def node_names(graph: Graph) -> list[tuple[Call, int, str]]:
    """Every layer's outputs in order: the call, the output's position, and its name `PATH` or `PATH:1`.

    A layer that is applied once more is `PATH@1` there, and so on.
    """
    return [
        (call, position, name + (f":{position}" if position else ""))
        for call, name in call_names(graph)
        for position in range(len(call.outputs))
    ]


def call_names(graph: Graph) -> list[tuple[Call, str]]:
    """Every layer in order, each with a name of its own: its path, and `PATH@1` where it is applied once more."""
    count: Counter[str] = Counter()
    found: list[tuple[Call, str]] = []
    for call in graph.calls():
        turn = count[call.path]
        count[call.path] += 1
        found.append((call, f"{call.path}@{turn}" if turn else call.path))
    return found


def expose_outputs(graph: Graph) -> Graph:
    """The graph with an output `node:PATH` more for each output of each layer."""
    extra = tuple(Output(NODE + name, call.outputs[position]) for call, position, name in node_names(graph))
    return replace(graph, outputs=graph.outputs + extra)


def probe_names(call: Call, name: str) -> dict[str, Value]:
    """The probes of a layer, `probe:NAME:0` and on: one for each value of the float type that it reads.

    A value that it hands on as it is has none, as dropout's in inference: what reads that reads it past the layer.
    """
    floats = [v for v in dict.fromkeys(call.inputs) if v.type.dtype == "float" and v not in call.outputs]
    return {f"{PROBE}{name}:{position}": value for position, value in enumerate(floats)}


def probe(graph: Graph) -> Graph:
    """The graph with an input added to every value that a layer reads, for that layer alone.

    With probes of zeros nothing changes, and the gradient of a probe is what the layer hands back to that value.
    """
    inputs = list(graph.inputs)
    nodes: list[Node | Call] = []
    names = dict(call_names(graph))
    for node in graph.nodes:
        if not isinstance(node, Call):
            nodes.append(node)
            continue
        new: dict[Value, Value] = {}
        for name, value in probe_names(node, names[node]).items():
            zeros, new[value] = Value(value.type, node.origin), Value(value.type, node.origin)
            inputs.append(Input(name, zeros))
            nodes.append(Node(Add(), (value, zeros), (new[value],)))
        body = tuple(
            replace(inner, inputs=tuple(new.get(value, value) for value in inner.inputs)) for inner in node.body
        )
        nodes.append(replace(node, inputs=tuple(new.get(value, value) for value in node.inputs), body=body))
    return replace(graph, inputs=tuple(inputs), nodes=tuple(nodes))
