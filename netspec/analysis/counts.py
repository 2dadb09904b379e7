"""How many numbers a model holds: parameters, trainable and frozen, and buffers; read off the graph."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from netspec.graph.dims import Size
from netspec.graph.graph import Graph, Param


@dataclass(frozen=True)
class ParameterRow:
    """One parameter or buffer, under its path; a tied one stands once."""

    path: str
    shape: tuple[int, ...]
    dtype: str
    kind: Literal["param", "buffer"]
    trainable: bool

    @property
    def count(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class LayerRow:
    """One layer: its main output's shape, and the numbers that it is the first to hold."""

    path: str
    type: str
    output_shape: tuple[Size, ...]
    params: int
    trainable: int
    buffers: int


@dataclass(frozen=True)
class ParamCount:
    """Counts of single numbers. `total` is all parameters, trainable and frozen; buffers are counted apart.

    `rows` has one row for each parameter and buffer, in the order of the state dict.
    """

    total: int
    trainable: int
    frozen: int
    buffers: int
    rows: tuple[ParameterRow, ...] = field(repr=False)


def count_params(graph: Graph) -> ParamCount:
    """Count a model's parameters and buffers. Exact for any size: nothing is allocated."""
    rows = tuple(
        ParameterRow(
            path=held.path,
            shape=held.value.shape,
            dtype="float32" if held.value.type.dtype == "float" else held.value.type.dtype,
            kind="param" if isinstance(held, Param) else "buffer",
            trainable=isinstance(held, Param) and held.trainable,
        )
        for held in graph.state
    )
    total = sum(row.count for row in rows if row.kind == "param")
    trainable = sum(row.count for row in rows if row.trainable)
    buffers = sum(row.count for row in rows if row.kind == "buffer")
    return ParamCount(total, trainable, total - trainable, buffers, rows)


def count_by_layer(graph: Graph) -> tuple[LayerRow, ...]:
    """One row for each layer in order; a parameter that several layers use counts at the first."""
    held = {entry.value: entry for entry in graph.state}
    rows: list[LayerRow] = []
    for call in graph.all_calls():
        own = [held.pop(value) for value in (*call.params.values(), *call.buffers.values()) if value in held]
        sizes = {entry.path: math.prod(entry.value.shape) for entry in own}
        params = [entry for entry in own if isinstance(entry, Param)]
        rows.append(
            LayerRow(
                path=call.path,
                type=call.layer.type,
                output_shape=call.outputs[0].shape,
                params=sum(sizes[param.path] for param in params),
                trainable=sum(sizes[param.path] for param in params if param.trainable),
                buffers=sum(sizes[entry.path] for entry in own if not isinstance(entry, Param)),
            )
        )
    return tuple(rows)
