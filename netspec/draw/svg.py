"""A picture as SVG: plain shapes and texts with their attributes in place, so that it stands in any page."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from netspec.draw.boxes import BETWEEN, BODY, LINE_HEIGHT, MARK, PADDING, TITLE, TITLE_HEIGHT, Box
from netspec.draw.picture import HEAD, STACK, Line, Placed, picture
from netspec.draw.text import FONTS, text_width
from netspec.errors import printable
from netspec.graph.graph import Graph

BORDER = 20.0
TOP = 56.0  # the name of the model, and what it holds

INK, GREY, EDGE = "#24292f", "#667079", "#8c96a0"
PAPER = ("#ffffff", "#f5f7f9", "#ffffff", "#f5f7f9")  # behind the levels of frames, in turn

# The file that a layer's class stands in, and what boxes of it are filled and drawn with.
COLOURS = {
    "input": ("#41586b", "#41586b"),
    "output": ("#41586b", "#41586b"),
    "group": ("#ffffff", "#7a858f"),
    "convolution": ("#dce8f4", "#7f9fc0"),
    "linear": ("#e2e3f6", "#9192c8"),
    "attention": ("#f7e0ea", "#c790ab"),
    "recurrent": ("#f9e4dc", "#cf9d88"),
    "normalization": ("#e1f0e3", "#8fb896"),
    "activation": ("#faf0d8", "#cdb06c"),
    "pooling": ("#ede4f3", "#ab93be"),
    "regularization": ("#efeeea", "#aba79b"),
}
OTHER = ("#eef0f2", "#9aa3ab")
FROZEN = ("#e3f0f5", "#4f95ab")


def svg(graph: Graph, depth: int | None = None) -> str:
    """A drawing of a graph with groups open to `depth`, as deep as stays legible without it; the same for each call.

    Every text of the spec is escaped. Raises NetspecError where the picture would be far too large.
    """
    drawn = picture(graph, depth)
    name, facts = printable(graph.name), _facts(graph)
    least = max(text_width(name, 16, bold=True), text_width(facts, BODY))
    width, height = max(drawn.width, least) + 2 * BORDER, drawn.height + TOP + BORDER
    left = (width - drawn.width) / 2
    size = f'width="{_n(width)}" height="{_n(height)}" viewBox="0 0 {_n(width)} {_n(height)}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{FONTS}" font-size="{BODY:g}" fill="{INK}">',
        f"<title>{escape(name)}</title>",
        f'<rect width="{_n(width)}" height="{_n(height)}" fill="{PAPER[0]}"/>',
        f'<text x="{_n(BORDER)}" y="28" font-size="16" font-weight="bold">{escape(name)}</text>',
        f'<text x="{_n(BORDER)}" y="44" fill="{GREY}">{escape(facts)}</text>',
        f'<g transform="translate({_n(left)} {_n(TOP)})">',
        *(text for shape in drawn.shapes if _is_frame(shape) for text in _frame(shape)),
        f'<g fill="none" stroke="{EDGE}" stroke-width="1.3">',
        *(f'<path d="{_path(line)}"/>' for line in drawn.lines),
        "</g>",
        f'<path fill="{EDGE}" d="{"".join(_arrow(line) for line in drawn.lines if line.arrow)}"/>',
        *(text for shape in drawn.shapes if not _is_frame(shape) for text in _shape(shape)),
        "</g>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _facts(graph: Graph) -> str:
    """What stands below the name: layers and parameters."""
    from netspec.analysis.counts import count_params

    counted = count_params(graph)
    frozen = f", {counted.frozen:,} of them frozen" if counted.frozen else ""
    return f"{len(graph.nodes):,} layers, {counted.total:,} parameters{frozen}"


def _is_frame(shape: Placed) -> bool:
    return shape.box is not None and shape.box.kind == "frame"


def _path(line: Line) -> str:
    """Straight, a curve that leaves and arrives straight, straight."""
    (x, y), *rest = line.points
    text = f"M{_n(x)} {_n(y)}"
    if len(rest) == 1 or rest[0][0] == rest[1][0]:
        return f"{text}V{_n(rest[-1][1])}"
    (_, upper), (end, lower), (_, finish) = rest
    half = (upper + lower) / 2
    return f"{text}V{_n(upper)}C{_n(x)} {_n(half)} {_n(end)} {_n(half)} {_n(end)} {_n(lower)}V{_n(finish)}"


def _arrow(line: Line) -> str:
    x, y = line.points[-1]
    return f"M{_n(x - 3.5)} {_n(y - 7)}L{_n(x)} {_n(y)}L{_n(x + 3.5)} {_n(y - 7)}Z"


def _frame(shape: Placed) -> Iterator[str]:
    box = shape.box
    assert box is not None
    fill, stroke = PAPER[(shape.level + 1) % len(PAPER)], FROZEN[1] if box.frozen else "#c6ced6"
    yield from _stack(shape, box, fill, stroke)
    yield _rect(shape, fill, stroke, 8, dashed=box.frozen)
    y = shape.y + HEAD / 2 + 5
    yield from _head(box, shape.x + PADDING, y)
    end = shape.x + shape.width - PADDING
    yield f'<text x="{_n(end)}" y="{_n(y)}" text-anchor="end" fill="{GREY}">{escape(box.aside)}</text>'


def _shape(shape: Placed) -> Iterator[str]:
    if shape.box is None:
        yield from _label(shape)
    elif shape.box.kind in ("input", "output"):
        yield from _end(shape, shape.box)
    else:
        yield from _box(shape, shape.box)


def _label(shape: Placed) -> Iterator[str]:
    """The shape of a tensor over the edge that carries it."""
    middle = shape.x + shape.width / 2
    yield _rect(shape, PAPER[shape.level % len(PAPER)], None, 3)
    place = f'x="{_n(middle)}" y="{_n(shape.y + 10.5)}"'
    yield f'<text {place} text-anchor="middle" fill="{GREY}">{escape(shape.text)}</text>'


def _end(shape: Placed, box: Box) -> Iterator[str]:
    """An input is round at both ends, an output pointed."""
    fill, stroke = COLOURS[box.kind]
    x, y, width, height = shape.x, shape.y, shape.width, shape.height
    yield f"<g><title>{escape(box.hint)}</title>"
    if box.kind == "input":
        yield _rect(shape, fill, stroke, height / 2)
    else:
        corners = [(x, y + height / 2), (x + 10, y), (x + width - 10, y)]
        corners += [(x + width, y + height / 2), (x + width - 10, y + height), (x + 10, y + height)]
        yield f'<path fill="{fill}" d="M{"L".join(f"{_n(a)} {_n(b)}" for a, b in corners)}Z"/>'
    yield (
        f'<text x="{_n(x + width / 2)}" y="{_n(y + height / 2 + 4.3)}" text-anchor="middle" font-size="{TITLE:g}" '
        f'font-weight="bold" fill="#ffffff">{escape(box.title)}</text></g>'
    )


def _box(shape: Placed, box: Box) -> Iterator[str]:
    fill, stroke = FROZEN if box.frozen else COLOURS.get(box.kind, OTHER)
    yield f"<g><title>{escape(box.hint)}</title>"
    yield from _stack(shape, box, fill, stroke)
    yield _rect(shape, fill, stroke, 5, dashed=box.frozen)
    left = shape.x + PADDING
    baseline = shape.y + PADDING + TITLE_HEIGHT - 9
    yield from _head(box, left, baseline)
    for position, line in enumerate(box.lines):
        y = baseline + LINE_HEIGHT * (position + 1)
        yield f'<text x="{_n(left)}" y="{_n(y)}">{escape(line)}</text>'
    yield "</g>"


def _stack(shape: Placed, box: Box, fill: str, stroke: str) -> Iterator[str]:
    """The edge of a second box behind the first, for copies."""
    if box.copies > 1:
        behind = Placed(shape.x + STACK, shape.y + STACK, shape.width, shape.height)
        yield _rect(behind, fill, stroke, 5)


def _head(box: Box, x: float, y: float) -> Iterator[str]:
    """Title, words behind it, number of copies, mark."""
    yield f'<text x="{_n(x)}" y="{_n(y)}" font-size="{TITLE:g}" font-weight="bold">{escape(box.title)}</text>'
    x += text_width(box.title, TITLE, bold=True) + BETWEEN
    if box.count:
        yield (
            f'<text x="{_n(x)}" y="{_n(y)}" font-size="{TITLE:g}" font-weight="bold" fill="#a0522d">'
            f"{escape(box.count)}</text>"
        )
        x += text_width(box.count, TITLE, bold=True) + BETWEEN
    if box.aside and box.kind != "frame":
        yield f'<text x="{_n(x)}" y="{_n(y)}" fill="{GREY}">{escape(box.aside)}</text>'
        x += box.aside_width + BETWEEN
    if box.frozen:
        yield _snowflake(x + MARK / 2, y - 4)


def _snowflake(x: float, y: float) -> str:
    """Six arms, drawn: fonts with the character are rare."""
    arm = "M0 0V-5.5M-1.8 -4.6L0 -3L1.8 -4.6"
    arms = "".join(f'<path transform="rotate({angle})" d="{arm}"/>' for angle in range(0, 360, 60))
    return (
        f'<g class="frozen" transform="translate({_n(x)} {_n(y)})" fill="none" stroke="{FROZEN[1]}" stroke-width="1.1">'
        f"<title>frozen</title>{arms}</g>"
    )


def _rect(shape: Placed, fill: str, stroke: str | None, radius: float, dashed: bool = False) -> str:
    drawn = f' stroke="{stroke}"' if stroke else ""
    drawn += ' stroke-dasharray="4 3"' if dashed else ""
    return (
        f'<rect x="{_n(shape.x)}" y="{_n(shape.y)}" width="{_n(shape.width)}" height="{_n(shape.height)}" '
        f'rx="{_n(radius)}" fill="{fill}"{drawn}/>'
    )


def _n(value: float) -> str:
    """A number of pixels, to a tenth."""
    return f"{round(value, 1):g}" if abs(value) < 100_000 else f"{value:.0f}"
