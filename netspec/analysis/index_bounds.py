"""Which integer inputs hold indices, and below which size their values must stay."""

from __future__ import annotations

from netspec.graph.dims import Size, compare
from netspec.graph.graph import Graph, Value


def index_bounds(graph: Graph) -> dict[str, Size]:
    """For each input whose values are read as indices: the smallest bound of all the operations that read it.

    Followed through primitives that only move elements. An input that is never read as an index is absent.
    """
    found: dict[Value, Size] = {}
    for node in reversed(list(graph.primitives())):
        for position, bound in node.op.index_bounds(tuple(value.type for value in node.inputs)).items():
            _lower(found, node.inputs[position], bound)
        if node.op.moves_elements and node.outputs[0] in found:
            for value in node.inputs:
                _lower(found, value, found[node.outputs[0]])
    return {entry.name: found[entry.value] for entry in graph.inputs if entry.value in found}


def _lower(found: dict[Value, Size], value: Value, bound: Size) -> None:
    present = found.get(value)
    if present is None or compare(bound, "<", present):
        found[value] = bound
