"""Makes the inside of a graph visible: every layer's outputs as outputs, and inputs that show what flows back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import replace

from netspec.graph.flow import path_of
from netspec.graph.graph import Call, Graph, Input, Node, Output, Value
from netspec.graph.ops import Add, Control

NODE = "node:"
PROBE = "probe:"
NO_STATE: AbstractSet[Value] = frozenset()


def node_names(graph: Graph) -> list[tuple[Node | Call, int, str]]:
    """Every layer's outputs in order: the layer, the output's position, and its name `PATH` or `PATH:1`.

    A layer that is applied once more is `PATH@1` there, and so on. Control flow that stands between layers is one of
    them as a whole: what its bodies compute is not there outside.
    """
    return [
        (part, position, name + (f":{position}" if position else ""))
        for part, name in call_names(graph)
        for position in range(len(part.outputs))
    ]


def call_names(graph: Graph) -> list[tuple[Node | Call, str]]:
    """Every layer in order, each with a name of its own: its path, and `PATH@1` where it is applied once more."""
    count: Counter[str] = Counter()
    found: list[tuple[Node | Call, str]] = []
    for node in graph.nodes:
        if isinstance(node, Call) or isinstance(node.op, Control):
            path = path_of(node)
            turn = count[path]
            count[path] += 1
            found.append((node, f"{path}@{turn}" if turn else path))
    return found


def expose_outputs(graph: Graph) -> Graph:
    """The graph with an output `node:PATH` more for each output of each layer."""
    extra = tuple(Output(NODE + name, part.outputs[position]) for part, position, name in node_names(graph))
    return replace(graph, outputs=graph.outputs + extra)


def probe_names(part: Node | Call, name: str, state: AbstractSet[Value] = NO_STATE) -> dict[str, Value]:
    """The probes of a layer, `probe:NAME:0` and on: one for each value of the float type that it reads, but `state`.

    A value that it hands on as it is has none, as dropout's in inference: what reads that reads it past the layer.
    """
    read = [value for value in dict.fromkeys(part.inputs) if value not in state]
    floats = [value for value in read if value.type.dtype == "float" and value not in part.outputs]
    return {f"{PROBE}{name}:{position}": value for position, value in enumerate(floats)}


def probe(graph: Graph) -> Graph:
    """The graph with an input added to every value that a layer reads, for that layer alone.

    With probes of zeros nothing changes, and the gradient of a probe is what the layer hands back to that value.
    """
    inputs = list(graph.inputs)
    nodes: list[Node | Call] = []
    names = dict(call_names(graph))
    state = parameters(graph)
    for node in graph.nodes:
        if node not in names:
            nodes.append(node)
            continue
        new: dict[Value, Value] = {}
        for name, value in probe_names(node, names[node], state if isinstance(node, Node) else NO_STATE).items():
            origin = node.origin if isinstance(node, Call) else node.outputs[0].origin
            zeros, new[value] = Value(value.type, origin), Value(value.type, origin)
            inputs.append(Input(name, zeros))
            nodes.append(Node(Add(), (value, zeros), (new[value],)))
        read = tuple(new.get(value, value) for value in node.inputs)
        if isinstance(node, Call):
            body = tuple(
                replace(inner, inputs=tuple(new.get(value, value) for value in inner.inputs)) for inner in node.body
            )
            nodes.append(replace(node, inputs=read, body=body))
        else:
            nodes.append(replace(node, inputs=read))
    return replace(graph, inputs=tuple(inputs), nodes=tuple(nodes))


def parameters(graph: Graph) -> AbstractSet[Value]:
    """The values that control flow reads of the state, which a layer lists apart from its inputs."""
    return {held.value for held in graph.state}
