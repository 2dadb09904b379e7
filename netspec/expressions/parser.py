"""The text of `$(...)` to a syntax tree: finding expressions in strings, the tokenizer, and the parser.

The grammar is the one at the end of the language's own page, one method per rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from netspec.errors import LanguageError, nearest
from netspec.expressions import scalars
from netspec.expressions.place import Place
from netspec.expressions.syntax import (
    Arithmetic,
    Attribute,
    Call,
    Comparison,
    Comprehension,
    Conditional,
    Expression,
    Index,
    ListDisplay,
    Literal,
    Logic,
    Name,
    Negative,
    Not,
    Slice,
    Syntax,
    Template,
)

MAX_LENGTH = 256
MAX_DEPTH = 32
MAX_TEMPLATE_LENGTH = 1024

# Functions, with the fewest and the most arguments that each takes.
FUNCTIONS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "len": (1, 1),
        "sum": (1, 1),
        "min": (1, MAX_LENGTH),
        "max": (1, MAX_LENGTH),
        "abs": (1, 1),
        "int": (1, 1),
        "round": (1, 1),
        "floor": (1, 1),
        "ceil": (1, 1),
        "sqrt": (1, 1),
        "range": (1, 3),
        "make_divisible": (2, 2),
    }
)
KEYWORDS = frozenset({"if", "else", "and", "or", "not", "for", "in", "true", "false"})
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


def contains(text: str) -> bool:
    """Whether a string holds an expression."""
    return "$(" in text


@lru_cache(maxsize=4096)  # the entries of a block are read again for each of its uses, and in both modes
def read_string(text: str, place: Place) -> str | Expression | Template:
    """What a string of a spec says: itself, one expression that keeps its type, or a text with expressions in it.

    Raises LanguageError where an expression is wrong.
    """
    if not contains(text):
        return text
    if len(text) > MAX_TEMPLATE_LENGTH:
        message = f"a text with $(...) of {len(text):,} characters: at most {MAX_TEMPLATE_LENGTH:,}, and each $(...)"
        raise LanguageError(f"{message} at most {MAX_LENGTH}", place.location)
    parts: list[str | Expression] = []
    end = 0
    while (begin := text.find("$(", end)) >= 0:
        if begin > end:
            parts.append(text[end:begin])
        close = closing(text, begin + 2)
        if close is None:
            message = f"{scalars.shown(text[begin:])} has no closing parenthesis: quote it if YAML cut it"
            raise LanguageError(message, place.at(begin))
        parts.append(parse(text[begin + 2 : close], place.moved(begin + 2)))
        end = close + 1
    if end < len(text):
        parts.append(text[end:])
    only = parts[0]
    return only if len(parts) == 1 and isinstance(only, Expression) else Template(tuple(parts), place)


def closing(text: str, begin: int) -> int | None:
    """Where the parenthesis is that closes the one just before `begin`; strings may hold others."""
    depth, quote = 1, ""
    for offset in range(begin, len(text)):
        character = text[offset]
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
            if depth == 0:
                return offset
    return None


def parse(text: str, place: Place, functions: Mapping[str, tuple[int, int]] = FUNCTIONS) -> Expression:
    """The syntax tree of `text`, the inside of `$(...)`.

    Args:
        text: at most 256 characters, nested at most 32 deep.
        place: where `text` begins, for messages.
        functions: names that may be called, with the fewest and the most arguments.

    Raises:
        LanguageError: with the column of what does not fit.
    """
    if len(text) > MAX_LENGTH:
        raise LanguageError(f"an expression of {len(text):,} characters: at most {MAX_LENGTH}", place.location)
    return Expression(_Parser(text, place, functions).whole(), text, place)


class _Token(NamedTuple):
    kind: str  # number, string, word, symbol or end
    text: str
    at: int


_TOKEN = re.compile(
    r"""(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)
    | (?P<string>'[^']*'|"[^"]*")
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<symbol>//|==|!=|<=|>=|[-+*/%<>()\[\],.:])""",
    re.VERBOSE,
)
_SPACE = re.compile(r"[ \t\r\n]*")
_WORD_CHARACTER = re.compile(r"[A-Za-z0-9_.]")
_INTEGER = re.compile(r"0|[1-9][0-9]*")


