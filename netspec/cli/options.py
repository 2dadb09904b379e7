"""The options that several commands share, and what is made of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from netspec.errors import LanguageError, Location, NetspecError

if TYPE_CHECKING:
    from netspec.language.document import Node
    from netspec.spec import Spec

Format = Literal["table", "json"]

SpecOption = Annotated[
    str,
    typer.Argument(metavar="SPEC", show_default=False, help="A spec in YAML or JSON, or a name of the zoo: resnet50."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="Give a param of the spec a YAML value: --set widths=[8,16]. Repeatable."
    ),
]
FreezeOption = Annotated[
    list[str] | None,
    typer.Option("--freeze", metavar="GLOB", help="Freeze the paths that match; ! thaws: '!fc'. Repeatable."),
]
DimOption = Annotated[
    list[str] | None,
    typer.Option(
        "--dim", "--size", metavar="NAME=N", help="The size of a symbolic dimension: --dim time=128. Repeatable."
    ),
]
MaxBytesOption = Annotated[
    int | None,
    typer.Option("--max-bytes", metavar="N", show_default=False, help="Memory to take. Default: what is free."),
]
FormatOption = Annotated[Format, typer.Option("--format", help="A table for people, or JSON for programs.")]


def load(spec: str, assignments: Sequence[str] | None, freeze: Sequence[str] | None) -> Spec:
    """Read and check a spec; its warnings go to standard error. Raises NetspecError."""
    from netspec.cli.output import warn
    from netspec.spec import load as load_spec

    loaded = load_spec(spec, parse_params(assignments or ()), freeze)
    warn(loaded.warnings)
    return loaded


def parse_params(assignments: Iterable[str]) -> dict[str, Node]:
    """Values by name of `--set NAME=VALUE`, each a node of YAML. Raises NetspecError."""
    return {name: _param(name, value) for name, value in pairs("--set", assignments, "NAME=VALUE")}


def _param(name: str, text: str) -> Node:
    """One value, which messages call `--set NAME`: lines and columns of so short a text say nothing."""
    from netspec.language.reader import read_value
    from netspec.language.scope import node_of

    option = Location(f"--set {name}", 0, 0)
    try:
        return node_of(read_value(text, option.file).plain(), option)
    except NetspecError as error:
        raise LanguageError(mistake._replace(location=option) for mistake in error.mistakes) from None


def parse_dims(assignments: Iterable[str]) -> dict[str, int]:
    """Sizes by symbol of `--dim NAME=N`. Raises NetspecError."""
    dims: dict[str, int] = {}
    for name, value in pairs("--dim", assignments, "NAME=N"):
        if not re.fullmatch("0*[1-9][0-9]{0,9}", value, re.ASCII):
            raise NetspecError(f"--dim {name}: expected a positive integer, got {value!r}")
        dims[name] = int(value)
    return dims


def pairs(option: str, assignments: Iterable[str], form: str) -> Iterable[tuple[str, str]]:
    """The two sides of each `NAME=VALUE` of a repeatable option. Raises NetspecError."""
    seen: set[str] = set()
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not name or not equals:
            raise NetspecError(f"{option}: expected {form}, got {assignment!r}")
        if name in seen:
            raise NetspecError(f"{option} {name} is given twice")
        seen.add(name)
        yield name, value
