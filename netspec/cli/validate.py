"""`netspec validate`: is a spec right, and if not, where and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netspec.cli.failures import BAD_INPUT
from netspec.cli.options import FormatOption, FreezeOption, SetOption, load, parse_params
from netspec.cli.output import emit, emit_json, note, warn
from netspec.errors import Mistake, NetspecError, printable

if TYPE_CHECKING:
    from netspec.spec import Spec


def validate(
    specs: Annotated[
        list[str], typer.Argument(metavar="SPEC", show_default=False, help="One spec or several, in YAML or JSON.")
    ],
    assignments: SetOption = None,
    freeze: FreezeOption = None,
    output_format: FormatOption = "table",
) -> None:
    """Check specs, without running anything.

    Both graphs of a model are made and checked, for inference and for training. A line for each good spec on
    standard output, one for each mistake or warning on standard error.
    """
    parse_params(assignments or ())  # a mistake of the command line is told once, not for each file
    found: list[dict[str, Any]] = []
    status = 0
    for file in specs:
        try:
            spec = load(file, assignments, freeze)
            spec.graphs  # noqa: B018 (both graphs are made and checked when asked for)
            warn(spec.training_warnings)
        except NetspecError as error:
            note(str(error))
            found += _diagnostics(file, error.mistakes, "error")
            status = BAD_INPUT
            continue
        found += _diagnostics(file, (*spec.warnings, *spec.training_warnings), "warning")
        if output_format == "table":
            emit(_fine(file, spec))
    if output_format == "json":
        emit_json(found)
    raise typer.Exit(status)


def _fine(file: str, spec: Spec) -> str:
    from netspec.analysis.counts import count_params

    layers, total = len(list(spec.inference.calls())), count_params(spec.inference).total
    return f"{printable(file)}: ok, {layers:,} layers, {total:,} parameters\n"


def _diagnostics(file: str, mistakes: Sequence[Mistake], severity: str) -> list[dict[str, Any]]:
    """Each mistake by its place; `line` and `column` are null where it stands nowhere in a text."""
    return [
        {
            "file": mistake.location.file if mistake.location else file,
            "line": mistake.location.line if mistake.location else None,
            "column": mistake.location.column if mistake.location else None,
            "message": mistake.message,
            "severity": severity,
        }
        for mistake in mistakes
    ]
