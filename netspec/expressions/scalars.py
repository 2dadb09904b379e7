"""What a plain word means: the core schema of YAML 1.2, with what other readers read differently refused.

Source: YAML 1.2.2, section 10.3.2, https://yaml.org/spec/1.2.2/
"""

from __future__ import annotations

import math
import re

from netspec.errors import LanguageError, Location

Scalar = str | int | float | bool | None

MAX_INTEGER = 2**53
MAX_NUMBER_LENGTH = 400
SHOWN_LENGTH = 48

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER_STARTS = frozenset("+-.0123456789")
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_OCTAL_OR_HEX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
# YAML 1.1, and readers that never left it, take these for numbers: octal, binary, digit groups, base 60.
_ODD = re.compile(
    r"""[-+]?(?: 0[0-9]+
    | 0[bB][01_]+ | 0[oO][0-7_]+ | 0[xX][0-9a-fA-F_]+
    | [0-9]+_[0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?
    | [0-9]+\.[0-9]*_[0-9_]*(?:[eE][-+]?[0-9]+)?
    | [0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)? )""",
    re.VERBOSE,
)


def resolve(text: str, location: Location) -> Scalar:
    """The value of a plain scalar. Raises LanguageError for odd forms of numbers and for numbers out of range."""
    if not text or text[0] not in _NUMBER_STARTS:
        return _WORDS.get(text, text)
    if _DECIMAL.fullmatch(text):
        return integer(text, 10, location)
    if _OCTAL_OR_HEX.fullmatch(text):
        return integer(text[2:], 8 if text[1] == "o" else 16, location)
    if _ODD.fullmatch(text):
        message = f"{shown(text)} is an odd form of a number: write plain decimal digits, or quote it if it is text"
        raise LanguageError(message, location)
    if _FLOAT.fullmatch(text):
        return floating(text, location)
    if _NOT_FINITE.fullmatch(text):
        raise LanguageError(f"{text} is not finite: a finite number is expected", location)
    return text


def integer(digits: str, base: int, location: Location) -> int:
    """The integer written as `digits`, with a sign or without. Never converts more than a few digits."""
    significant = digits.lstrip("+-").lstrip("0")
    # 2^53 has 14 digits in base 16, 16 in base 10 and 18 in base 8.
    value = int(digits, base) if len(significant) <= 18 and len(digits) <= MAX_NUMBER_LENGTH else MAX_INTEGER + 1
    if abs(value) > MAX_INTEGER:
        raise LanguageError(f"integer {shown(digits)} is beyond 2^53 = {MAX_INTEGER}", location)
    return value


def floating(text: str, location: Location) -> float:
    """The finite float written as `text`."""
    if len(text) > MAX_NUMBER_LENGTH:
        raise LanguageError(f"number {shown(text)} is longer than {MAX_NUMBER_LENGTH} characters", location)
    value = float(text)
    if not math.isfinite(value):
        raise LanguageError(f"{shown(text)} is not finite: a finite number is expected", location)
    return value


def shown(text: str) -> str:
    """`text`, or its beginning and its length: what a user wrote may be a megabyte."""
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}... ({len(text):,} characters)"
