"""Nodes to canonical JSON: keys in the language's order, short lists and mappings in one line."""

from __future__ import annotations

import json
import math

from netspec.language.document import Node
from netspec.language.formatting.key_order import child_kind, entries, is_spread_always
from netspec.language.formatting.yaml_scalars import number

WIDTH = 120
STEP = 2


def write_json(root: Node) -> str:
    """The text of a file whose top is the mapping `root`."""
    return _value(root, "file", 0, 0) + "\n"


def _value(node: Node, kind: str, indent: int, column: int) -> str:
    """A value whose first line begins at `column`; those after it are indented by `indent`."""
    text = _in_line(node, kind)
    if not isinstance(node.value, (dict, list)) or not node.value:
        return text
    # The comma behind it counts too.
    if column + len(text) < WIDTH and not is_spread_always(node, kind):
        return text
    inner = indent + STEP
    lines = []
    for step, child in entries(node, kind):
        head = f"{_string(step)}: " if isinstance(step, str) else ""
        lines.append(" " * inner + head + _value(child, child_kind(kind, step), inner, inner + len(head)))
    begin, end = "{}" if isinstance(node.value, dict) else "[]"
    return f"{begin}\n" + ",\n".join(lines) + f"\n{' ' * indent}{end}"


def _in_line(node: Node, kind: str) -> str:
    if isinstance(node.value, dict):
        pairs = (
            f"{_string(str(step))}: {_in_line(child, child_kind(kind, step))}" for step, child in entries(node, kind)
        )
        return f"{{{', '.join(pairs)}}}"
    if isinstance(node.value, list):
        return f"[{', '.join(_in_line(child, child_kind(kind, step)) for step, child in entries(node, kind))}]"
    if isinstance(node.value, float):
        assert math.isfinite(node.value)
        return number(node.value)
    return _string(node.value) if isinstance(node.value, str) else json.dumps(node.value)


def _string(text: str) -> str:
    """Letters as they are, unless there is something that nobody would see: then all outside ASCII is escaped."""
    if text.replace("\n", "").replace("\t", "").isprintable():
        return json.dumps(text, ensure_ascii=False)
    return json.dumps(text).replace("\x7f", "\\u007f")  # the one character of ASCII that no text may hold
