"""`netspec show`: a model's graph as text."""

from __future__ import annotations

from typing import Annotated

import typer

from netspec.cli.options import FreezeOption, SetOption, SpecOption, load
from netspec.cli.output import emit


def show(
    spec: SpecOption,
    training: Annotated[bool, typer.Option("--training", help="The graph for training instead of inference.")] = False,
    assignments: SetOption = None,
    freeze: FreezeOption = None,
) -> None:
    """Print a model's graph as text.

    Its inputs, parameters, layers with every primitive and shape, and outputs.
    """
    from netspec.graph.printer import print_graph

    loaded = load(spec, assignments, freeze)
    emit(print_graph(loaded.training if training else loaded.inference))
