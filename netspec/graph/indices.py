"""Which values are read as indices, below which size they must stay, and what follows for those that are computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netspec.errors import ShapeError
from netspec.graph.dims import Size, bounds, compare
from netspec.graph.graph import Node, Origin, Requirement, Value, primitives
from netspec.graph.ops.control import Scan


def read_as_indices(nodes: Iterable[Node]) -> dict[Value, Size]:
    """For each value that is read as an index: the smallest bound of all that read it.

    Followed backwards through primitives that only move elements.
    """
    found: dict[Value, Size] = {}
    for node in reversed(list(nodes)):
        for position, bound in node.op.index_bounds(tuple(value.type for value in node.inputs)).items():
            _lower(found, node.inputs[position], bound)
        if isinstance(node.op, Scan):
            inner = read_as_indices(primitives(node.op.body.nodes))
            for inside, value in zip(node.op.body.inputs, node.inputs, strict=True):
                if inside in inner:
                    _lower(found, value, inner[inside])
        if node.outputs[0] in found:
            for position in node.op.moved(tuple(value.type for value in node.inputs)):
                _lower(found, node.inputs[position], found[node.outputs[0]])
    return found


def index_requirements(given: Iterable[Node]) -> Iterator[Requirement]:
    """What a call must ensure so that the indices which a graph computes itself are in range.

    Raises ShapeError where no call can.
    """
    nodes = list(given)
    found = read_as_indices(nodes)
    for node in nodes:
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
