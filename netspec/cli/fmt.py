"""`netspec fmt`: specs in their canonical form."""

from __future__ import annotations

from typing import Annotated

import typer

from netspec.cli.failures import BAD_INPUT, DISAGREEMENT
from netspec.cli.output import emit, note
from netspec.errors import NetspecError, printable


def fmt(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", show_default=False, help="One spec or several, in YAML or JSON.")
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; name the files that would change, and exit with 1.")
    ] = False,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="OUT", show_default=False, help="Write here instead; - prints."),
    ] = None,
) -> None:
    """Rewrite specs in their canonical form.

    Keys in the language's order, short entries in one line of at most 120 columns, comments and groups of lines kept,
    aliases written out. Values do not change, and formatting twice is formatting once.
    """
    from netspec.language.formatting.document import format_file

    if output is not None and (check or len(files) > 1):
        raise NetspecError("-o takes one FILE, and no --check")
    status = 0
    for file in files:
        try:
            old, new = format_file(file)
            if output == "-":
                emit(new.decode("utf-8"))
            elif check and new != old:
                emit(f"{printable(file)}\n")
                status = status or DISAGREEMENT
            elif not check and (output is not None or new != old):
                _write(output or file, new)
        except NetspecError as error:
            note(str(error))
            status = BAD_INPUT
    raise typer.Exit(status)


def _write(path: str, data: bytes) -> None:
    from netspec.weights.atomic import write_atomically

    write_atomically(path, lambda stream: stream.write(data))
    note(f"{printable(path)}: written")
