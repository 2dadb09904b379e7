"""Nodes and their comments to canonical YAML."""

from __future__ import annotations

from netspec.language.document import Node
from netspec.language.formatting import yaml_scalars
from netspec.language.formatting.comments import Notes
from netspec.language.formatting.key_order import child_kind, entries, is_spread_always
from netspec.language.formatting.layout import Path

WIDTH = 120
STEP = 2


def write_yaml(root: Node, notes: Notes) -> str:
    """The text of a file whose top is the mapping `root`. Raises LanguageError for a key that is too long."""
    _raise_comments(root, notes)
    writer = _Writer(notes)
    writer.file(root)
    return "\n".join(writer.lines) + "\n"


class _Writer:
    """Writes a value after what stands on its line already: in that line where it fits, else line by line below it."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self.spread = notes.holders()
        self.lines: list[str] = []

    def file(self, root: Node) -> None:
        self.lines += _squeezed(self.notes.head)
        if root.value:
            self.children(root, (), "file", 0)
        else:
            self.lines.append("{}")

    def children(self, node: Node, path: Path, kind: str, indent: int) -> None:
        """The entries of a list or mapping, each on lines of its own, and the comments below them."""
        for number, (step, child) in enumerate(entries(node, kind)):
            own, kind_of_child = (*path, step), child_kind(kind, step)
            above = self.comments_above(own, child, kind_of_child, indent)
            if number == 0 and above and not above[0]:
                del above[0]
            self.comments(above, indent)
            if isinstance(step, str):
                head = f"{' ' * indent}{yaml_scalars.key(step, flow=False)}:"
                self.value(head, child, own, kind_of_child, indent)
            else:
                self.item(child, own, kind_of_child, indent)
        self.comments(self.notes.below.get(path, []), indent)

    def comments(self, lines: list[str], indent: int) -> None:
        self.lines += [" " * indent + line if line else "" for line in _squeezed(lines)]

    def comments_above(self, path: Path, node: Node, kind: str, indent: int) -> list[str]:
        """The comments above an entry; for an item of several lines also those that cannot stand behind its dash."""
        above = list(self.notes.above.get(path, []))
        if isinstance(path[-1], int) and self.is_spread(node, path, kind, indent + STEP):
            if path in self.notes.behind:
                above.append(self.notes.behind.pop(path))
            step, child = entries(node, kind)[0]
            if isinstance(step, int):
                above += self.comments_above((*path, step), child, child_kind(kind, step), indent + STEP)
        return _squeezed(above)

    def value(self, head: str, node: Node, path: Path, kind: str, indent: int) -> None:
        """A value behind `head`: a key, or the dash of an item that is no list or mapping of several lines."""
        behind = f"  {self.notes.behind[path]}" if path in self.notes.behind else ""
        block = None
        if isinstance(node.value, str):
            block = yaml_scalars.block(node.value, WIDTH - indent - STEP, WIDTH - len(head) - 1)
        if block is not None:
            self.lines.append(f"{head} {block[0]}{behind}")
            self.lines += [" " * (indent + STEP) + line if line else "" for line in block[1:]]
        elif self.is_spread(node, path, kind, len(head) + 1):
            self.lines.append(head + behind)
            self.children(node, path, kind, indent + STEP)
        else:
            self.lines.append(f"{head} {_in_line(node, kind, flow=False)}{behind}")

    def item(self, node: Node, path: Path, kind: str, indent: int) -> None:
        """An item of a list; the first line of one of several lines stands behind the dash."""
        if not self.is_spread(node, path, kind, indent + STEP):
            self.value(" " * indent + "-", node, path, kind, indent)
            return
        begin = len(self.lines)
        self.children(node, path, kind, indent + STEP)
        self.lines[begin] = f"{' ' * indent}- {self.lines[begin][indent + STEP :]}"

    def is_spread(self, node: Node, path: Path, kind: str, column: int) -> bool:
        """Whether a list or mapping that would begin at `column` stands line by line."""
        if not isinstance(node.value, (dict, list)) or not node.value:
            return False
        if path in self.spread or is_spread_always(node, kind):
            return True
        return column + len(_in_line(node, kind, flow=False)) > WIDTH


def _raise_comments(root: Node, notes: Notes) -> None:
    """Give comments above the first entry of an item to the item: no line is free between it and the dash."""
    for depth in range(max(map(len, notes.above), default=0), 1, -1):
        for path in [path for path in notes.above if len(path) == depth and isinstance(path[-2], int)]:
            node, kind = root, "file"
            for step in path[:-1]:
                assert isinstance(node.value, (dict, list))
                node, kind = node.value[step], child_kind(kind, step)  # type: ignore[index]
            if entries(node, kind)[0][0] == path[-1]:
                notes.above[path[:-1]] += notes.above.pop(path)


def _in_line(node: Node, kind: str, flow: bool) -> str:
    """A value in one line; `flow` is that it stands inside brackets."""
    if isinstance(node.value, list):
        return f"[{', '.join(_in_line(child, child_kind(kind, k), True) for k, child in enumerate(node.value))}]"
    if isinstance(node.value, dict):
        pairs = (
            f"{yaml_scalars.key(str(step), flow=True)}: {_in_line(child, child_kind(kind, step), True)}"
            for step, child in entries(node, kind)
        )
        return f"{{{', '.join(pairs)}}}"
    return yaml_scalars.scalar(node.value, flow)


def _squeezed(lines: list[str]) -> list[str]:
    """`lines` with one empty line for several."""
    return [line for line, before in zip(lines, ["#", *lines], strict=False) if line or before]
