"""Which integer inputs hold indices, and below which sizes their values must stay."""

from __future__ import annotations

from netspec.graph.dims import Size
from netspec.graph.graph import Graph
from netspec.graph.indices import read_as_indices


def index_bounds(graph: Graph) -> dict[str, tuple[Size, ...]]:
    """For each input whose values are read as indices: the smallest bounds of all the operations that read it.

    Followed through primitives that only move elements. An input that is never read as an index is absent.
    """
    found = read_as_indices(graph.nodes)
    inputs = (entry for entry in graph.inputs if entry.value in found)
    return {entry.name: tuple(bound.size for bound in found[entry.value]) for entry in inputs}
