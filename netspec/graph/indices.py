"""Which values are read as indices, below which size they must stay, and what follows for those that are computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netspec.errors import ShapeError
from netspec.graph.dims import Size, bounds, compare
from netspec.graph.graph import Body, Call, Node, Origin, Requirement, Value, all_primitives, primitives
from netspec.graph.ops import Control, Op, Scan, While


def read_as_indices(nodes: Iterable[Node | Call]) -> dict[Value, Size]:
    """For each value that is read as an index: the smallest bound of all that read it.

    Followed backwards through primitives that only move elements, and through the bodies of control flow.
    """
    found: dict[Value, Size] = {}
    _follow(nodes, found)
    return found


def _follow(nodes: Iterable[Node | Call], found: dict[Value, Size]) -> None:
    for node in reversed(list(primitives(nodes))):
        for position, bound in node.op.index_bounds(tuple(value.type for value in node.inputs)).items():
            _lower(found, node.inputs[position], bound)
        if isinstance(node.op, Control):
            for part, first in node.op.forward_parts():
                _follow_part(node, part, first, found)
        if node.outputs[0] in found:
            for position in node.op.moved(tuple(value.type for value in node.inputs)):
                _lower(found, node.inputs[position], found[node.outputs[0]])


def _follow_part(node: Node, part: Body, first: int, found: dict[Value, Size]) -> None:
    for inside, value in zip(part.outputs, node.outputs, strict=True):
        if value in found:
            _lower(found, inside, found[value])
    carried = _carried(node.op, part)
    while True:  # what one turn reads as an index, the turn before gives: a bound wanders at most through all of them
        _follow(part.nodes, found)
        wanted = [(value, found[inside]) for inside, value in carried if inside in found]
        if all(value in found and not compare(bound, "<", found[value]) for value, bound in wanted):
            break
        for value, bound in wanted:
            _lower(found, value, bound)
    for inside, value in zip(part.inputs, node.inputs[first:], strict=True):
        if inside in found:
            _lower(found, value, found[inside])


def _carried(op: Op, part: Body) -> list[tuple[Value, Value]]:
    """What a turn is given of the turn before, and what that gives it as."""
    if not isinstance(op, (Scan, While)):
        return []
    first = len(op.slice_axes) if isinstance(op, Scan) else 0
    return list(zip(part.inputs[first:], part.outputs[: op.carried], strict=False))


def index_requirements(nodes: Iterable[Node | Call]) -> Iterator[Requirement]:
    """What a call must ensure so that the indices which a graph computes itself are in range.

    Raises ShapeError where no call can.
    """
    nodes = list(nodes)
    found = read_as_indices(nodes)
    for node in all_primitives(nodes):
        ends = node.op.index_range(tuple(value.type for value in node.inputs))
        value = node.outputs[-1]
        if ends is None or value not in found:
            continue
        assert value.origin is not None
        for low, high in (ends, ends[::-1]):  # a range may run downwards
            yield from _require(low, 0, f"{low} is read as an index, which is from 0 up", value.origin)
            message = f"{high} is read as an index, which is below {found[value]}"
            yield from _require(found[value] - high, 1, message, value.origin)


def _require(size: Size, at_least: int, message: str, origin: Origin) -> Iterator[Requirement]:
    low, high = bounds(size)
    if high < at_least:
        raise ShapeError(f"{origin.path}: {message}", origin.location)
    if low < at_least:
        yield Requirement(size, at_least, message, origin)


def _lower(found: dict[Value, Size], value: Value, bound: Size) -> None:
    present = found.get(value)
    if present is None or compare(bound, "<", present):
        found[value] = bound
