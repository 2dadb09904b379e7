"""Leaves out what no output and no update of a buffer needs. Parameters stay: they belong to the spec."""

from __future__ import annotations

from dataclasses import replace

from netspec.graph.graph import Call, Graph, Node


def prune(graph: Graph) -> Graph:
    """The same graph without nodes that nothing reads."""
    needed = {output.value for output in graph.outputs} | set(graph.updates.values())
    kept: list[Node | Call] = []
    for node in reversed(graph.nodes):
        results = {*node.outputs, *node.updates.values()} if isinstance(node, Call) else {*node.outputs}
        if not results & needed:
            continue
        if isinstance(node, Call) and not node.body:  # it hands on some of its inputs, and reads none of the others
            node = replace(node, inputs=tuple(value for value in node.inputs if value in node.outputs), optional=())
        kept.append(node)
        needed |= set(node.inputs)
        if isinstance(node, Call):
            needed |= {*node.params.values(), *node.buffers.values(), *node.noise}
    layers = {node.path for node in kept if isinstance(node, Call)}
    requirements = tuple(need for need in graph.requirements if need.origin.path in layers)
    return replace(graph, nodes=tuple(reversed(kept)), requirements=requirements)