class _Parser:
    def __init__(self, text: str, place: Place, functions: Mapping[str, tuple[int, int]]) -> None:
        self.text = text
        self.place = place
        self.functions = functions
        self.depth = 0
        self.tokens = self.tokenize()
        self.position = 0
        self.token = self.tokens[0]

    def error(self, message: str, at: int) -> LanguageError:
        return LanguageError(f"$({scalars.shown(self.text)}): {message}", self.place.at(at))

    def tokenize(self) -> list[_Token]:
        tokens: list[_Token] = []
        at = 0
        while True:
            space = _SPACE.match(self.text, at)
            assert space
            at = space.end()
            if at == len(self.text):
                tokens.append(_Token("end", "", at))
                return tokens
            match = _TOKEN.match(self.text, at)
            if match is None:
                unclosed = self.text[at] in "'\""
                raise self.error("a text that is not closed" if unclosed else f"unexpected {self.text[at]}", at)
            assert match.lastgroup
            if match.lastgroup == "number" and _WORD_CHARACTER.match(self.text, match.end()):
                raise self.error("an odd form of a number: write plain decimal digits", at)
            tokens.append(_Token(match.lastgroup, match[0], at))
            at = match.end()

    def take(self, *texts: str) -> _Token | None:
        """Step over the next token if it is one of these symbols or keywords."""
        token = self.token
        if token.text not in texts or token.kind not in ("symbol", "word"):
            return None
        self.position += 1
        self.token = self.tokens[self.position]
        return token

    def step(self) -> _Token:
        token = self.token
        self.position += 1
        self.token = self.tokens[self.position]
        return token

    def expect(self, text: str) -> None:
        if not self.take(text):
            raise self.unexpected(f"'{text}'")

    def unexpected(self, wanted: str) -> LanguageError:
        got = scalars.shown(self.token.text) if self.token.kind != "end" else "the end"
        hint = ": quote it if YAML cut it" if self.token.kind == "end" and self.tokens[0].kind != "end" else ""
        if self.token.text == "*" and self.position and self.tokens[self.position - 1].text == "*":
            hint = "; there is no **"
        return self.error(f"expected {wanted}, got {got}{hint}", self.token.at)

    def deeper(self, rule: Callable[[], Syntax]) -> Syntax:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"nested more than {MAX_DEPTH} deep", self.token.at)
        result = rule()
        self.depth -= 1
        return result

    def whole(self) -> Syntax:
        result = self.cond()
        if self.token.kind != "end":
            if self.token.text in COMPARISONS:
                raise self.error("comparisons are not chained: use and", self.token.at)
            raise self.unexpected("an operator or the end")
        return result

    def cond(self) -> Syntax:
        return self.deeper(self.conditional)

    def conditional(self) -> Syntax:
        then = self.logic_or()
        word = self.take("if")
        if not word:
            return then
        condition = self.logic_or()
        self.expect("else")
        return Conditional(word.at, condition, then, self.cond())

    def logic_or(self) -> Syntax:
        return self.logic("or", self.logic_and)

    def logic_and(self) -> Syntax:
        return self.logic("and", self.logic_not)

    def logic(self, operator: str, operand: Callable[[], Syntax]) -> Syntax:
        at = self.token.at
        operands = [operand()]
        while self.take(operator):
            operands.append(operand())
        return operands[0] if len(operands) == 1 else Logic(at, operator, tuple(operands))

    def logic_not(self) -> Syntax:
        word = self.take("not")
        return Not(word.at, self.deeper(self.logic_not)) if word else self.comparison()

    def comparison(self) -> Syntax:
        left = self.sum()
        operator = self.take(*COMPARISONS)
        return Comparison(operator.at, operator.text, left, self.sum()) if operator else left

    def sum(self) -> Syntax:
        result = self.term()
        while operator := self.take("+", "-"):
            result = Arithmetic(operator.at, operator.text, result, self.term())
        return result

    def term(self) -> Syntax:
        result = self.unary()
        while operator := self.take("*", "/", "//", "%"):
            result = Arithmetic(operator.at, operator.text, result, self.unary())
        return result

    def unary(self) -> Syntax:
        minus = self.take("-")
        return Negative(minus.at, self.deeper(self.unary)) if minus else self.postfix()

    def postfix(self) -> Syntax:
        result = self.atom()
        while operator := self.take(".", "["):
            result = self.attribute(result) if operator.text == "." else self.subscript(result, operator.at)
        return result

    def attribute(self, value: Syntax) -> Syntax:
        if self.token.kind != "word":
            raise self.unexpected("a name after '.'")
        token = self.step()
        return Attribute(token.at, value, token.text)

    def subscript(self, value: Syntax, at: int) -> Syntax:
        start = None if self.token.text == ":" else self.cond()
        if self.take(":"):
            stop = None if self.token.text == "]" else self.cond()
            self.expect("]")
            return Slice(at, value, start, stop)
        self.expect("]")
        assert start is not None
        return Index(at, value, start)

    def atom(self) -> Syntax:
        token = self.token
        if token.kind == "number":
            return Literal(self.step().at, self.number(token))
        if token.kind == "string":
            if "\\" in token.text:
                raise self.error("a backslash in a text: there are no escapes", token.at)
            return Literal(self.step().at, token.text[1:-1])
        if self.take("true", "false"):
            return Literal(token.at, token.text == "true")
        if token.kind == "word" and token.text not in KEYWORDS:
            self.step()
            return self.call(token) if self.take("(") else Name(token.at, token.text)
        if self.take("["):
            return self.list_or_comprehension(token.at)
        if self.take("("):
            inner = self.cond()
            self.expect(")")
            return inner
        raise self.unexpected("a value")

    def number(self, token: _Token) -> int | float:
        place = self.place.at(token.at)
        if _INTEGER.fullmatch(token.text):
            return scalars.integer(token.text, 10, place)
        if token.text.isdecimal():
            raise self.error("an odd form of a number: write it without leading zeros", token.at)
        return scalars.floating(token.text, place)

    def call(self, name: _Token) -> Syntax:
        if name.text not in self.functions:
            raise self.error(
                f"unknown function {scalars.shown(name.text)}{nearest(name.text, self.functions)}", name.at
            )
        arguments = self.items(")")
        fewest, most = self.functions[name.text]
        if not fewest <= len(arguments) <= most:
            wanted = (
                str(fewest) if fewest == most else f"{fewest} to {most}" if most < MAX_LENGTH else f"{fewest} or more"
            )
            raise self.error(f"{name.text} takes {wanted} arguments, got {len(arguments)}", name.at)
        return Call(name.at, name.text, arguments)

    def list_or_comprehension(self, at: int) -> Syntax:
        if self.take("]"):
            return ListDisplay(at, ())
        first = self.cond()
        if not self.take("for"):
            return ListDisplay(at, (first, *self.rest("]")))
        if self.token.kind != "word" or self.token.text in KEYWORDS:
            raise self.unexpected("a name after for")
        variable = self.step().text
        self.expect("in")
        source = self.logic_or()
        self.expect("]")
        return Comprehension(at, first, variable, source)

    def items(self, end: str) -> tuple[Syntax, ...]:
        return () if self.take(end) else (self.cond(), *self.rest(end))

    def rest(self, end: str) -> list[Syntax]:
        """The items after the first, each behind its comma, and the end."""
        items: list[Syntax] = []
        while self.take(","):
            items.append(self.cond())
        if not self.take(end):
            raise self.unexpected(f"',' or '{end}'")
        return items
