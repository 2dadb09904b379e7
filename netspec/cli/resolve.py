"""`netspec resolve`: what a spec comes to."""

from __future__ import annotations

from typing import Annotated

import typer

from netspec.cli.options import FreezeOption, SetOption, SpecOption, load
from netspec.cli.output import emit, note
from netspec.errors import printable


def resolve(
    spec: SpecOption,
    assignments: SetOption = None,
    freeze: FreezeOption = None,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="OUT", show_default=False, help="Write here: JSON if it ends in .json."),
    ] = None,
) -> None:
    """Print a spec flat, with every default written out.

    One entry for each layer under its full path; no blocks, groups, loops, conditions or params are left. It is a spec
    of the same model, with the same weights.
    """
    from netspec.language.formatting.document import format_value

    text = format_value(load(spec, assignments, freeze).resolved(), output or "resolved.yaml")
    if output is None:
        emit(text)
        return
    from netspec.weights.atomic import write_atomically

    write_atomically(output, lambda stream: stream.write(text.encode("utf-8")))
    note(f"{printable(output)}: written")
