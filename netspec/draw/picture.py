"""A graph as placed shapes: each open group is laid out on its own and stands as one cell in the layout around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from netspec.draw.boxes import BODY, PADDING, Box, Boxes, input_box, output_box, shape_text
from netspec.draw.columns import Ports, place
from netspec.draw.layers import Edge, Key, Rows, arrange
from netspec.draw.outline import Group, Item, Leaf, Outline, count_boxes, deepest, outline, shown
from netspec.draw.text import text_width
from netspec.graph.flow import Source
from netspec.graph.graph import Graph

# A picture that is no larger is read at a glance or two.
LEGIBLE = 60

GAP = 22.0  # between neighbours in a row
LABEL = 17.0  # the height of a shape below its box
ROUTE = 22.0  # between a row and the next, for the edges
STEEP = 0.06  # and more of it by how far an edge leads aside
HEAD = 26.0  # the first line of a frame
MARGIN = 14.0  # inside a frame, at each side
CLEAR = 10.0  # between the words at the top of a frame and the edges
STACK = 5.0  # by how much copies look out behind a box


@dataclass(frozen=True)
class Placed:
    """A box, a frame or (`text`) a label with its upper left corner. `level` counts the frames around it."""

    x: float
    y: float
    width: float
    height: float
    box: Box | None = None
    text: str = ""
    level: int = 0


@dataclass(frozen=True)
class Line:
    """An edge from row to row: down through `points`, curved between the second and the third of each four."""

    points: tuple[tuple[float, float], ...]
    arrow: bool


@dataclass
class Picture:
    """Shapes in a rectangle from (0, 0); `tops` and `bottoms` are where tensors come in and go out."""

    width: float = 0.0
    height: float = 0.0
    shapes: list[Placed] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    tops: dict[Source, float] = field(default_factory=dict)
    bottoms: dict[Source, float] = field(default_factory=dict)

    def add(self, other: Picture, x: float, y: float) -> None:
        """Put another picture into this one at (x, y)."""
        self.shapes += [replace(shape, x=shape.x + x, y=shape.y + y) for shape in other.shapes]
        self.lines += [
            replace(line, points=tuple((at + x, down + y) for at, down in line.points)) for line in other.lines
        ]


def picture(graph: Graph, depth: int | None = None) -> Picture:
    """Lay out a graph with groups open to `depth` (1 opens none); without it as deep as stays legible.

    Raises NetspecError where the picture would be far too large.
    """
    folded = outline(graph)
    return _Painter(folded).whole(legible_depth(folded) if depth is None else depth)


def legible_depth(folded: Outline) -> int:
    """The largest depth at which there are at most LEGIBLE boxes, 1 at least."""
    deep = deepest(folded.items)
    return next((d for d in range(deep, 1, -1) if count_boxes(folded.items, d) <= LEGIBLE), 1)


@dataclass(eq=False)
class _Cell:
    """What the layout of one level places: a picture, the shapes that stand below it, its ports from the centre."""

    picture: Picture
    labels: Mapping[Source, str] = field(default_factory=dict)
    tops: Mapping[Source, float] | None = None  # None: spread where the edges come from
    bottoms: Mapping[Source, float] = field(default_factory=dict)
    arrow: bool = False

    @property
    def width(self) -> float:
        labels = sum(text_width(label, BODY) + 12 for label in self.labels.values())
        return max(self.picture.width, labels)

    @property
    def height(self) -> float:
        return self.picture.height + (LABEL if self.labels else 0)


class _Painter:
    def __init__(self, folded: Outline) -> None:
        self.outline = folded
        self.boxes = Boxes(folded)
        self.numbers = frozenset(number for item in folded.items for number in shown(item))
        self.readers: dict[Source, list[int]] = {}
        for number in sorted(self.numbers):
            for source in folded.reads[number]:
                self.readers.setdefault(source, []).append(number)

    def whole(self, depth: int) -> Picture:
        """The picture of the graph: its inputs and outputs are boxes of their own."""
        graph = self.outline.graph
        items = self.outline.items
        cells: dict[Key, _Cell] = {}
        for position, entry in enumerate(graph.inputs):
            source = (-1 - position, 0)
            cells["in", source] = self._box_cell(input_box(entry.name), [source], 0)
        edges = self._children(cells, items, depth, "", 0)
        owner = {number: key for key, item in enumerate(items) for number in shown(item)}
        for output, source in zip(graph.outputs, self.outline.outputs, strict=True):
            cells["out", output.name] = self._box_cell(output_box(output.name), [], 0)
            edges.append((owner.get(source[0], ("in", source)), source, ("out", output.name)))
        return _lay_out(cells, edges, [], [], 0)

    def _children(
        self, cells: dict[Key, _Cell], items: Sequence[Item], depth: int, parent: str, level: int
    ) -> list[Edge]:
        """A cell for each item, and the edges among them and from the entries of the level."""
        owner = {number: key for key, item in enumerate(items) for number in shown(item)}
        edges: dict[Edge, None] = {}
        for key, item in enumerate(items):
            cells[key] = self._cell(item, depth, parent, level)
            for number in shown(item):
                for source in self.outline.reads[number]:
                    if owner.get(source[0]) != key:
                        edges[owner.get(source[0], ("in", source)), source, key] = None
        return list(edges)

    def _cell(self, item: Item, depth: int, parent: str, level: int) -> _Cell:
        if isinstance(item, Leaf) or depth <= 1:
            return self._box_cell(self.boxes.box(item, parent), self._exits(item), level)
        return self._frame_cell(item, depth, parent, level)

    def _exits(self, item: Item) -> list[Source]:
        """What an item makes that others, or the graph's outputs, read."""
        inside = frozenset(shown(item))
        outputs = set(self.outline.outputs)
        return [
            (number, port)
            for number in sorted(inside)
            for port in range(len(self.outline.graph.nodes[number].outputs))
            if (number, port) in outputs or any(at not in inside for at in self.readers.get((number, port), ()))
        ]

    def _box_cell(self, box: Box, made: Sequence[Source], level: int) -> _Cell:
        labels = {source: shape_text(self.outline.value(source)) for source in made}
        widths = [text_width(label, BODY) + 12 for label in labels.values()]
        # Of several results each leaves the box above its own label.
        width = max(box.width, sum(widths)) if len(widths) > 1 else box.width
        drawn = Picture(width, box.height, [Placed(0, 0, width, box.height, box, level=level)])
        if box.copies > 1:
            drawn.width += 2 * STACK  # on both sides, so that the box stays in the middle
            drawn.height += STACK
            drawn.shapes = [replace(drawn.shapes[0], x=STACK)]
        at = -sum(widths) / 2
        bottoms: dict[Source, float] = {}
        for source, width in zip(labels, widths, strict=True):
            bottoms[source] = at + width / 2
            at += width
        return _Cell(drawn, labels, None, bottoms, arrow=True)

    def _frame_cell(self, item: Group, depth: int, parent: str, level: int) -> _Cell:
        cells: dict[Key, _Cell] = {}
        name = item.name if item.copies == 1 else ""
        edges = self._children(cells, item.items, depth - 1, name, level + 1)
        owner = {number: key for key, inner in enumerate(item.items) for number in shown(inner)}
        read = [source for number in owner for source in self.outline.reads[number]]
        entries = list(dict.fromkeys(source for source in read if source[0] not in owner))
        exits = self._exits(item)
        point = _Cell(Picture())
        cells = {("in", source): point for source in entries} | cells | {("out", source): point for source in exits}
        edges += [(owner[source[0]], source, ("out", source)) for source in exits]
        top, bottom = [("in", source) for source in entries], [("out", source) for source in exits]
        inner = _lay_out(cells, edges, top, bottom, level + 1)
        return _framed(inner, self.boxes.frame(item, parent), level)


