"""`netspec export`: a model as a file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netspec.cli.options import FreezeOption, MaxBytesOption, SetOption, SpecOption, load
from netspec.cli.output import note
from netspec.cli.weights_options import (
    NonfiniteOption,
    OnlyOption,
    SeedOption,
    SkipOption,
    WeightsOption,
    chosen_weights,
)
from netspec.errors import printable


def export_onnx(
    spec: SpecOption,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="FILE", show_default=False, help="Default: NAME.onnx in this folder."),
    ] = None,
    weights: WeightsOption = None,
    only: OnlyOption = None,
    skip: SkipOption = None,
    allow_nonfinite: NonfiniteOption = False,
    seed: SeedOption = 0,
    external_data: Annotated[
        bool, typer.Option("--external-data", help="Put the weights in FILE.data beside it: needed above 2 GiB.")
    ] = False,
    max_bytes: MaxBytesOption = None,
    assignments: SetOption = None,
    freeze: FreezeOption = None,
) -> None:
    """Write a model as an ONNX file.

    Its inference graph, in opset 21 or later. Inputs and outputs keep the spec's names, symbolic
    dimensions their symbols, weights their paths.
    """
    import netspec

    loaded = load(spec, assignments, freeze)
    path = Path(output or f"{loaded.name}.onnx")
    values = chosen_weights(loaded, weights, only, skip, seed, allow_nonfinite)
    netspec.export_onnx(loaded, path, values, seed, external_data, allow_nonfinite=allow_nonfinite, max_bytes=max_bytes)
    note(f"{printable(str(path))}: {path.stat().st_size:,} bytes")
