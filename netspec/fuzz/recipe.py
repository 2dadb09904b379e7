"""What the table of recipes says of one layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from netspec.fuzz.draft import Held
from netspec.fuzz.fields import SIZES, Context, Maker

ANY_RANK = (1, 2, 3, 4, 5)
Partner = Callable[[Context], Held]


@dataclass(frozen=True)
class Recipe:
    """How entries of one layer type are made.

    `ranks` and `dtypes` are those of the first input; `strict` says that a dtype that is not among them is refused, and
    `strict_rank` the same of ranks, which negative twins rely on. `fields` draws fields for which neither name nor type
    tell enough. `inputs` gives further inputs by name, the optional ones among them half the time; a required one
    without a row is of the first one's type. `several` gives the inputs behind the first of a layer that takes any
    number. `source` gives the first input of a layer that does not take every value. `domain` says where the layer is
    steady: its input is mapped there first. `main` is the port that is read on, of a layer
    with several outputs of equal rank. `extra` are keys of the entry beside the fields. `channels` are the sizes that
    dimension 1 of a new input has.
    """

    ranks: tuple[int, ...] = ANY_RANK
    dtypes: tuple[str, ...] = ("float",)
    strict: bool = False
    strict_rank: bool = False
    fields: Mapping[str, Maker] = field(default_factory=dict)
    inputs: Mapping[str, Partner] = field(default_factory=dict)
    several: Callable[[Context], list[Held]] | None = None
    source: Partner | None = None
    domain: Literal["any", "positive", "bounded"] = "any"
    main: str = ""
    extra: Callable[[Context], dict[str, Any]] | None = None
    channels: tuple[int, ...] = SIZES
