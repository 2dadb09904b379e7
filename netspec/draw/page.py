"""A model as a piece of HTML for notebooks: its picture, and a table of its layers."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from netspec.analysis.costs import count_costs
from netspec.analysis.counts import count_by_layer, count_params
from netspec.draw.outline import count_boxes, outline
from netspec.draw.picture import legible_depth
from netspec.draw.svg import svg
from netspec.errors import printable
from netspec.graph.dims import Size, format_shape
from netspec.graph.graph import Graph

COLUMNS = ("layer", "type", "output shape", "parameters", "MACs", "FLOPs")
# The page of a notebook holds it whole, and a longer one is read in a terminal.
MAX_ROWS, MAX_BOXES = 1000, 300


def page(graph: Graph) -> str:
    """The table of `netspec summary` and the picture of `netspec plot`, for one sample; every text is escaped."""
    return f'<div><div style="overflow-x: auto">{_picture(graph)}</div>{_table(graph)}</div>'


def _picture(graph: Graph) -> str:
    folded = outline(graph)
    boxes = count_boxes(folded.items, legible_depth(folded))
    if boxes > MAX_BOXES:
        return f"<p>A picture of {boxes:,} boxes is too large for a page: netspec plot writes it to a file.</p>"
    return svg(graph)


def _table(graph: Graph) -> str:
    costs, counted = count_costs(graph), count_params(graph)
    rows = [
        _row("td", (held.path, held.type, format_shape(row.output_shape)), (held.params, row.cost.macs, row.cost.flops))
        for held, row in zip(count_by_layer(graph)[:MAX_ROWS], costs.rows, strict=False)
    ]
    left = len(costs.rows) - len(rows)
    if left > 0:
        rows.append(f'<tr><td colspan="{len(COLUMNS)}">and {left:,} more layers</td></tr>')
    total = _row("th", ("total", "", ""), (counted.total, costs.total.macs, costs.total.flops))
    titles = "".join(f'<th style="text-align: left">{title}</th>' for title in COLUMNS)
    summary = f"{escape(printable(graph.name))}: {len(costs.rows):,} layers, {counted.total:,} parameters"
    table = f"<table><thead><tr>{titles}</tr></thead><tbody>{''.join(rows)}</tbody><tfoot>{total}</tfoot></table>"
    return f"<details><summary>{summary}; inference of one sample</summary>{table}</details>"


def _row(cell: str, words: Iterable[str], numbers: Iterable[Size]) -> str:
    cells = [f'<{cell} style="text-align: left">{escape(printable(word))}</{cell}>' for word in words]
    cells += [
        f'<{cell} style="text-align: right">{f"{n:,}" if isinstance(n, int) else escape(str(n))}</{cell}>'
        for n in numbers
    ]
    return f"<tr>{''.join(cells)}</tr>"
