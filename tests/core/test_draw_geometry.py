"""Pictures are legible: nothing overlaps, no edge runs through a box or a word, every text stays in its box."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.draw.columns import ordered_least_squares
from netspec.draw.layers import Bend, arrange
from netspec.draw.picture import Line, Picture, Placed, picture
from netspec.draw.svg import svg
from netspec.draw.text import shortened, text_width, wrapped
from netspec.graph.graph import Graph
from tests.core.drawn_specs import DRAWN, graph

Point = tuple[float, float]
CASES = [(name, depth) for name in DRAWN for depth in (None, 1, 2, 9)]


@pytest.mark.parametrize(("name", "depth"), CASES)
def test_nothing_overlaps(name: str, depth: int | None) -> None:
    check_geometry(picture(DRAWN[name](), depth))


@st.composite
def random_graphs(draw: st.DrawFn) -> Graph:
    """Layers that read one or more earlier ones, in groups of up to two levels, some of which come again."""
    count = draw(st.integers(1, 14))
    values, lines = ["image"], []
    for number in range(count):
        read = draw(st.lists(st.integers(0, len(values) - 1), min_size=1, max_size=3, unique=True))
        group = draw(st.sampled_from(["", "a.", "b.", "a.x.", "a.y.", "a_group_with_a_long_name."]))
        kind = "type: relu" if len(read) == 1 else "type: add"
        name = f"{group}{draw(st.sampled_from(['relu', 'long_name_of_a_layer_', 'n']))}{number}"
        lines.append(f"name: {name}, {kind}, from: [{', '.join(values[at] for at in read)}]")
        values.append(name)
    outputs = draw(st.lists(st.integers(1, count), min_size=1, max_size=3, unique=True))
    named = ", ".join(f"out{at}: {values[at]}" for at in outputs)
    return graph(lines, outputs=f"outputs: {{{named}}}\n")


@given(random_graphs(), st.integers(1, 4))
@settings(max_examples=50)
def test_nothing_overlaps_in_random_graphs(drawn: Graph, depth: int) -> None:
    check_geometry(picture(drawn, depth))


def check_geometry(drawn: Picture) -> None:
    boxes = [shape for shape in drawn.shapes if shape.box and shape.box.kind != "frame"]
    frames = [shape for shape in drawn.shapes if shape.box and shape.box.kind == "frame"]
    labels = [shape for shape in drawn.shapes if not shape.box]
    for one, other in itertools.combinations([*boxes, *labels], 2):
        assert apart(one, other), (one, other)
    for frame in frames:
        assert frame.box is not None
        heads = [Placed(frame.x + 10, frame.y + 4, frame.box.head_width, 18)]
        aside = frame.box.aside_width
        heads += [Placed(frame.x + frame.width - 10 - aside, frame.y + 4, aside, 18)] if aside else []
        assert apart(heads[0], heads[-1]) or len(heads) == 1
        for shape in (*boxes, *labels):
            assert apart(frame, shape) or inside(shape, frame), (frame, shape)
            assert all(apart(head, shape) for head in heads)
        for other in frames:
            assert other is frame or apart(frame, other) or inside(frame, other) or inside(other, frame)
        for line in drawn.lines:
            assert not any(within(point, head, 1) for point in points(line) for head in heads), (frame, line)
    assert all(label.height >= 12 for label in labels)  # a line of text
    for shape in drawn.shapes:
        assert shape.x >= -0.1 and shape.y >= 0
        assert shape.x + shape.width <= drawn.width + 0.1 and shape.y + shape.height <= drawn.height + 0.1
    for line in drawn.lines:
        ends = line.points[0], line.points[-1]
        assert all(0 <= y <= drawn.height + 0.1 for _, y in line.points)
        for box in boxes:
            assert not any(within(point, box, -0.2) for point in points(line)), (line, box)
        if line.arrow:
            assert sum(touches(ends[1], box, box.y) for box in boxes) == 1, line
        for label in labels:
            # An edge passes straight through the label of what it carries, and through no other.
            crossing = [point for point in points(line) if within(point, label, 0.5)]
            assert not crossing or {x for x, _ in crossing} == {ends[0][0]}
            assert not crossing or abs(label.x + label.width / 2 - ends[0][0]) < 0.2


def apart(a: Placed, b: Placed) -> bool:
    return a.x + a.width <= b.x or b.x + b.width <= a.x or a.y + a.height <= b.y or b.y + b.height <= a.y


def inside(a: Placed, b: Placed) -> bool:
    across = b.x <= a.x and a.x + a.width <= b.x + b.width
    return across and b.y <= a.y and a.y + a.height <= b.y + b.height


def within(point: Point, shape: Placed, margin: float) -> bool:
    """Whether a point is in a shape, or nearer to it than `margin`."""
    x, y = point
    across = shape.x - margin < x < shape.x + shape.width + margin
    return across and shape.y - margin < y < shape.y + shape.height + margin


def touches(point: Point, box: Placed, y: float) -> bool:
    return box.x <= point[0] <= box.x + box.width and abs(point[1] - y) < 0.2


def points(line: Line) -> Iterator[Point]:
    """Points along a line, as the SVG draws it."""
    for (x, y), (end, below) in itertools.pairwise(line.points):
        for step in range(21):
            t = step / 20
            aside = 3 * t * t - 2 * t**3  # a cubic with both handles at half height
            yield x + (end - x) * aside, y + (below - y) * (1.5 * t * (1 - t) + t**3 if x != end else t)


@pytest.mark.parametrize("name", DRAWN)
def test_texts_stay_in_their_boxes(name: str) -> None:
    root = ElementTree.fromstring(svg(DRAWN[name](), 3))
    space = "{http://www.w3.org/2000/svg}"
    found = 0
    for group in root.iter(f"{space}g"):
        rects = [child for child in group if child.tag == f"{space}rect"]
        texts = [child for child in group if child.tag == f"{space}text"]
        if group.get("transform") or not rects or not texts:
            continue
        box = rects[-1]
        x, y = float(box.attrib["x"]), float(box.attrib["y"])
        right, bottom = x + float(box.attrib["width"]), y + float(box.attrib["height"])
        for text in texts:
            width = text_width(text.text or "", float(text.get("font-size", 10.5)), text.get("font-weight") == "bold")
            left = float(text.attrib["x"]) - (width / 2 if text.get("text-anchor") else 0)
            assert x + 5 <= left and left + width <= right - 5, (text.text, box.attrib)
            assert y + 8 <= float(text.attrib["y"]) <= bottom - 4
            found += 1
    assert found >= 3


# The parts.


@given(
    st.lists(st.tuples(st.floats(-99, 99), st.floats(0.1, 9), st.floats(0.1, 9)), min_size=1, max_size=9),
)
def test_places_keep_their_distances_and_are_the_nearest(cells: list[tuple[float, float, float]]) -> None:
    wishes, weights, apart = [list(column) for column in zip(*cells, strict=True)]
    found = ordered_least_squares(wishes, weights, apart[:-1])
    gaps = [right - left for left, right in itertools.pairwise(found)]
    assert all(gap >= least - 1e-9 for gap, least in zip(gaps, apart, strict=False))

    def cost(places: list[float]) -> float:
        return sum(w * (at - wish) ** 2 for at, wish, w in zip(places, wishes, weights, strict=True))

    # Convex: no move of some cells together that keeps the distances may be better.
    for begin, end in itertools.combinations(range(len(found) + 1), 2):
        for step in (-1e-3, 1e-3):
            moved = [at + step if begin <= place < end else at for place, at in enumerate(found)]
            kept = all(b - a >= least - 1e-12 for (a, b), least in zip(itertools.pairwise(moved), apart, strict=False))
            assert not kept or cost(moved) >= cost(found) - 1e-9


def test_rows_are_longest_paths_and_bends_are_shared() -> None:
    edges = [("a", "A", "b"), ("b", "B", "c"), ("a", "A", "c"), ("a", "A", "d"), ("c", "C", "d"), ("e", "E", "d")]
    rows = arrange(["a", "b", "e", "c", "d"], edges, [], [])
    found = [{key for key in row if not isinstance(key, Bend)} for row in rows.rows]
    assert found == [{"a"}, {"b"}, {"c", "e"}, {"d"}]  # e stands just above its reader
    bends = [key for row in rows.rows for key in row if isinstance(key, Bend)]
    assert sorted((bend.tensor, bend.row) for bend in bends) == [("A", 1), ("A", 2)]


def test_crossings_are_undone() -> None:
    edges = [("a", "A", "y"), ("b", "B", "x"), ("c", "C", "w")]
    rows = arrange(["a", "b", "c", "w", "x", "y"], edges, [], []).rows
    assert rows == [["a", "b", "c"], ["y", "x", "w"]]


def test_ports_stand_alone_in_the_first_and_the_last_row() -> None:
    rows = arrange(["in", "a", "b", "out"], [("in", 1, "b"), ("b", 2, "out"), ("a", 3, "b")], ["in"], ["out"]).rows
    assert rows == [["in"], ["a", Bend(1, 1)], ["b"], ["out"]]


def test_widths_are_those_of_the_font() -> None:
    assert text_width("iW", 1000) == 278 + 989
    assert text_width("iW", 1000, bold=True) == 343 + 1103
    assert text_width("漢", 10) == 10


def test_long_texts_are_cut() -> None:
    assert shortened("abc", 10, 100) == "abc"
    cut = shortened("x" * 100, 10, 100)
    assert cut.endswith("…") and text_width(cut, 10) <= 100 < text_width(cut + "x", 10)
    lines = wrapped([f"field {number}" for number in range(30)], 10, 150, 3)
    assert len(lines) == 3 and lines[0] == "field 0, field 1, field 2, field 3," and lines[-1].endswith("…")
    assert wrapped(["a", "b"], 10, 150, 3) == ["a, b"]
    assert all(re.fullmatch(r"field \d+, .*[,…]", line) for line in lines)
