"""JSON text to Nodes, strictly by RFC 8259.

Our own, for three reasons: the standard library's reader keeps no positions and the last of two equal keys, YAML's
takes much that is not JSON, and neither stops at a budget.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from json import JSONDecodeError
from json.decoder import scanstring  # type: ignore[attr-defined]

from netspec.errors import LanguageError, Location, Mistake
from netspec.expressions import scalars
from netspec.expressions.scalars import Scalar
from netspec.language.budgets import Budget, check_nesting
from netspec.language.document import Node
from netspec.language.text import LINE_END, check_string

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_RUN = re.compile(r"[-+.0-9A-Za-z_]*")
_WORDS: dict[str, Scalar] = {"true": True, "false": False, "null": None}
_NOT_FINITE = ("NaN", "Infinity", "-Infinity")


def compose(text: str, file: str) -> Node | None:
    """The value of `text`, None where there is none. Raises LanguageError with all mistakes found."""
    reader = _Reader(text, file)
    try:
        root = reader.document()
    except LanguageError as error:
        raise LanguageError([*reader.mistakes, *error.mistakes]) from None
    if reader.mistakes:
        raise LanguageError(reader.mistakes)
    return root


class _Reader:
    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.at = 0
        self.lines = [0, *(match.end() for match in LINE_END.finditer(text))]
        self.budget = Budget()
        self.mistakes: list[Mistake] = []

    def document(self) -> Node | None:
        if not self.peek():
            return None
        root = self.value(1)
        if self.peek():
            raise self.expected("the end of the file")
        return root

    def location(self, at: int | None = None) -> Location:
        at = self.at if at is None else at
        line = bisect_right(self.lines, at)
        return Location(self.file, line, at - self.lines[line - 1] + 1)

    def peek(self) -> str:
        """The next character that is not space; empty at the end."""
        match = _SPACE.match(self.text, self.at)
        assert match
        self.at = match.end()
        return self.text[self.at : self.at + 1]

    def expected(self, what: str) -> LanguageError:
        got = self.peek()
        return LanguageError(f"JSON: expected {what}, got {got or 'the end of the file'}", self.location())

    def value(self, depth: int) -> Node:
        character = self.peek()
        location = self.location()
        self.budget.event(location)
        self.budget.value(location)
        if character == "{":
            check_nesting(depth, location)
            return self.mapping(depth, location)
        if character == "[":
            check_nesting(depth, location)
            return self.sequence(depth, location)
        if character == '"':
            return self.string(location)
        return Node(self.word(location), location)

    def mapping(self, depth: int, location: Location) -> Node:
        entries: dict[str, Node] = {}
        keys: dict[str, Location] = {}
        self.at += 1
        first = True
        while self.more("}", first):
            first = False
            if self.peek() != '"':
                raise self.expected("a key in double quotes")
            where = self.location()
            self.budget.event(where)
            key = self.string(where).value
            assert isinstance(key, str)
            if self.peek() != ":":
                raise self.expected("':'")
            self.at += 1
            node = self.value(depth + 1)
            if key in keys:
                message = f"key {scalars.shown(key)} is written twice: first in line {keys[key].line}, "
                self.mistakes.append(Mistake(f"{message}again in line {where.line}", where))
            else:
                entries[key], keys[key] = node, where
        self.budget.event(location)
        return Node(entries, location, keys)

    def sequence(self, depth: int, location: Location) -> Node:
        items: list[Node] = []
        self.at += 1
        while self.more("]", not items):
            items.append(self.value(depth + 1))
        self.budget.event(location)
        return Node(items, location)

    def more(self, end: str, first: bool) -> bool:
        """Whether another item follows; steps over the comma before it, or over the end."""
        character = self.peek()
        if character == end:
            self.at += 1
            return False
        if not first:
            if character != ",":
                raise self.expected(f"',' or '{end}'")
            self.at += 1
            if self.peek() == end:
                raise self.expected(f"a value after ',', not '{end}'" if end == "]" else "a key after ','")
        return True

    def string(self, location: Location) -> Node:
        begin = self.at
        try:
            text, self.at = scanstring(self.text, begin + 1, True)
        except JSONDecodeError as error:
            message = error.msg.rstrip(": ").removesuffix(" at").removesuffix(" starting")
            raise LanguageError(f"JSON: {message.lower()}", self.location(error.pos)) from None
        self.mistakes += check_string(text, location)
        verbatim = self.at - begin == len(text) + 2
        return Node(text, location, start=location._replace(column=location.column + 1) if verbatim else None)

    def word(self, location: Location) -> Scalar:
        """A number, true, false or null."""
        match = _RUN.match(self.text, self.at)
        assert match
        word = match.group()
        if word in _WORDS:
            self.at = match.end()
            return _WORDS[word]
        if word in _NOT_FINITE:
            raise LanguageError(f"{word} is not finite: a finite number is expected", location)
        number = _NUMBER.fullmatch(word)
        if not number:
            raise self.expected("a value")
        self.at = match.end()
        try:
            if number[1] or number[2]:
                return scalars.floating(word, location)
            return scalars.integer(word, 10, location)
        except LanguageError as error:
            self.mistakes += error.mistakes
            return None
