"""One sample of a model: which size each symbol of its inputs stands for."""

from __future__ import annotations

from collections.abc import Mapping

from netspec.errors import NetspecError, nearest
from netspec.graph.dims import Size, bounds, evaluate, symbol
from netspec.graph.graph import Graph
from netspec.graph.types import MAX_SIZE

BATCH = "batch"


def sample_sizes(graph: Graph, dims: Mapping[str, int] | None = None) -> dict[str, Size]:
    """For each symbol of the graph's inputs: its size in `dims`, else 1 for `batch`, else the symbol itself.

    Raises NetspecError for a symbol that the model does not have, a size outside 1 to 2^31 - 1, and a size that
    some layer cannot take.
    """
    known = list(graph.symbols())
    for name, given in (dims or {}).items():
        if name not in known:
            hint = nearest(name, known) or (f"; known are {', '.join(known)}" if known else "; the model has none")
            raise NetspecError(f"there is no symbolic dimension {name}{hint}")
        if not 1 <= given <= MAX_SIZE:
            raise NetspecError(f"dimension {name}: expected a size from 1 to {MAX_SIZE}, got {given}")
    free = {name: 1 if name == BATCH else symbol(name) for name in known}
    sizes: dict[str, Size] = {**free, **(dims or {})}
    for requirement in graph.requirements:
        size: Size = evaluate(requirement.size, sizes)
        if bounds(size)[1] < requirement.at_least:
            message = f"{requirement.origin.path}: {requirement.message.format(size=size)}"
            raise NetspecError(message, requirement.origin.location)
    return sizes
