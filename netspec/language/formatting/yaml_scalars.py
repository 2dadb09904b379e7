"""Scalars as canonical YAML: a string stands bare where every reader takes it for that string, else in quotes."""

from __future__ import annotations

import re
import textwrap

from netspec.errors import LanguageError, Location
from netspec.expressions import scalars
from netspec.expressions.parser import contains
from netspec.expressions.scalars import Scalar
from netspec.language.yaml_reader import is_cut

# YAML looks for the colon behind a key within so many characters; a longer key needs a form that nobody writes.
MAX_KEY_LENGTH = 1000

_NOWHERE = Location("", 1, 1)
_FIRST = re.compile(r"[-?:,\[\]{}#&*!|>'\"%@`=]|<<|\.\.\.")
_NOT_BARE = re.compile(r": |:\Z| #|\A | \Z|\A---")
_NOT_BARE_IN_FLOW = re.compile(r"[,\[\]{}?]|:[,\[\]{}]")
# YAML 1.1 reads these as true and false.
_OLD_FLAGS = frozenset({"yes", "no", "on", "off"})
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
_EXPONENT = re.compile(r"(\.[0-9]+)?e([-+])0?")


def scalar(value: Scalar, flow: bool) -> str:
    """`value` in one line; `flow` is that it stands inside brackets."""
    if isinstance(value, str):
        return value if _is_bare(value, flow) else quoted(value)
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else number(value)


def number(value: int | float) -> str:
    """A decimal form that reads back as the same number everywhere: YAML 1.1 wants the point and the sign in 1.0e-5."""
    return _EXPONENT.sub(lambda match: f"{match[1] or '.0'}e{match[2]}", repr(value))


def quoted(text: str) -> str:
    """`text` in double quotes, or in single ones where that saves escapes."""
    if "'" not in text and ('"' in text or "\\" in text) and text.isprintable():
        return f"'{text}'"
    return f'"{"".join(_escaped(character) for character in text)}"'


def key(text: str, flow: bool) -> str:
    """A mapping's key. Raises LanguageError for one too long."""
    if len(text) > MAX_KEY_LENGTH:
        raise LanguageError(f"key {scalars.shown(text)} is longer than {MAX_KEY_LENGTH:,} characters")
    return scalar(text, flow)


def block(text: str, width: int, room: int) -> list[str] | None:
    """A long text as the lines of a block scalar below its header, or None where it should stand in one line.

    Lines of text stay lines. A single line with more characters than there is `room` is broken between words to lines
    of `width`, unless it holds an expression: the columns of its mistakes are counted.
    """
    lines = text.removesuffix("\n").split("\n")
    if not text.replace("\n", "").isprintable() or text[:1] in ("", " ", "\n"):
        return None
    if "\n" in text:
        if text.endswith("\n\n") or any(line != line.rstrip() for line in lines):
            return None
        return ["|" if text.endswith("\n") else "|-", *lines]
    if len(text) <= room or contains(text) or "  " in text or text.endswith(" "):
        return None
    return [">-", *textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)]


def _is_bare(text: str, flow: bool) -> bool:
    if not text or not text.isprintable() or _FIRST.match(text) or _NOT_BARE.search(text):
        return False
    if text.lower() in _OLD_FLAGS or (flow and (_NOT_BARE_IN_FLOW.search(text) or is_cut(text))):
        return False
    try:
        return scalars.resolve(text, _NOWHERE) is text
    except LanguageError:  # an odd form of a number
        return False


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02X}" if code < 0x100 else f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"
