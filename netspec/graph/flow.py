"""Which node hands on what to which: a graph's edges by the numbers of its nodes."""

from __future__ import annotations

from netspec.graph.graph import Call, Graph, Node, Value

# (number of a node, number of its output); input k of the graph is (-1 - k, 0).
Source = tuple[int, int]
Flow = tuple[tuple[Source, ...], ...]


def flow(graph: Graph) -> tuple[Flow, tuple[Source, ...]]:
    """For each node what it reads of others, and where the outputs of the graph come from.

    Its own parameters and buffers are not among that, but those that a layer such as `parameter` hands on are.

    A layer that hands on its input as it is stands between its own reader and what it reads.
    """
    made: dict[Value, Source] = {entry.value: (-1 - position, 0) for position, entry in enumerate(graph.inputs)}
    held = {entry.value for entry in graph.state}
    reads: list[tuple[Source, ...]] = []
    for number, node in enumerate(graph.nodes):
        reads.append(tuple(made[value] for value in node.inputs if value in made or value not in held))
        made.update({value: (number, port) for port, value in enumerate(node.outputs)})
    return tuple(reads), tuple(made[output.value] for output in graph.outputs)


def path_of(node: Node | Call) -> str:
    """The path of a layer; for a primitive that stands alone that of the entry that made it, or its name."""
    if isinstance(node, Call):
        return node.path
    origin = node.outputs[0].origin
    return origin.path if origin else node.op.name
