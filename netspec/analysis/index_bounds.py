"""Which integer inputs hold indices, and below which sizes their values must stay."""

from __future__ import annotations

from netspec.graph.graph import Graph
from netspec.graph.indices import Bounds, read_as_indices


def index_bounds(graph: Graph) -> dict[str, Bounds]:
    """For each input whose values are read as indices: the smallest bounds of all the operations that read it.

    Followed through primitives that only move elements. An input that is never read as an index is absent.
    """
    found = read_as_indices(graph.nodes)
    return {entry.name: found[entry.value] for entry in graph.inputs if entry.value in found}
