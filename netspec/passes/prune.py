"""Leaves out what no output and no update of a buffer needs. Parameters stay: they belong to the spec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netspec.graph.control_flow import reads
from netspec.graph.dims import Size
from netspec.graph.graph import Body, Call, Graph, Node, Requirement, Value
from netspec.graph.ops import Cond, Control, CustomGradient, Scan, While


def prune(graph: Graph) -> Graph:
    """The same graph without nodes that nothing reads, in bodies of control flow too."""
    kept = _live(graph.nodes, {output.value for output in graph.outputs} | set(graph.updates.values()))
    pruned = replace(graph, nodes=kept)
    layers = {call.path for call in pruned.all_calls()}
    needed: dict[tuple[Size, int], Requirement] = {}  # the first layer that is left speaks for the others
    for need in graph.requirements:
        if need.origin.path in layers:
            needed.setdefault((need.size, need.at_least), need)
    return replace(pruned, requirements=tuple(needed.values()))


def _live(nodes: Sequence[Node | Call], needed: set[Value]) -> tuple[Node | Call, ...]:
    """The nodes that `needed` depends on; what they read is added to it."""
    kept: list[Node | Call] = []
    for node in reversed(nodes):
        results = {*node.outputs, *node.updates.values()} if isinstance(node, Call) else {*node.outputs}
        if not results & needed:
            continue
        if isinstance(node, Call) and not node.body:  # it hands on some of its inputs, and reads none of the others
            node = replace(node, inputs=tuple(value for value in node.inputs if value in node.outputs), optional=())
        if isinstance(node, Node) and isinstance(node.op, Control):
            node = _pruned(node, node.op, needed)
        kept.append(node)
        needed |= set(reads(node))
    return tuple(reversed(kept))


def _pruned(node: Node, op: Control, needed: set[Value]) -> Node:
    """Control flow without outputs that nothing reads, and without inputs that none of its bodies reads."""
    outputs = [position for position, value in enumerate(node.outputs) if _stays(op, position) or value in needed]
    if isinstance(op, Scan):
        op = replace(op, stack_axes=tuple(op.stack_axes[position - op.carried] for position in outputs[op.carried :]))
    if len(outputs) < len(node.outputs):
        op = op.with_parts(lambda part: replace(part, outputs=tuple(part.outputs[position] for position in outputs)))
    op = op.with_parts(lambda part: replace(part, nodes=_live(part.nodes, set(part.outputs))))
    first = next(first for _, first in op.forward_parts())
    positions = range(len(node.inputs) - first)
    if not isinstance(op, CustomGradient):
        own = _own_inputs(op)
        read = {position for part in op.parts() for position in _read_positions(part)}
        inside = [position for position in positions if position < own or position in read]
        op = op.with_parts(lambda part: replace(part, inputs=tuple(part.inputs[position] for position in inside)))
    else:
        inside = list(positions)
    return Node(
        op,
        (*node.inputs[:first], *(node.inputs[first + position] for position in inside)),
        tuple(node.outputs[position] for position in outputs),
    )


def _stays(op: Control, position: int) -> bool:
    """Whether an output stays though nothing reads it: what is carried, as the next turn may read it."""
    return not isinstance(op, (Scan, Cond)) or (isinstance(op, Scan) and position < op.carried)


def _own_inputs(op: Control) -> int:
    """How many of the inputs of a body stay though it may not read them: slices, and what is carried."""
    sliced = len(op.slice_axes) if isinstance(op, Scan) else 0
    return sliced + (op.carried if isinstance(op, (Scan, While)) else 0)


def _read_positions(part: Body) -> list[int]:
    """The numbers of the inputs that a body reads."""
    read = {*part.outputs, *(value for node in part.nodes for value in reads(node))}
    return [position for position, value in enumerate(part.inputs) if value in read]
