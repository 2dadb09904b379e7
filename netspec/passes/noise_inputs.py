"""Turns every random primitive into an input of the graph, so that training can be compared on given numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from netspec.graph.graph import Call, Graph, Input, Node
from netspec.graph.ops import Op

PREFIX = "noise:"


def noise_inputs(graph: Graph) -> tuple[Graph, dict[str, Op]]:
    """The graph with an input `noise:PATH` for each random primitive, and what each of them would have drawn.

    A second random primitive of one layer is `noise:PATH:1`, and so on; so is that of a layer applied once more.
    """
    inputs: list[Input] = list(graph.inputs)
    drawn: dict[str, Op] = {}
    count: Counter[str] = Counter()
    nodes: list[Node | Call] = []
    for node in graph.nodes:
        if not isinstance(node, Call):
            assert not node.op.random, "random primitives stand in layers"
            nodes.append(node)
            continue
        random = [inner for inner in node.body if inner.op.random]
        for inner in random:
            index = count[node.path]
            count[node.path] += 1
            name = f"{PREFIX}{node.path}" + (f":{index}" if index else "")
            inputs.append(Input(name, inner.outputs[0]))
            drawn[name] = inner.op
        rest = tuple(inner for inner in node.body if not inner.op.random)
        nodes.append(replace(node, body=rest, noise=tuple(inner.outputs[0] for inner in random)))
    return replace(graph, inputs=tuple(inputs), nodes=tuple(nodes)), drawn
