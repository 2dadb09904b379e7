"""`netspec plot`: a picture of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netspec.cli.options import FreezeOption, SetOption, SpecOption, load
from netspec.cli.output import note
from netspec.errors import NetspecError, printable

ENDINGS = (".svg", ".png")


def plot(
    spec: SpecOption,
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", metavar="FILE", show_default=False, help=".svg or .png. Default: NAME.svg in this folder."
        ),
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(
            "--depth", min=1, metavar="N", show_default=False, help="How far groups are opened; 1: not at all."
        ),
    ] = None,
    training: Annotated[bool, typer.Option("--training", help="The graph for training instead of inference.")] = False,
    assignments: SetOption = None,
    freeze: FreezeOption = None,
) -> None:
    """Draw a model.

    Layers from top to bottom, with their fields, parameters and the shapes between them. Groups and equal copies in
    a row are folded, as far as the picture needs to stay legible where --depth does not say. PNG needs the extra plot.
    """
    from netspec.draw.png import png
    from netspec.draw.svg import svg
    from netspec.weights.atomic import write_atomically

    ending = Path(output or "model.svg").suffix.lower()
    if ending not in ENDINGS:
        raise NetspecError(f"--output: expected a file that ends in .svg or .png, got {output!r}")
    loaded = load(spec, assignments, freeze)
    path = Path(output or f"{loaded.name}.svg")
    drawn = svg(loaded.training if training else loaded.inference, depth)
    data = png(drawn) if ending == ".png" else drawn.encode()
    write_atomically(path, lambda file: file.write(data))
    note(f"{printable(str(path))}: {len(data):,} bytes")
