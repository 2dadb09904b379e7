"""Turns every random primitive into an input of the graph, so that training can be compared on given numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from netspec.errors import NetspecError
from netspec.graph.graph import Body, Call, Graph, Input, Node, Value, primitives
from netspec.graph.ops import Cond, Control, Op, Scan
from netspec.graph.ops.control import insert_axis

PREFIX = "noise:"


@dataclass
class _Draws:
    """What the random primitives of one list of nodes drew: their values, and under which names they come in."""

    count: Counter[str]
    drawn: dict[str, Op]
    values: dict[str, Value] = field(default_factory=dict)

    def inside(self) -> _Draws:
        """The draws of a body in the list."""
        return _Draws(self.count, self.drawn)

    def add(self, path: str, node: Node) -> None:
        index = self.count[path]
        self.count[path] += 1
        name = f"{PREFIX}{path}" + (f":{index}" if index else "")
        self.values[name] = node.outputs[0]
        self.drawn[name] = node.op


def noise_inputs(graph: Graph) -> tuple[Graph, dict[str, Op]]:
    """The graph with an input `noise:PATH` for each random primitive, and what each of them would have drawn.

    A second random primitive of one layer is `noise:PATH:1`, and so on; so is that of a layer applied once more. What a
    scan draws at each step comes stacked along a new first axis. Raises NetspecError where a `while` draws: how often
    is not known.
    """
    draws = _Draws(Counter(), {})
    nodes = _without_random(graph.nodes, "", draws)
    inputs = (Input(name, value) for name, value in draws.values.items())
    return replace(graph, inputs=(*graph.inputs, *inputs), nodes=nodes), draws.drawn


def _without_random(nodes: Iterable[Node | Call], path: str, draws: _Draws) -> tuple[Any, ...]:
    """The nodes of a body, or of the layer at `path`, with what was drawn as values from outside."""
    found: list[Node | Call] = []
    for node in nodes:
        if isinstance(node, Call):
            if not _draws_any(node.body):
                found.append(node)
                continue
            inner = draws.inside()
            body = _without_random(node.body, node.path, inner)
            found.append(replace(node, body=body, noise=tuple(inner.values.values())))
            draws.values |= inner.values
        elif node.op.random:
            assert path, "random primitives stand in layers"
            draws.add(path, node)
        elif isinstance(node.op, Control) and any(_draws_any(part.nodes) for part in node.op.parts()):
            found.append(_control(node, node.op, path, draws))
        else:
            found.append(node)
    return tuple(found)


def _control(node: Node, op: Control, path: str, draws: _Draws) -> Node:
    """Control flow that is handed the numbers that its bodies draw."""
    if not isinstance(op, (Scan, Cond)):
        origin = node.outputs[0].origin
        assert origin is not None
        message = f"{origin.path}: random numbers are drawn in a while: how many is not known, so none can be given"
        raise NetspecError(message, origin.location)
    inner = draws.inside()
    bodies = {id(part): replace(part, nodes=_without_random(part.nodes, path, inner)) for part in op.parts()}
    values = tuple(inner.values.values())
    if isinstance(op, Cond):
        changed = op.with_parts(lambda part: _with_inputs(bodies[id(part)], len(part.inputs), values))
        draws.values |= inner.values
        return Node(changed, (*node.inputs, *values), node.outputs)
    own = len(op.slice_axes)
    steps = op.turns(tuple(value.type for value in node.inputs))
    stacks = {name: Value(insert_axis(value.type, 0, steps), value.origin) for name, value in inner.values.items()}
    draws.values |= stacks
    scan = replace(
        op,
        body=_with_inputs(bodies[id(op.body)], own, values),
        slice_axes=(*op.slice_axes, *(0 for _ in values)),
    )
    return Node(scan, (*node.inputs[:own], *stacks.values(), *node.inputs[own:]), node.outputs)


def _with_inputs(body: Body, position: int, values: tuple[Value, ...]) -> Body:
    return replace(body, inputs=(*body.inputs[:position], *values, *body.inputs[position:]))


def _draws_any(nodes: Iterable[Node | Call]) -> bool:
    return any(
        node.op.random or (isinstance(node.op, Control) and any(_draws_any(part.nodes) for part in node.op.parts()))
        for node in primitives(nodes)
    )
