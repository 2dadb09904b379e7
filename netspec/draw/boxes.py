"""What stands in each box of a picture, and how large that makes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from netspec.draw.outline import Item, Leaf, Outline, shown
from netspec.draw.text import shortened, text_width, wrapped
from netspec.errors import printable
from netspec.graph.dims import Size
from netspec.graph.flow import path_of
from netspec.graph.graph import Call, Node, Param, Value
from netspec.graph.printer import format_attribute

TITLE, BODY = 12.0, 10.5  # font sizes, in pixels
TITLE_HEIGHT, LINE_HEIGHT = 18.0, 14.0
PADDING = 10.0
NARROWEST, WIDEST = 96.0, 230.0
MAX_LINES = 3
BETWEEN = 7.0  # from the title to the words behind it
MARK = 13.0  # the snowflake of what is frozen


@dataclass(frozen=True)
class Box:
    """A box: `title` in bold, `aside` behind it in grey, `lines` below. `kind` gives its colour, `hint` its tooltip.

    A frame has its aside at its right end. `frozen` marks it as not trained, `copies` above 1 draws it as a stack.
    """

    kind: str
    title: str
    aside: str = ""
    lines: tuple[str, ...] = ()
    hint: str = ""
    frozen: bool = False
    copies: int = 1
    parallel: bool = False

    @property
    def count(self) -> str:
        return (f"× {self.copies} parallel" if self.parallel else f"× {self.copies}") if self.copies > 1 else ""

    @cached_property
    def head_width(self) -> float:
        """The width of the first line: title, words behind it (not of a frame), number of copies, mark."""
        width = text_width(self.title, TITLE, bold=True)
        if self.aside and self.kind != "frame":
            width += BETWEEN + self.aside_width
        if self.count:
            width += BETWEEN + text_width(self.count, TITLE, bold=True)
        return width + (BETWEEN + MARK if self.frozen else 0)

    @cached_property
    def aside_width(self) -> float:
        return text_width(self.aside, BODY)

    @cached_property
    def width(self) -> float:
        inner = max([self.head_width, *(text_width(line, BODY) for line in self.lines)])
        return round(max(inner + 2 * PADDING, NARROWEST))

    @cached_property
    def height(self) -> float:
        return 2 * PADDING - 4 + TITLE_HEIGHT - 4 + LINE_HEIGHT * len(self.lines)


def input_box(name: str) -> Box:
    """The box of a graph's input."""
    return Box("input", _short(name, TITLE), hint=printable(f"input {name}"))


def output_box(name: str) -> Box:
    """The box of a graph's output."""
    return Box("output", _short(name, TITLE), hint=printable(f"output {name}"))


