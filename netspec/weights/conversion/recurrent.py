"""The cells of recurrent layers of Keras and Flax, and how several layers of theirs become one of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from netspec.errors import WeightsError
from netspec.layers.recurrent import CellLayer, Gru, GruCell, RecurrentLayer
from netspec.weights.conversion.layer_weights import SourceLayer, TargetLayer
from netspec.weights.safetensors_file import Array

Kind = Literal["rnn", "lstm", "gru"]
BY_GATES: Mapping[int, Kind] = {1: "rnn", 4: "lstm", 3: "gru"}


@dataclass(frozen=True, eq=False)
class Cell:
    """One cell in torch's layout, `[gates * hidden, in]` and `[gates * hidden, hidden]`, with torch's order of gates.

    `hidden_bias` is one that has to stay where it is, as it stands inside of the reset of a GRU; what says nothing of
    that has `input_bias` alone. `reset` is None where the arrays do not tell.
    """

    kind: Kind
    input: Array
    hidden: Array
    input_bias: Array | None = None
    hidden_bias: Array | None = None
    reset: Literal["after", "before"] | None = None


@dataclass(frozen=True)
class RecurrentSource(SourceLayer):
    """A recurrent layer of another program: its cells, by layer and then by direction.

    `directions` is 1 or 2, or None where a cell does not tell that it is half of a layer.
    """

    cells: tuple[Cell, ...] = ()
    directions: int | None = None


def recurrent_source(
    name: str, path: str, kinds: frozenset[str], cells: Sequence[Cell], directions: int | None, counted: bool = False
) -> RecurrentSource:
    """A layer of theirs whose weights are those of its cells."""
    cells = tuple(cells)
    return RecurrentSource(name, path, kinds, partial(_weights, name, cells, directions), counted, cells, directions)


def kinds_of(cells: Sequence[Cell]) -> frozenset[str]:
    """What of ours may have such cells: nothing where they are of several kinds."""
    kinds = {cell.kind for cell in cells}
    return frozenset({f"{kind}{end}" for kind in kinds for end in ("", "_cell")}) if len(kinds) == 1 else frozenset()


def merged(sources: Sequence[SourceLayer], targets: Sequence[TargetLayer]) -> list[SourceLayer]:
    """As many layers as ours: where one of ours holds several cells, it takes as many of theirs, in their order."""
    left = list(sources)
    found: list[SourceLayer] = []
    for target in targets:
        wanted = len(_suffixes(target))
        taken: list[SourceLayer] = []
        while left and sum(_count(each) for each in taken) < wanted:
            taken.append(left.pop(0))
        found += [_joined(taken)] if len(taken) > 1 else taken
    return found + left


def _joined(sources: Sequence[SourceLayer]) -> SourceLayer:
    parts = [each for each in sources if isinstance(each, RecurrentSource)]
    cells = [cell for each in parts for cell in each.cells]
    directions = {each.directions for each in parts}
    name, path = (", ".join(str(getattr(each, key)) for each in sources) for key in ("name", "path"))
    kinds = frozenset.intersection(*(each.kinds for each in sources))
    return recurrent_source(name, path, kinds, cells, directions.pop() if len(directions) == 1 else None)


def _count(source: SourceLayer) -> int:
    return len(source.cells) if isinstance(source, RecurrentSource) else 1


def _suffixes(target: TargetLayer) -> list[str]:
    layer = target.call.layer
    if not isinstance(layer, RecurrentLayer):
        return [""]
    return [f"_l{number}{direction}" for number in range(layer.num_layers) for direction in layer.directions]


def _weights(name: str, cells: Sequence[Cell], directions: int | None, target: TargetLayer) -> Mapping[str, Array]:
    layer, suffixes = target.call.layer, _suffixes(target)
    own = len(layer.directions) if isinstance(layer, RecurrentLayer) else 1
    kinds = {cell.kind for cell in cells}
    if kinds != {target.type.removesuffix("_cell")} or not isinstance(layer, RecurrentLayer | CellLayer):
        raise WeightsError(f"{name} holds cells of {' and '.join(sorted(kinds))}, which are no {target.type}")
    if len(cells) != len(suffixes) or directions not in (None, own):
        held = f"{len(cells)} cells in {directions or 1} of the directions"
        raise WeightsError(f"{target.call.path} has {len(suffixes)} cells in {own}, but {name} has {held}")
    arrays: dict[str, Array] = {}
    for cell, suffix in zip(cells, suffixes, strict=True):
        arrays.update(_arrays(name, cell, suffix, layer))
    return arrays


def _arrays(name: str, cell: Cell, suffix: str, layer: RecurrentLayer | CellLayer) -> Iterator[tuple[str, Array]]:
    """Our arrays of one cell by local name; a second bias that they have not is zero."""
    if isinstance(layer, Gru | GruCell) and cell.reset not in (None, layer.reset):
        raise WeightsError(f"{name} has the biases of `reset: {cell.reset}`, which has to be set")
    yield f"weight_ih{suffix}", cell.input
    yield f"weight_hh{suffix}", cell.hidden
    if cell.input_bias is None:
        return
    yield f"bias_ih{suffix}", cell.input_bias
    if layer.recurrent_bias:
        second = np.zeros_like(cell.input_bias) if cell.hidden_bias is None else cell.hidden_bias
        yield f"bias_hh{suffix}", second
    elif cell.hidden_bias is not None:
        raise WeightsError(f"{name} has a bias inside of its reset, which `recurrent_bias: false` leaves out")
