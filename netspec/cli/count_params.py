"""`netspec count-params`: how many parameters a model has, in all, by layer or by parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from netspec.cli.options import FormatOption, FreezeOption, SetOption, SpecOption, load
from netspec.cli.output import emit, emit_json
from netspec.cli.table import Column, Table, number
from netspec.graph.dims import Size, format_shape

if TYPE_CHECKING:
    from netspec.analysis.counts import LayerRow, ParamCount, ParameterRow


def count_params(
    spec: SpecOption,
    by: Annotated[
        Literal["layer", "parameter"] | None,
        typer.Option("--by", show_default=False, help="A row for each layer, or for each parameter and buffer."),
    ] = None,
    assignments: SetOption = None,
    freeze: FreezeOption = None,
    output_format: FormatOption = "table",
) -> None:
    """Count parameters and buffers.

    Exact, without allocating anything or loading a framework. Tied and shared parameters count once; buffers, such
    as running statistics, are counted apart.
    """
    from netspec.analysis.counts import count_by_layer
    from netspec.analysis.counts import count_params as count

    graph = load(spec, assignments, freeze).inference
    counted = count(graph)
    layers = count_by_layer(graph) if by == "layer" else ()
    if output_format == "json":
        data: dict[str, Any] = totals(counted)
        if by == "layer":
            data["rows"] = [_layer_json(row) for row in layers]
        elif by == "parameter":
            data["rows"] = [_parameter_json(row) for row in counted.rows]
        emit_json(data)
    elif by == "layer":
        emit(str(_layer_table(layers, counted)))
    elif by == "parameter":
        emit(str(_parameter_table(counted)))
    else:
        rows = [(name, number(value)) for name, value in totals(counted).items()]
        emit(str(Table((Column("parameters"), Column("count", number=True)), rows)))


def totals(counted: ParamCount) -> dict[str, int]:
    """The counts of a whole model, as every JSON of counts has them."""
    return {
        "total": counted.total,
        "trainable": counted.trainable,
        "frozen": counted.frozen,
        "buffers": counted.buffers,
    }


def shape_json(shape: Sequence[Size]) -> list[int | str]:
    """A shape in JSON: integers, and what is symbolic as text."""
    return [size if isinstance(size, int) else str(size) for size in shape]


def _layer_json(row: LayerRow) -> dict[str, Any]:
    return {
        "path": row.path,
        "type": row.type,
        "output_shape": shape_json(row.output_shape),
        "params": row.params,
        "trainable": row.trainable,
        "buffers": row.buffers,
    }


def _parameter_json(row: ParameterRow) -> dict[str, Any]:
    return {
        "path": row.path,
        "shape": shape_json(row.shape),
        "dtype": row.dtype,
        "kind": row.kind,
        "trainable": row.trainable,
    }


def _layer_table(layers: Sequence[LayerRow], counted: ParamCount) -> Table:
    return Table(
        columns=(
            *(Column("layer"), Column("type"), Column("output shape")),
            *(Column("parameters", number=True), Column("trainable", number=True), Column("buffers", number=True)),
        ),
        rows=[
            (
                *(row.path, row.type, format_shape(row.output_shape)),
                *(number(row.params), number(row.trainable), number(row.buffers)),
            )
            for row in layers
        ],
        total=("total", "", "", number(counted.total), number(counted.trainable), number(counted.buffers)),
    )


def _parameter_table(counted: ParamCount) -> Table:
    return Table(
        columns=(
            *(Column("path"), Column("shape"), Column("dtype"), Column("kind"), Column("trainable")),
            Column("numbers", number=True),
        ),
        rows=[
            (
                *(row.path, format_shape(row.shape), row.dtype, row.kind, "yes" if row.trainable else "no"),
                number(row.count),
            )
            for row in counted.rows
        ],
        total=("total", "", "", "", "", number(counted.total + counted.buffers)),
    )
