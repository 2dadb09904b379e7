"""`netspec summary`: what each layer gives, holds and costs, and how much memory a sample takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from netspec.analysis.choices import FloatType, Optimizer
from netspec.cli.count_params import shape_json, totals
from netspec.cli.failures import DISAGREEMENT
from netspec.cli.options import DimOption, Format, FormatOption, FreezeOption, SetOption, SpecOption, load, parse_dims
from netspec.cli.output import emit, emit_json
from netspec.cli.table import Column, Table, number
from netspec.errors import NetspecError
from netspec.graph.dims import Size, format_shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netspec.analysis.costs import Cost, ModelCost
    from netspec.analysis.counts import LayerRow, ParamCount
    from netspec.analysis.memory import ActivationMemory
    from netspec.cli.memory import Memory
    from netspec.graph.graph import Graph

LEGEND = """\
FLOPs are 2 x MACs, the multiply-adds of matrix products and convolutions.
Elementwise is all other arithmetic, one operation for each number computed.
"""


def summary(
    spec: SpecOption,
    dims: DimOption = None,
    batch: Annotated[
        int | None, typer.Option("--batch", min=1, metavar="N", show_default=False, help="Short for --dim batch=N.")
    ] = None,
    memory: Annotated[
        bool, typer.Option("--memory", help="What weights, gradients, optimizer and activations take.")
    ] = False,
    optimizer: Annotated[
        Optimizer | None, typer.Option("--optimizer", show_default="sgd", help="For --memory, which it implies.")
    ] = None,
    dtype: Annotated[
        FloatType | None, typer.Option("--dtype", show_default="float32", help="For --memory, which it implies.")
    ] = None,
    fit: Annotated[
        str | None,
        typer.Option(
            "--fit", metavar="SIZE", show_default=False, help="The largest batch in so much memory: --fit 8GiB."
        ),
    ] = None,
    assignments: SetOption = None,
    freeze: FreezeOption = None,
    output_format: FormatOption = "table",
) -> None:
    """Print what each layer gives, holds and costs.

    Output shapes, parameters, MACs, FLOPs, elementwise operations, and the memory that activations take, for inference
    of one sample: the symbol batch is 1. Other symbolic dimensions get a size by --dim, else the figures are
    polynomials in them. FLOPs are 2 x MACs of matrix products and convolutions. With --memory also what a training
    step takes; the exit status is 1 where nothing fits into --fit.
    """
    from netspec.analysis.sample import BATCH

    loaded = load(spec, assignments, freeze)
    given = parse_dims(dims or ())
    if batch is not None:
        if BATCH in given:
            raise NetspecError("--batch and --dim batch are the same: give one of them")
        given[BATCH] = batch
    measured: Memory | None = None
    if memory or any(option is not None for option in (optimizer, dtype, fit)):
        from netspec.cli.memory import measure

        measured = measure(loaded, given, dtype, optimizer, fit)
    _print(loaded.inference, given, measured, output_format)
    if measured is not None and not measured.fits:
        raise typer.Exit(DISAGREEMENT)


def _print(graph: Graph, given: Mapping[str, int], measured: Memory | None, output_format: Format) -> None:
    from netspec.analysis.costs import count_costs
    from netspec.analysis.counts import count_by_layer, count_params
    from netspec.analysis.memory import activation_memory
    from netspec.analysis.sample import sample_sizes

    sizes = sample_sizes(graph, given)
    costs, memory = count_costs(graph, given), activation_memory(graph, given)
    counted, layers = count_params(graph), count_by_layer(graph)
    if output_format == "json":
        data: dict[str, Any] = {
            "name": graph.name,
            "dims": {name: _size_json(size) for name, size in sizes.items()},
            **totals(counted),
            **_cost_json(costs.total),
            "activation_bytes": _size_json(memory.total),
            "peak_activation_bytes": None if memory.peak is None else _size_json(memory.peak),
            "peak_at": memory.peak_at,
            "peak_needs_dims": list(memory.undecided),
        }
        if measured is not None:
            from netspec.cli.memory import memory_json

            data["memory"] = memory_json(measured)
        emit_json({**data, "rows": _rows_json(layers, costs)})
        return
    stated = ", ".join(f"{name} = {size}" for name, size in sizes.items() if isinstance(size, int))
    what = "inference of one sample" if sizes.get("batch", 1) == 1 else "inference"
    emit(f"{graph.name}: {what}" + (f", {stated}" if stated else "") + "\n\n")
    emit(f"{_table(layers, costs, counted)}\n{LEGEND}")
    if measured is None:
        emit(_memory_text(memory))
    else:
        from netspec.cli.memory import memory_text

        emit(f"\n{memory_text(measured)}")


def _table(layers: tuple[LayerRow, ...], costs: ModelCost, counted: ParamCount) -> Table:
    numbers = ("parameters", "MACs", "FLOPs", "elementwise")
    return Table(
        columns=(*map(Column, ("layer", "type", "output shape")), *(Column(title, number=True) for title in numbers)),
        rows=[
            (row.path, row.type, format_shape(row.output_shape), number(held.params), *_cost_cells(row.cost))
            for held, row in zip(layers, costs.rows, strict=True)
        ],
        total=("total", "", "", number(counted.total), *_cost_cells(costs.total)),
    )


def _cost_cells(cost: Cost) -> tuple[str, str, str]:
    return number(cost.macs), number(cost.flops), number(cost.elementwise)


def _memory_text(memory: ActivationMemory) -> str:
    """Two lines on memory; which symbols need a size where the peak depends on them."""
    total = f"Activations in float32: {number(memory.total)} bytes for the outputs of all layers.\n"
    if memory.peak is None:
        needed = " ".join(f"--dim {name}=N" for name in memory.undecided)
        return f"{total}The peak depends on the sizes: give {needed}.\n"
    where = "for the inputs alone" if memory.peak_at == "inputs" else f"while layer {memory.peak_at} runs"
    return f"{total}Their peak is {number(memory.peak)} bytes, inputs included, {where}.\n"


def _size_json(size: Size) -> int | str:
    return size if isinstance(size, int) else str(size)


def _cost_json(cost: Cost) -> dict[str, int | str]:
    return {
        "macs": _size_json(cost.macs),
        "flops": _size_json(cost.flops),
        "elementwise": _size_json(cost.elementwise),
    }


def _rows_json(layers: tuple[LayerRow, ...], costs: ModelCost) -> list[dict[str, Any]]:
    return [
        {
            "path": row.path,
            "type": row.type,
            "output_shape": shape_json(row.output_shape),
            "params": held.params,
            "trainable": held.trainable,
            "buffers": held.buffers,
            **_cost_json(row.cost),
        }
        for held, row in zip(layers, costs.rows, strict=True)
    ]
