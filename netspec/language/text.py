"""Bytes to text: UTF-8 only, with no character that a reader would not see."""

from __future__ import annotations

import re

from netspec.errors import LanguageError, Location, Mistake

_BYTE_ORDER_MARK = "\ufeff"
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
# The control characters, the lone surrogates, and the two non-characters that YAML's reader refuses.
_REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
# Line ends for YAML 1.1 and its C parser, plain characters for YAML 1.2, for JSON and for most editors.
_LINE_SEPARATORS = re.compile("[\x85\u2028\u2029]")
LINE_END = re.compile(r"\r\n|\r|\n")
_NOT_A_STRING = re.compile("[\x00\ud800-\udfff]")


def decode(data: bytes, file: str) -> str:
    """The text of `data`, without a byte order mark. Raises LanguageError for what is not UTF-8."""
    if data.startswith(_WIDE_MARKS):
        raise LanguageError("the text is UTF-16 or UTF-32: UTF-8 is expected", Location(file, 1, 1))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        message = f"byte 0x{data[error.start]:02x} is not UTF-8: UTF-8 is expected"
        raise LanguageError(message, _end_of(before, file)) from None


def check_characters(text: str, file: str) -> str:
    """`text` without its byte order mark. Raises LanguageError for a character that does not belong in a text."""
    text = text.removeprefix(_BYTE_ORDER_MARK)
    for refused in (_REFUSED, _LINE_SEPARATORS):
        match = refused.search(text)
        if match:
            name = "NUL" if match[0] == "\0" else f"U+{ord(match[0]):04X}"
            raise LanguageError(f"character {name} is not allowed in a text", _end_of(text[: match.start()], file))
    return text


def check_string(text: str, location: Location) -> list[Mistake]:
    """What is wrong with a string that was written with escapes."""
    match = None if text.isascii() and "\0" not in text else _NOT_A_STRING.search(text)
    if match is None:
        return []
    return [Mistake(f"escape of U+{ord(match[0]):04X}, which is not allowed in a text", location)]


def _end_of(text: str, file: str) -> Location:
    """The place just behind `text`."""
    begin, line = 0, 1
    for match in LINE_END.finditer(text):
        begin, line = match.end(), line + 1
    return Location(file, line, len(text) - begin + 1)
