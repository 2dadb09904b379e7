"""`netspec zoo`: the specs that come with netspec, what they hold and cost, and their text."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from netspec.cli.options import FormatOption
from netspec.cli.output import emit, emit_json
from netspec.cli.table import Column, Table, number
from netspec.errors import NetspecError

if TYPE_CHECKING:
    from netspec.graph.dims import Size

UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}

_RANGE = re.compile(r"(?:(\d{1,12})([kMG]?))?\.\.(?:(\d{1,12})([kMG]?))?", re.ASCII)
_CLEAR_LINE = "\r\x1b[K"


class Row(NamedTuple):
    """One spec. `macs` is a polynomial where a size other than the batch's is symbolic."""

    name: str
    params: int
    macs: Size
    file: str
    description: str


class Range(NamedTuple):
    """Numbers from `low` up to `high`, both of them included; a polynomial is in the whole line alone."""

    low: int = 0
    high: float = float("inf")

    def __contains__(self, size: object) -> bool:
        return self.low <= size <= self.high if isinstance(size, int) else self == Range()


def list_zoo(
    params: Annotated[
        str, typer.Option("--params", metavar="RANGE", help="Only with so many parameters: ..12M, 1M.., 10k..20M.")
    ] = "..",
    macs: Annotated[
        str, typer.Option("--macs", metavar="RANGE", help="Only with so many multiply-adds for a sample: ..2G.")
    ] = "..",
    sort: Annotated[Literal["name", "params", "macs"], typer.Option("--sort", help="What to sort by.")] = "name",
    output_format: FormatOption = "table",
) -> None:
    """List the specs, with what they hold and cost.

    Parameters, and the multiply-adds (MACs) of one sample. A RANGE includes both its ends. MACs that depend on an
    open dimension, such as the time, are in none but `..`.
    """
    in_params, in_macs = parse_range("--params", params), parse_range("--macs", macs)
    rows = [row for row in _rows() if row.params in in_params and row.macs in in_macs]
    rows.sort(key=lambda row: (_place(getattr(row, sort)), row.name))
    if output_format == "json":
        emit_json([row._asdict() | {"macs": row.macs if isinstance(row.macs, int) else str(row.macs)} for row in rows])
        return
    columns = (Column("name"), Column("parameters", number=True), Column("MACs", number=True), Column("description"))
    emit(str(Table(columns, [(row.name, number(row.params), number(row.macs), row.description) for row in rows])))


def show_zoo(
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False, help="As `netspec zoo list` has it.")],
    path: Annotated[bool, typer.Option("--path", help="Say where the file is instead.")] = False,
) -> None:
    """Print a spec, to read or to begin with.

    Its text as it is, comments and all.
    """
    from pathlib import Path

    from netspec.language.zoo import zoo_file

    file = zoo_file(name)
    emit(f"{file}\n" if path else Path(file).read_text(encoding="utf-8"))


def parse_range(option: str, text: str) -> Range:
    """`..12M`, `1M..`, `10k..20M`, `..`. Raises NetspecError."""
    match = _RANGE.fullmatch(text)
    if match is None:
        raise NetspecError(f"{option}: expected a range such as ..12M, 1M.. or 10k..20M, got {text!r}")
    low, low_unit, high, high_unit = match.groups()
    found = Range(int(low or 0) * UNITS[low_unit or ""], int(high) * UNITS[high_unit] if high else float("inf"))
    if found.low > found.high:
        raise NetspecError(f"{option} {text}: no number is in this range")
    return found


def _rows() -> Iterator[Row]:
    """All specs, by name; on a terminal with a line that says which one is being read."""
    from netspec.analysis.costs import count_costs
    from netspec.analysis.counts import count_params
    from netspec.language.zoo import zoo_file, zoo_names
    from netspec.spec import load

    for name in _progress(list(zoo_names())):
        file = zoo_file(name)
        spec = load(file)
        macs = count_costs(spec.inference).total.macs
        yield Row(name, count_params(spec.inference).total, macs, file, spec.description)


def _progress(names: list[str]) -> Iterator[str]:
    if sys.stderr is None or not sys.stderr.isatty():
        yield from names
        return
    for position, name in enumerate(names):
        print(f"{_CLEAR_LINE}{position + 1}/{len(names)} {name}", end="", file=sys.stderr, flush=True)  # noqa: T201
        yield name
    print(_CLEAR_LINE, end="", file=sys.stderr, flush=True)  # noqa: T201


def _place(value: str | Size) -> tuple[int, str | int]:
    """Where a value is sorted: numbers by size, names by letters, polynomials behind all numbers."""
    return (0, value) if isinstance(value, int | str) else (1, str(value))
