"""Tables: as wide as they are where a program or a file reads them, fitted and styled on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from netspec.graph.dims import Size


@dataclass(frozen=True)
class Column:
    """A column's title; numbers stand at its right."""

    title: str
    number: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells under titles, and below a rule the totals."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    total: Sequence[str] = ()

    def __str__(self) -> str:
        """The table for the present standard output, with its last line ended."""
        return _styled(self) if sys.stdout is not None and sys.stdout.isatty() else plain(self)


def number(value: Size) -> str:
    """`61,706`, or a polynomial as it is."""
    return f"{value:,}" if isinstance(value, int) else str(value)


def plain(table: Table) -> str:
    """Columns of text, two spaces apart, never cut."""
    lines = [[column.title for column in table.columns], *table.rows, *([table.total] if table.total else [])]
    widths = [max(len(line[position]) for line in lines) for position in range(len(table.columns))]
    rule = "  ".join("-" * width for width in widths)
    text = [_line(table, line, widths) for line in lines]
    text.insert(1, rule)
    if table.total:
        text.insert(-1, rule)
    return "".join(line + "\n" for line in text)


def _line(table: Table, cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if column.number else cell.ljust(width)
        for column, cell, width in zip(table.columns, cells, widths, strict=True)
    ]
    return "  ".join(padded).rstrip()


def _styled(table: Table) -> str:
    # 60 ms, which a table in a pipe does not cost.
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(
        box=box.SIMPLE, show_edge=False, pad_edge=False, collapse_padding=True, show_footer=bool(table.total)
    )
    for position, column in enumerate(table.columns):
        footer = Text(table.total[position]) if table.total else ""
        drawn.add_column(column.title, footer, justify="right" if column.number else "left", overflow="fold")
    for row in table.rows:
        drawn.add_row(*map(Text, row))
    console = Console(file=sys.stdout)
    with console.capture() as captured:
        console.print(drawn)
    return captured.get()
