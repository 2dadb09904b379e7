"""`netspec validate`: is a spec right, and if not, where and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from netspec.cli.failures import BAD_INPUT
from netspec.cli.options import FreezeOption, SetOption, load, parse_params
from netspec.cli.output import emit, emit_json, note, warn
from netspec.errors import Mistake, NetspecError, printable

if TYPE_CHECKING:
    from netspec.spec import Spec


def validate(
    specs: Annotated[
        list[str],
        typer.Argument(metavar="SPEC", show_default=False, help="Specs in YAML or JSON, or names of the zoo."),
    ],
    assignments: SetOption = None,
    freeze: FreezeOption = None,
    output_format: Annotated[
        Literal["table", "json", "github"],
        typer.Option("--format", help="A table for people, JSON for programs, or what GitHub shows beside a change."),
    ] = "table",
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
    if output_format == "github":
        emit("".join(f"{_annotation(each)}\n" for each in found))
    raise typer.Exit(status)


def _fine(file: str, spec: Spec) -> str:
    from netspec.analysis.counts import count_params

    layers, total = len(list(spec.inference.all_calls())), count_params(spec.inference).total
    return f"{printable(file)}: ok, {layers:,} layers, {total:,} parameters\n"


def _annotation(diagnostic: dict[str, Any]) -> str:
    """A line of GitHub's workflow commands, https://docs.github.com/actions/reference/workflow-commands-for-github-actions.

    `::error file=F,line=L,col=C::message`, where `%` and ends of lines are escaped, and in properties `:` and `,` too.
    """
    places = {"file": diagnostic["file"], "line": diagnostic["line"], "col": diagnostic["column"]}
    properties = ",".join(f"{key}={_escaped(str(value), '%:,')}" for key, value in places.items() if value is not None)
    return f"::{diagnostic['severity']} {properties}::{_escaped(printable(diagnostic['message']), '%')}"


def _escaped(text: str, characters: str) -> str:
    return "".join(f"%{ord(c):02X}" if c in characters or c in "\r\n" else c for c in text)


def _diagnostics(file: str, mistakes: Sequence[Mistake], severity: str) -> list[dict[str, Any]]:
    """Each mistake by its place; `line` and `column` are null where it stands nowhere in a text."""
    return [
        {
            "file": mistake.location.file if mistake.location else file,
            "line": mistake.location.line or None if mistake.location else None,
            "column": mistake.location.column or None if mistake.location else None,
            "message": mistake.message,
            "severity": severity,
        }
        for mistake in mistakes
    ]
