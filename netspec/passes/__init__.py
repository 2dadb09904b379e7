"""Pure functions from Graph to Graph. `PASSES` run on every graph, in this order; the others are asked for by name."""

from __future__ import annotations

from collections.abc import Callable

from netspec.graph.graph import Graph
from netspec.graph.invariants import check_graph
from netspec.passes.prune import prune

PASSES: tuple[Callable[[Graph], Graph], ...] = (prune,)


def apply_passes(graph: Graph) -> Graph:
    """The graph after the passes that every graph goes through, checked after each."""
    for each in PASSES:
        graph = check_graph(each(graph), graph)
    return graph
