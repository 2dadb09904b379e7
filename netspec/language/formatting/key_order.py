"""The canonical order of keys, and which lists and mappings always stand line by line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from netspec.language.document import Node

_BLOCK = ("inputs", "gradient", "let", "layers", "outputs")


class Kind(NamedTuple):
    """A kind of mapping or list: keys that come first, keys that come last, all others as written between them.

    `children` are the kinds of what stands under its keys, `each` that of everything else in it.
    """

    first: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    children: Mapping[str, str] = {}
    each: str = "value"
    spread: bool = False  # one entry to a line even where it would fit in one

    def ordered(self, keys: Iterable[str]) -> list[str]:
        """`keys` in canonical order."""
        present = list(keys)
        outer = {*self.first, *self.last}
        return [
            *(key for key in self.first if key in present),
            *(key for key in present if key not in outer),
            *(key for key in self.last if key in present),
        ]


_SPREAD_BODY = {"layers": "layers", "outputs": "outputs"}

KINDS: dict[str, Kind] = {
    "value": Kind(),
    "file": Kind(
        first=("netspec", "name", "description", "include", "params", "inputs", "let", "defaults", "blocks"),
        last=("layers", "outputs", "freeze"),
        children={**_SPREAD_BODY, "inputs": "inputs", "defaults": "defaults", "blocks": "blocks"},
        spread=True,
    ),
    "inputs": Kind(each="input", spread=True),
    "input": Kind(first=("shape", "dtype", "default")),
    "defaults": Kind(each="fields", spread=True),
    "fields": Kind(last=("init",), children={"init": "initializers"}),
    "blocks": Kind(each="block", spread=True),
    "block": Kind(first=("description", "params"), last=_BLOCK, children=_SPREAD_BODY, spread=True),
    "layers": Kind(each="entry", spread=True),
    "entry": Kind(
        first=(
            *("name", "type", "share", "description", "from", "repeat", "parallel", "scan", "while"),
            *("cond", "if", "else", "inputs", "let"),
        ),
        last=("init", "tie", "frozen", "branches", "layers", "outputs"),
        children={**_SPREAD_BODY, "branches": "layers", "init": "initializers", "scan": "scan", "while": "while"},
    ),
    "scan": Kind(first=("over", "dim")),
    "while": Kind(first=("condition", "limit")),
    "initializers": Kind(each="initializer"),
    "initializer": Kind(first=("type",)),
    "outputs": Kind(each="output"),
    "output": Kind(first=("from", "if", "only")),
}


def child_kind(kind: str, key: str | int) -> str:
    """The kind of what stands under `key` in a mapping or list of the kind `kind`. What is free is never ordered."""
    if isinstance(key, str) and (key.startswith("x-") or key == "description"):
        return "value"
    return KINDS[kind].children.get(str(key), KINDS[kind].each)


def entries(node: Node, kind: str) -> list[tuple[str | int, Node]]:
    """Keys and values of a mapping in canonical order, or positions and items of a list."""
    if isinstance(node.value, dict):
        return [(key, node.value[key]) for key in KINDS[kind].ordered(node.value)]
    assert isinstance(node.value, list)
    return list(enumerate(node.value))


def is_spread_always(node: Node, kind: str) -> bool:
    """Whether a value can never stand in one line: a mapping of the kind, or something in it, or text of many lines."""
    if isinstance(node.value, str):
        return "\n" in node.value
    if not isinstance(node.value, (dict, list)) or not node.value:
        return False
    return KINDS[kind].spread or any(
        is_spread_always(child, child_kind(kind, step)) for step, child in entries(node, kind)
    )
