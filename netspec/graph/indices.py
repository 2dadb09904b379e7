"""Which values are read as indices, below which size they must stay, and what follows for those that are computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from netspec.errors import ShapeError
from netspec.graph.dims import Size, bounds, compare
from netspec.graph.graph import Body, Call, Node, Origin, Requirement, Value, all_primitives, primitives
from netspec.graph.ops import Control, Op, Scan, While


class Bound(NamedTuple):
    """An index must stay below `size`; `reader` is where it is read."""

    size: Size
    reader: Origin | None


# Below all of them an index must stay: of two, as a size of the call and a number, neither is known to be smaller.
Bounds = tuple[Bound, ...]


def read_as_indices(nodes: Iterable[Node | Call]) -> dict[Value, Bounds]:
    """For each value that is read as an index: the smallest bounds of all that read it.

    Followed backwards through primitives that only move elements, and through the bodies of control flow.
    """
    found: dict[Value, Bounds] = {}
    _follow(nodes, found)
    return found


def _follow(nodes: Iterable[Node | Call], found: dict[Value, Bounds]) -> None:
    for node in reversed(list(primitives(nodes))):
        for position, size in node.op.index_bounds(tuple(value.type for value in node.inputs)).items():
            _lower(found, node.inputs[position], (Bound(size, node.outputs[0].origin),))
        if isinstance(node.op, Control):
            for part, first in node.op.forward_parts():
                _follow_part(node, part, first, found)
        if node.outputs[0] in found:
            for position in node.op.moved(tuple(value.type for value in node.inputs)):
                _lower(found, node.inputs[position], found[node.outputs[0]])


def _follow_part(node: Node, part: Body, first: int, found: dict[Value, Bounds]) -> None:
    for inside, value in zip(part.outputs, node.outputs, strict=True):
        if value in found:
            _lower(found, inside, found[value])
    carried = _carried(node.op, part)
    while True:  # what one turn reads as an index, the turn before gives: a bound wanders at most through all of them
        _follow(part.nodes, found)
        before = [found.get(value) for _, value in carried]
        for inside, value in carried:
            _lower(found, value, found.get(inside, ()))
        if before == [found.get(value) for _, value in carried]:
            break
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
        for end in ends:  # a range may run downwards
            for bound in found[value]:
                yield from _require(end, 0, end, f"{_reader(bound, value)} takes indices from 0 up", value.origin)
                message = f"{_reader(bound, value)} takes indices below {bound.size}"
                yield from _require(bound.size - end, 1, end, message, value.origin)


def _reader(bound: Bound, value: Value) -> str:
    """The layer that reads an index, as a message that names the layer which gives it calls it."""
    return "it" if bound.reader is None or bound.reader == value.origin else bound.reader.path


def _require(size: Size, at_least: int, index: Size, message: str, origin: Origin) -> Iterator[Requirement]:
    low, high = bounds(size)
    if high < at_least:
        raise ShapeError(f"{origin.path}: {message}, and one is {index}", origin.location)
    if low < at_least:
        shown = "{size}" if isinstance(index, int) else f"{index}, {{size}} here"
        yield Requirement(size, at_least, f"{message}, and one is {shown}", origin, index)


def _lower(found: dict[Value, Bounds], value: Value, more: Bounds) -> None:
    """Note more bounds of a value, but for those that follow from others."""
    for bound in more:
        present = found.get(value, ())
        if not any(compare(each.size, "<=", bound.size) for each in present):
            found[value] = (*(each for each in present if not compare(bound.size, "<=", each.size)), bound)