def _framed(inner: Picture, head: Box, level: int) -> _Cell:
    """A frame around a picture, wide enough that the edges come in between its title and the words at its right."""
    first, last = min(inner.tops.values(), default=inner.width), max(inner.tops.values(), default=inner.width)
    right = head.aside_width + PADDING + CLEAR - (inner.width - last)
    side = max(MARGIN, head.head_width + PADDING + CLEAR - first, right)
    width, height = inner.width + 2 * side, inner.height + HEAD
    drawn = Picture(width, height, [Placed(0, 0, width, height, head, level=level)])
    if head.copies > 1:
        drawn.height += STACK
    drawn.add(inner, side, HEAD)
    for x in inner.tops.values():
        drawn.lines.append(Line(((side + x, 0.0), (side + x, HEAD)), arrow=False))
    for x in inner.bottoms.values():
        drawn.lines.append(Line(((side + x, height), (side + x, drawn.height)), arrow=False))
    tops = {source: x - inner.width / 2 for source, x in inner.tops.items()}
    bottoms = {source: x - inner.width / 2 for source, x in inner.bottoms.items()}
    return _Cell(drawn, tops=tops, bottoms=bottoms)


def _lay_out(
    cells: Mapping[Key, _Cell],
    edges: Sequence[Edge],
    top: Sequence[tuple[str, Source]],
    bottom: Sequence[tuple[str, Source]],
    level: int,
) -> Picture:
    """Place cells in rows and draw the edges. The cells in `top` and `bottom` are the ports of the result."""
    rows = arrange(list(cells), edges, top, bottom)
    tops: dict[tuple[Key, Key], float] = {
        (key, source): at for key, cell in cells.items() for source, at in (cell.tops or {}).items()
    }
    bottoms: Ports = {(key, source): at for key, cell in cells.items() for source, at in cell.bottoms.items()}
    width = {key: cells[key].width if key in cells else 6.0 for row in rows.rows for key in row}
    x = place(rows, width, tops, bottoms, GAP)
    left = min((x[key] - width[key] / 2 for key in x), default=0.0)
    x = {key: round(at - left, 1) for key, at in x.items()}
    drawn = Picture(max((x[key] + width[key] / 2 for key in x), default=0.0))
    tops |= _spread(rows, cells, x, bottoms)
    y = _heights(rows, cells, x, tops, bottoms)
    drawn.height = y[-1][1] if y else 0.0
    middle: dict[Key, tuple[float, float]] = {}  # of each cell: the upper and the lower end of what edges meet
    for row, (begin, end) in zip(rows.rows, y, strict=True):
        for key in row:
            cell = cells.get(key)
            if cell is None:
                middle[key] = (begin, end)
                continue
            up = begin + (end - begin - cell.height) / 2
            drawn.add(cell.picture, x[key] - cell.picture.width / 2, up)
            drawn.shapes += _labels(cell, x[key], up + cell.picture.height, level)
            middle[key] = (up, up + cell.picture.height)
    drawn.lines += _lines(rows, cells, x, middle, y, tops, bottoms)
    drawn.tops = {key[1]: x[key] for key in top}
    drawn.bottoms = {key[1]: x[key] for key in bottom}
    return drawn


