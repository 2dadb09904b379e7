"""YAML text to Nodes: PyYAML's event stream under our own composer, which counts before it keeps."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import yaml
from yaml import events

from netspec.errors import LanguageError, Location, Mistake
from netspec.expressions import scalars
from netspec.expressions.parser import closing
from netspec.expressions.place import Place
from netspec.language.budgets import Budget, check_nesting
from netspec.language.document import Node
from netspec.language.text import check_string

# The C parser reads 140,000 events in 0.1 s, the Python one in about 10 s; they give the same events.
PARSER: type[Any] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
# What both parsers say of lines that begin too far to the left or to the right.
OF_INDENTATION = ("mapping values are not allowed", "expected '-' indicator", "expected key", "expected <block end>")

FORMULA = "expr"  # the key whose value is an expression without `$(...)`
_IN_FORMULA = re.compile(rf"[{{,]\s*{FORMULA}:\s+[^'\"\s]")


def compose(text: str, file: str) -> Node | None:
    """The one document of `text`, None where there is none. Raises LanguageError with all mistakes found."""
    composer = _Composer(text, file)
    try:
        root = composer.document()
    except LanguageError as error:
        raise LanguageError([*composer.mistakes, *error.mistakes]) from None
    if composer.mistakes:
        raise LanguageError(composer.mistakes)
    return root


class _Anchored(NamedTuple):
    """A finished value that aliases may name, with what each alias of it costs."""

    node: Node
    values: int
    height: int


class _Composer:
    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.parser = PARSER(text)
        self.budget = Budget()
        self.mistakes: list[Mistake] = []
        self.anchors: dict[str, _Anchored | None] = {}  # None: not finished yet
        self.deepest = 0

    def document(self) -> Node | None:
        self.next()
        if not isinstance(self.next(), events.DocumentStartEvent):
            return None
        root = self.value(self.next(), 1, False)
        self.next()
        following = self.next()
        if isinstance(following, events.DocumentStartEvent):
            raise LanguageError("a second document: one is expected", self.location(following))
        return root

    def next(self) -> Any:
        """The next event. Everything that the parser refuses comes out as LanguageError."""
        try:
            event = self.parser.get_event()
        except yaml.MarkedYAMLError as error:
            raise self.syntax_error(error) from None
        except (yaml.YAMLError, ValueError, OverflowError):
            # The Python parser's chr() fails on an escape beyond Unicode, with no mark.
            raise LanguageError("characters or escapes that are not Unicode", Location(self.file, 1, 1)) from None
        return event

    def syntax_error(self, error: yaml.MarkedYAMLError) -> LanguageError:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        location = Location(self.file, line + 1, column + 1)
        text = "".join(self.text.splitlines()[line : line + 1])
        if is_cut(text[:column]) or _IN_FORMULA.search(text[:column]):
            return LanguageError("YAML cuts the expression here: quote it", location)
        if text[column : column + 1] == "\t":
            return LanguageError("a tab: indent with spaces", location)
        if "cannot start any token" in (error.problem or ""):
            return LanguageError(f"a text cannot begin with {text[column : column + 1]}: quote it", location)
        parts = [part for part in (error.context, error.problem) if part]
        hint = "; is the indentation right?" if any(part in (error.problem or "") for part in OF_INDENTATION) else ""
        return LanguageError("YAML: " + ": ".join(parts) + hint, location)

    def location(self, event: Any) -> Location:
        mark = event.start_mark
        return Location(self.file, mark.line + 1, mark.column + 1)

    def value(self, event: Any, depth: int, flow: bool) -> Node:
        """The value that begins with `event`; `depth` counts the lists and mappings it would stand in, and itself."""
        location = self.location(event)
        self.budget.event(location)
        if isinstance(event, events.AliasEvent):
            assert event.anchor is not None
            return self.alias(event.anchor, depth, location)
        self.budget.value(location)
        if event.anchor is None:
            return self.content(event, depth, flow, location)
        before, outside, self.deepest = self.budget.values, self.deepest, depth - 1
        self.anchors[event.anchor] = None
        node = self.content(event, depth, flow, location)
        self.anchors[event.anchor] = _Anchored(node, self.budget.values - before + 1, self.deepest - depth + 1)
        self.deepest = max(self.deepest, outside)
        return node

    def alias(self, name: str, depth: int, location: Location) -> Node:
        self.budget.alias(location)
        if name not in self.anchors:
            raise LanguageError(f"alias *{scalars.shown(name)} has no anchor above it", location)
        anchored = self.anchors[name]
        if anchored is None:
            raise LanguageError(f"recursive alias: *{scalars.shown(name)} stands inside its own value", location)
        self.budget.value(location, anchored.values)
        check_nesting(depth + anchored.height - 1, location)
        self.deepest = max(self.deepest, depth + anchored.height - 1)
        return anchored.node

    def content(self, event: Any, depth: int, flow: bool, location: Location) -> Node:
        if isinstance(event, events.ScalarEvent):
            return self.scalar(event, flow, location)
        check_nesting(depth, location)
        self.deepest = max(self.deepest, depth)
        self.refuse_tag(event, location)
        if isinstance(event, events.SequenceStartEvent):
            return self.sequence(depth, flow or bool(event.flow_style), location)
        assert isinstance(event, events.MappingStartEvent)
        return self.mapping(depth, flow or bool(event.flow_style), location)

    def sequence(self, depth: int, flow: bool, location: Location) -> Node:
        items: list[Node] = []
        while not isinstance(event := self.next(), events.SequenceEndEvent):
            items.append(self.value(event, depth + 1, flow))
        self.budget.event(location)
        return Node(items, location)

    def mapping(self, depth: int, flow: bool, location: Location) -> Node:
        entries: dict[str, Node] = {}
        keys: dict[str, Location] = {}
        while not isinstance(event := self.next(), events.MappingEndEvent):
            where = self.location(event)
            key = self.key(event, flow, where)
            following = self.next()
            if flow and key == FORMULA and _is_cut_formula(following):
                message = f"YAML cuts the expression {scalars.shown(following.value)}: quote it"
                raise LanguageError(message, self.location(following))
            node = self.value(following, depth + 1, flow)
            if key in keys:
                message = f"key {scalars.shown(key)} is written twice: first in line {keys[key].line}, "
                self.mistakes.append(Mistake(f"{message}again in line {where.line}", where))
            elif key is not None:
                entries[key], keys[key] = node, where
        self.budget.event(location)
        return Node(entries, location, keys)

    def key(self, event: Any, flow: bool, location: Location) -> str | None:
        """A mapping's key; None, and a mistake noted, where it is not text."""
        self.budget.event(location)
        if not isinstance(event, events.ScalarEvent):
            raise LanguageError("a key must be text, not a list, a mapping or an alias", location)
        known = len(self.mistakes)
        node = self.scalar(event, flow, location)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchored(node, 1, 0)
        if not event.style and event.value == "<<":
            self.mistakes.append(Mistake("merge keys (<<) are not supported: write the entries out", location))
            return None
        if not isinstance(node.value, str):
            if len(self.mistakes) == known:
                word = scalars.shown(event.value) or "nothing"
                brackets = ", or put a list in [ ]" if flow else ""
                self.mistakes.append(Mistake(f"a key must be text, not {word}: quote it{brackets}", location))
            return None
        return node.value

    def scalar(self, event: Any, flow: bool, location: Location) -> Node:
        text: str = event.value
        if event.tag is not None:
            self.refuse_tag(event, location)
        elif not event.style:
            try:
                value = scalars.resolve(text, location)
            except LanguageError as error:
                self.mistakes += error.mistakes
                return Node(None, location)
            if value is not text:
                return Node(value, location)
            if flow and "$(" in text and is_cut(text):
                at = Place(location, _start(event, location)).at(text.rindex("$("))
                raise LanguageError(f"YAML cuts the expression {scalars.shown(text)}: quote it", at)
        elif event.style == '"':
            self.mistakes += check_string(text, location)
        return Node(text, location, start=_start(event, location))

    def refuse_tag(self, event: Any, location: Location) -> None:
        if event.tag is not None:
            self.mistakes.append(Mistake(f"tag {scalars.shown(event.tag)}: tags are not supported", location))


def _is_cut_formula(event: Any) -> bool:
    """Whether the expression of a formula, which stands without `$(...)`, ends with a bracket open."""
    if not isinstance(event, events.ScalarEvent) or event.style:
        return False
    return any(event.value.count(opening) > event.value.count(end) for opening, end in ("()", "[]"))


def _start(event: Any, location: Location) -> Location | None:
    """Where a string's first character stands, if its characters stand in one line as they are."""
    start, end = event.start_mark, event.end_mark
    extra = end.column - start.column - len(event.value)
    if start.line != end.line or extra != (2 if event.style else 0):
        return None
    return location._replace(column=location.column + extra // 2)


def is_cut(text: str) -> bool:
    """Whether `text` ends inside `$(...)`."""
    begin = text.find("$(")
    while begin >= 0:
        end = closing(text, begin + 2)
        if end is None:
            return True
        begin = text.find("$(", end)
    return False
