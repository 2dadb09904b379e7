"""The options that choose the weights of a model, the same in every command that builds one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netspec.cli.output import note

if TYPE_CHECKING:
    from netspec.spec import Spec

WeightsOption = Annotated[
    str | None,
    typer.Option("--weights", metavar="FILE", show_default=False, help="A .safetensors file of trained weights."),
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="GLOB", help="Of --weights load what matches: 'layer[1-4].*'. Repeatable."),
]
SkipOption = Annotated[
    list[str] | None,
    typer.Option("--skip", metavar="GLOB", help="Of --weights leave out what matches: fc. Repeatable."),
]
NonfiniteOption = Annotated[
    bool, typer.Option("--allow-nonfinite", help="Take weights with NaN or infinities, which are refused otherwise.")
]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", help="Of the initial weights.")]


def chosen_weights(
    spec: Spec,
    weights: str | None,
    only: Sequence[str] | None,
    skip: Sequence[str] | None,
    seed: int = 0,
    allow_nonfinite: bool = False,
) -> dict[str, Any] | None:
    """The weights of --weights, whole, None without it; what --only and --skip leave out goes to standard error.

    Raises NetspecError.
    """
    import netspec
    from netspec.errors import NetspecError

    if weights is None:
        if only or skip or allow_nonfinite:
            raise NetspecError("--only, --skip and --allow-nonfinite say how to read --weights: give that too")
        return None
    loaded = netspec.load_weights(spec, weights, only, skip, seed, allow_nonfinite)
    if only or skip:
        note(str(loaded))
    return loaded.arrays