def _labels(cell: _Cell, x: float, y: float, level: int) -> Iterator[Placed]:
    for source, text in cell.labels.items():
        width = text_width(text, BODY) + 6
        yield Placed(x + cell.bottoms[source] - width / 2, y + 3, width, LABEL - 4, text=text, level=level)


def _spread(
    rows: Rows, cells: Mapping[Key, _Cell], x: Mapping[Key, float], bottoms: Ports
) -> dict[tuple[Key, Key], float]:
    """Where the edges into each box end, side by side in the order in which they come."""
    into: dict[Key, list[tuple[float, Key]]] = {}
    for upper, tensor, lower in rows.segments:
        if lower in cells and cells[lower].tops is None:
            into.setdefault(lower, []).append((x[upper] + bottoms.get((upper, tensor), 0.0), tensor))
    found: dict[tuple[Key, Key], float] = {}
    for key, ends in into.items():
        step = min(18.0, cells[key].picture.width / (len(ends) + 1))
        for position, (_, tensor) in enumerate(sorted(ends, key=lambda end: end[0])):
            found[key, tensor] = (position - (len(ends) - 1) / 2) * step
    return found


def _heights(
    rows: Rows,
    cells: Mapping[Key, _Cell],
    x: Mapping[Key, float],
    tops: Ports,
    bottoms: Ports,
) -> list[tuple[float, float]]:
    """The upper and the lower end of each row; the gap grows with how far its edges lead aside."""
    number = {key: position for position, row in enumerate(rows.rows) for key in row}
    aside = [0.0] * len(rows.rows)
    for upper, tensor, lower in rows.segments:
        start, end = x[upper] + bottoms.get((upper, tensor), 0.0), x[lower] + tops.get((lower, tensor), 0.0)
        aside[number[lower]] = max(aside[number[lower]], abs(end - start))
    found: list[tuple[float, float]] = []
    y = 0.0
    for position, row in enumerate(rows.rows):
        y += ROUTE + min(STEEP * aside[position], 2 * ROUTE) if position else 0.0
        height = max(cells[key].height if key in cells else 0.0 for key in row)
        found.append((round(y, 1), round(y + height, 1)))
        y = found[-1][1]
    return found


def _lines(
    rows: Rows,
    cells: Mapping[Key, _Cell],
    x: Mapping[Key, float],
    middle: Mapping[Key, tuple[float, float]],
    y: Sequence[tuple[float, float]],
    tops: Ports,
    bottoms: Ports,
) -> Iterator[Line]:
    """Each segment: straight down out of its row, curved to the next, straight down to where it ends."""
    below = {
        key: (upper[1], lower[0]) for (upper, lower), row in zip(pairwise(y), rows.rows, strict=False) for key in row
    }
    for upper, tensor, lower in rows.segments:
        start, end = x[upper] + bottoms.get((upper, tensor), 0.0), x[lower] + tops.get((lower, tensor), 0.0)
        begin = middle[upper][1] if upper in cells else middle[upper][0]
        points = ((start, begin), (start, below[upper][0]), (end, below[upper][1]), (end, middle[lower][0]))
        yield Line(points, arrow=lower in cells and cells[lower].arrow)