class Boxes:
    """The boxes of one outline."""

    def __init__(self, outline: Outline) -> None:
        self.nodes = outline.graph.nodes
        self.held = {entry.value: entry for entry in outline.graph.state}
        self.first: dict[Value, int] = {}  # the node that is the first to use a parameter
        for number, node in enumerate(self.nodes):
            for value in node.params.values() if isinstance(node, Call) else node.inputs:
                self.first.setdefault(value, number)

    def box(self, item: Item, parent: str) -> Box:
        """The box of a layer, or of a group that is folded; `parent` is the group that it stands in."""
        return self._layer(item, parent) if isinstance(item, Leaf) else self._group(item, parent)

    def _layer(self, item: Leaf, parent: str) -> Box:
        node = self.nodes[item.number]
        name = item.name.rpartition(".")[2]
        kind, type = _kind(node), node.layer.type if isinstance(node, Call) else node.op.name
        unnamed = name.isdigit() and item.copies == 1
        title, aside = (type, name) if unnamed else (item.name, type if type != item.name else "")
        return Box(
            kind=kind,
            title=_short(_placed(title, parent), TITLE, WIDEST - text_width(aside, BODY) - BETWEEN),
            aside=printable(aside),
            lines=(*wrapped(_fields(node), BODY, WIDEST, MAX_LINES), *self._parameters(item)),
            hint=printable(path_of(node)),
            frozen=self._frozen(item),
            copies=item.copies,
            parallel=item.parallel,
        )

    def _group(self, item: Item, parent: str) -> Box:
        layers = [self.nodes[number] for number in shown(item)]
        types = Counter(node.layer.type if isinstance(node, Call) else node.op.name for node in layers)
        words = [f"{count} {type}" if count > 1 else type for type, count in types.items()]
        return Box(
            kind="group",
            title=self.title(item, parent),
            aside=f"{len(item.numbers):,} layers",
            lines=(*wrapped(words, BODY, WIDEST, MAX_LINES), *self._parameters(item)),
            hint=printable(path_of(layers[0]).removesuffix(f".{path_of(layers[0]).rpartition('.')[2]}")),
            frozen=self._frozen(item),
            copies=item.copies,
            parallel=item.parallel,
        )

    def frame(self, item: Item, parent: str) -> Box:
        """The head of a group that is open."""
        aside = ", ".join(self._parameters(item))
        title, frozen = self.title(item, parent), self._frozen(item)
        return Box("frame", title, aside, frozen=frozen, copies=item.copies, parallel=item.parallel)

    def title(self, item: Item, parent: str) -> str:
        return _short(_placed(item.name, parent), TITLE)

    def _own(self, item: Item) -> list[Param]:
        found: dict[Value, Param] = {}
        for number in item.numbers:
            node = self.nodes[number]
            values: Iterable[Value] = node.params.values() if isinstance(node, Call) else node.inputs
            for value in values:
                entry = self.held.get(value)
                if isinstance(entry, Param):
                    found[value] = entry
        return list(found.values())

    def _parameters(self, item: Item) -> tuple[str, ...]:
        """`1,234 parameters`, with those that are frozen where only some are; nothing where there are none.

        They are shared where the item is first to use none of them.
        """
        params = self._own(item)
        total = sum(_count(param) for param in params)
        frozen = sum(_count(param) for param in params if not param.trainable)
        if not total:
            return ()
        some = f", {frozen:,} frozen" if 0 < frozen < total else ""
        before = all(self.first[param.value] < item.numbers[0] for param in params)
        return (f"{total:,} {'shared ' if before else ''}parameters{some}",)

    def _frozen(self, item: Item) -> bool:
        params = self._own(item)
        return bool(params) and not any(param.trainable for param in params)


def shape_text(value: Value) -> str:
    """`batch × 64 × 56 × 56`, behind the dtype where that is not float."""
    dtype = "" if value.type.dtype == "float" else f"{value.type.dtype} "
    sizes: Sequence[Size] = value.shape
    return shortened(printable(dtype + (" × ".join(map(str, sizes)) or "scalar")), BODY, WIDEST)


def _count(param: Param) -> int:
    size = param.value.type.size
    assert isinstance(size, int)
    return size


def _kind(node: Node | Call) -> str:
    """The family of a layer: the file that its class stands in."""
    return type(node.layer).__module__.rpartition(".")[2] if isinstance(node, Call) else "primitive"


def _fields(node: Node | Call) -> list[str]:
    """`kernel_size 3` for each field that was given and is not the default."""
    if not isinstance(node, Call):
        return [printable(f"{name} {_field(value)}") for name, value in vars(node.op).items()]
    layer: Any = node.layer
    hidden = {"type", *type(layer).derived}
    given = [
        (name, getattr(layer, name))
        for name, field in type(layer).model_fields.items()
        if name in layer.model_fields_set - hidden and getattr(layer, name) != field.default
    ]
    return [printable(f"{name} {_field(value)}") for name, value in given]


def _field(value: Any) -> str:
    """As YAML has it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return format_attribute(value)


def _placed(name: str, parent: str) -> str:
    """A number alone says little: `layer1.0`."""
    return f"{parent.rpartition('.')[2]}.{name}" if parent and name[0].isdigit() else name


def _short(text: str, size: float, width: float = WIDEST) -> str:
    return shortened(printable(text), size, width, bold=True)
