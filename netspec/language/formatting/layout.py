"""What Nodes leave out of a YAML text: where each value ends, its comments and its empty lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from yaml import events

from netspec.language import yaml_reader

Path = tuple[str | int, ...]

_COMMENT = re.compile(r"#[^\n]*")
_EMPTY_LINE = re.compile(r"^[ \t]*$", re.MULTILINE)


class Mark(NamedTuple):
    """A place in a text: characters from its start, line and column counted from 0."""

    at: int
    line: int
    column: int


@dataclass
class Container:
    """A list or mapping of the text. `flow` is that it stands in brackets; `end` is behind its last character."""

    path: Path
    start: Mark
    flow: bool
    end: Mark
    empty: bool = True


class Slot(NamedTuple):
    """One entry of a mapping, with its key, or one item of a list. `block` is that it holds others line by line."""

    path: Path
    start: Mark
    value_start: Mark
    end: Mark
    block: bool


class Comment(NamedTuple):
    """A comment, or an empty line where `text` is empty."""

    mark: Mark
    text: str
    alone: bool  # nothing but space before it in its line


@dataclass
class Layout:
    """The slots of a text in its order, outer ones first; its containers by path; comments and empty lines."""

    slots: list[Slot] = field(default_factory=list)
    containers: dict[Path, Container] = field(default_factory=dict)
    comments: list[Comment] = field(default_factory=list)


def read_layout(text: str) -> Layout:
    """The layout of a YAML text that was read already, and so is known to be right. Lines end in `\\n` alone."""
    walk = _Walk(text)
    walk.document()
    walk.layout.comments = list(_comments(text, walk.scalars))
    return walk.layout


class _Walk:
    def __init__(self, text: str) -> None:
        self.text = text
        self.parser = yaml_reader.PARSER(text)
        self.layout = Layout()
        self.scalars: list[tuple[int, int, bool]] = []  # begin, end, whether a block scalar

    def document(self) -> None:
        while not isinstance(self.parser.get_event(), events.DocumentStartEvent):
            pass
        self.value(self.parser.get_event(), ())

    def value(self, event: Any, path: Path) -> tuple[Mark, bool]:
        """Where the value ends, and whether it is a list or mapping of lines that is not empty."""
        if isinstance(event, events.ScalarEvent):
            return self.scalar(event), False
        if isinstance(event, events.AliasEvent):
            return _mark(event.end_mark), False
        container = Container(path, _mark(event.start_mark), bool(event.flow_style), _mark(event.end_mark))
        self.layout.containers[path] = container
        ends = events.SequenceEndEvent if isinstance(event, events.SequenceStartEvent) else events.MappingEndEvent
        position = 0
        while not isinstance(child := self.parser.get_event(), ends):
            if ends is events.MappingEndEvent:
                self.scalar(child)
                container.end = self.slot(child, self.parser.get_event(), (*path, child.value))
            else:
                container.end = self.slot(None, child, (*path, position))
                position += 1
            container.empty = False
        if container.flow:
            container.end = _mark(child.end_mark)
        return container.end, not container.flow and not container.empty

    def slot(self, key: Any, value: Any, path: Path) -> Mark:
        position = len(self.layout.slots)
        start, value_start = _mark((key or value).start_mark), _mark(value.start_mark)
        self.layout.slots.append(Slot(path, start, value_start, value_start, False))
        end, block = self.value(value, path)
        self.layout.slots[position] = Slot(path, start, value_start, end, block)
        return end

    def scalar(self, event: Any) -> Mark:
        """Notes where a scalar stands. The parser lets block scalars reach to the start of the line behind them."""
        start, end = event.start_mark.index, _mark(event.end_mark)
        block = event.style in ("|", ">")
        if block and end.column == 0:
            written = self.text[start : end.at].rstrip("\n \t")
            end = Mark(start + len(written), event.start_mark.line + written.count("\n"), 1)
        self.scalars.append((start, end.at, block))
        return end


def _mark(mark: Any) -> Mark:
    return Mark(mark.index, mark.line, mark.column)


def _comments(text: str, scalars: list[tuple[int, int, bool]]) -> Iterator[Comment]:
    """Comments and empty lines in order: whatever `#` stands outside scalars, or behind the `|` of one, begins one."""
    line, line_start = 0, 0
    for begin, end in _gaps(text, scalars):
        found = [*_COMMENT.finditer(text, begin, end), *_EMPTY_LINE.finditer(text, begin, end)]
        for match in sorted(found, key=lambda match: match.start()):
            at = match.start()
            if not match[0].strip() and text[match.end() : match.end() + 1] not in ("", "\n"):
                continue  # the spaces before a scalar
            line += text.count("\n", line_start, at)
            line_start = text.rfind("\n", 0, at) + 1
            alone = text[line_start:at].strip() == ""
            yield Comment(Mark(at, line, at - line_start), match[0].strip(), alone)


def _gaps(text: str, scalars: list[tuple[int, int, bool]]) -> Iterator[tuple[int, int]]:
    """The parts of the text outside scalars, and the first lines of block scalars."""
    begin = 0
    for start, end, block in scalars:
        yield begin, start
        if block:
            header = text.find("\n", start, end)
            yield start, header if header >= 0 else end
        begin = end
    yield begin, len(text)
