"""Which layers occurred, and which followed which, of those that can."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from netspec.fuzz.generator import layer_types
from netspec.graph.graph import Graph, Value

Kind = tuple[int, str]  # rank and dtype


@dataclass
class Coverage:
    """Counts over graphs. B can follow A where A gave, in some graph, a rank and dtype that B took in some graph."""

    layers: Counter[str] = field(default_factory=Counter)
    pairs: set[tuple[str, str]] = field(default_factory=set)
    gave: dict[str, set[Kind]] = field(default_factory=dict)
    took: dict[str, set[Kind]] = field(default_factory=dict)

    def add(self, graph: Graph) -> None:
        """Count one graph."""
        made_by: dict[Value, str] = {}
        for call in graph.all_calls():
            type = call.layer.type
            self.layers[type] += 1
            for value in call.inputs:
                self.took.setdefault(type, set()).add((value.type.rank, value.type.dtype))
                if value in made_by:
                    self.pairs.add((made_by[value], type))
            for value in call.outputs:  # identity hands on the value it takes: then it is the one that made it
                made_by[value] = type
                self.gave.setdefault(type, set()).add((value.type.rank, value.type.dtype))

    @property
    def missing_layers(self) -> list[str]:
        """Layers that did not occur."""
        return [type for type in layer_types() if not self.layers[type]]

    @property
    def possible(self) -> set[tuple[str, str]]:
        """Pairs of which the second can follow the first."""
        return {
            (first, second)
            for first, kinds in self.gave.items()
            for second, taken in self.took.items()
            if kinds & taken
        }

    @property
    def share(self) -> float:
        """The part of the possible pairs that occurred."""
        possible = self.possible
        return len(self.pairs & possible) / len(possible) if possible else 1.0

    def to_json(self) -> Mapping[str, Any]:
        return {
            "layers": dict(sorted(self.layers.items())),
            "missing_layers": self.missing_layers,
            "pairs": len(self.pairs & self.possible),
            "possible_pairs": len(self.possible),
        }
