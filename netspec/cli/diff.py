"""`netspec diff`: what differs between two models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from netspec.cli.count_params import totals
from netspec.cli.failures import DISAGREEMENT
from netspec.cli.options import FormatOption, FreezeOption, SetOption, load
from netspec.cli.output import emit, emit_json
from netspec.cli.table import Column, Table, number
from netspec.graph.dims import Size

if TYPE_CHECKING:
    from netspec.analysis.difference import Change
    from netspec.graph.graph import Graph


def diff(
    a: Annotated[str, typer.Argument(metavar="A", show_default=False, help="A spec, or a name of the zoo.")],
    b: Annotated[str, typer.Argument(metavar="B", show_default=False, help="The spec that it is compared with.")],
    assignments: SetOption = None,
    assignments_a: Annotated[
        list[str] | None, typer.Option("--set-a", metavar="NAME=VALUE", help="As --set, for A only.")
    ] = None,
    assignments_b: Annotated[
        list[str] | None, typer.Option("--set-b", metavar="NAME=VALUE", help="As --set, for B only.")
    ] = None,
    freeze: FreezeOption = None,
    output_format: FormatOption = "table",
) -> None:
    """Compare two models.

    Inputs and outputs; layers with their fields, wiring and shapes; parameters and buffers with their shapes,
    initializers and what is frozen; totals. Layers are matched by path, and where only the name differs, as renamed.
    Names of the models, and the way a spec is written, do not count. Exit status 0 if they are equal, 1 if not.
    """
    from netspec.analysis.difference import differences

    one = load(a, [*(assignments or ()), *(assignments_a or ())], freeze)
    other = load(b, [*(assignments or ()), *(assignments_b or ())], freeze)
    changes = differences(one.graphs, other.graphs)
    counted = [_totals(spec.inference) for spec in (one, other)]
    if output_format == "json":
        emit_json({"equal": not changes, "changes": [vars(change) for change in changes], "totals": _by_side(counted)})
    else:
        emit(f"{_table(changes)}\n" if changes else "The models are equal.\n")
        emit(str(_totals_table(counted)))
    raise typer.Exit(DISAGREEMENT if changes else 0)


def _totals(graph: Graph) -> dict[str, Size]:
    from netspec.analysis.costs import count_costs
    from netspec.analysis.counts import count_params

    return {"layers": len(graph.nodes), **totals(count_params(graph)), "macs": count_costs(graph).total.macs}


def _by_side(counted: list[dict[str, Size]]) -> dict[str, Any]:
    shown = [
        {name: value if isinstance(value, int) else str(value) for name, value in each.items()} for each in counted
    ]
    return dict(zip("ab", shown, strict=True))


def _table(changes: tuple[Change, ...]) -> Table:
    rows = [
        (
            change.kind,
            change.path,
            change.what + (f" ({change.mode})" if change.mode else ""),
            change.a or "",
            change.b or "",
        )
        for change in changes
    ]
    return Table([Column(title) for title in ("what", "path", "change", "A", "B")], rows)


def _totals_table(counted: list[dict[str, Size]]) -> Table:
    one, other = counted
    names = {"total": "parameters", "macs": "MACs of a sample"}
    rows = [
        (names.get(name, name), number(value), number(other[name]), number(other[name] - value))
        for name, value in one.items()
    ]
    return Table((Column("totals"), *(Column(title, number=True) for title in ("A", "B", "B - A"))), rows)
