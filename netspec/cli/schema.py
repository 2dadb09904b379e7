"""`netspec schema`: the language for editors."""

from __future__ import annotations

from typing import Annotated

import typer

from netspec.cli.output import emit_json


def schema(
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", show_default=False, help="A spec whose blocks the schema shall know too."),
    ] = None,
) -> None:
    """Print the JSON Schema of the language.

    Draft 2020-12, closed for all that is built in. Editors complete and check specs with it: write it to a file, and
    name that in the first line of a spec, as in `# yaml-language-server: $schema=netspec.schema.json`.
    """
    from netspec.language.reader import read
    from netspec.language.schema.whole import language_schema
    from netspec.language.zoo import spec_file

    emit_json(language_schema(None if file is None else read(spec_file(file))))
