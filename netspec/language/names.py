"""Which names a spec may give, and globs over dotted paths."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property

from netspec.errors import LanguageError, Location, printable

MAX_NAME_BYTES = 128
MAX_PATH_BYTES = 1024

_PART = r"[A-Za-z0-9_][A-Za-z0-9_-]*"
_NAME = re.compile(rf"{_PART}(\.{_PART})*\Z")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_WORDS = frozenset({"true", "false", "and", "or", "not", "if", "else", "for", "in"})


def check_name(name: str, what: str, location: Location | None) -> str:
    """`name` itself, or a LanguageError: parts of letters, digits, `_` and `-`, joined by dots."""
    if len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        raise LanguageError(f"a name of more than {MAX_NAME_BYTES} bytes for {what}", location)
    if not _NAME.match(name):
        message = f"{what} is called '{printable(name)}': a name has letters, digits, _ and -, in parts joined by dots"
        raise LanguageError(message, location)
    if any(part.startswith("__") for part in name.split(".")):
        raise LanguageError(f"{what} is called {name}: names with __ in front are reserved", location)
    return name


def check_path(path: str, location: Location | None) -> None:
    """A LanguageError for a path that is too long to be a name in a file."""
    if len(path) > MAX_PATH_BYTES:
        raise LanguageError(f"a path of more than {MAX_PATH_BYTES:,} bytes", location)


def check_identifier(name: str, what: str, location: Location | None) -> str:
    """`name` itself, or a LanguageError: a name that expressions can see."""
    check_name(name, what, location)
    if not _IDENTIFIER.match(name) or name in _WORDS:
        raise LanguageError(f"{what} is called {name}: letters, digits and _ are allowed, no word of $(...)", location)
    return name


def is_identifier(name: str) -> bool:
    """Whether expressions can see `name`."""
    return bool(_IDENTIFIER.match(name)) and name not in _WORDS


@dataclass(frozen=True)
class Glob:
    """A pattern over paths: `*`, `?`, `[12]`, `[1-4]` within one part; it holds for what it matches and all beneath."""

    text: str
    location: Location | None = None

    @property
    def thaws(self) -> bool:
        """Whether it begins with `!`."""
        return self.text.startswith("!")

    def matches(self, path: str) -> bool:
        """Whether `path`, or something that it is beneath of, is what the pattern names."""
        if self.is_plain:
            return path.startswith(self.name) and path[len(self.name) :][:1] in ("", ".")
        parts = path.split(".")
        return len(self._parts) <= len(parts) and all(
            pattern.match(part) for pattern, part in zip(self._parts, parts, strict=False)
        )

    @cached_property
    def name(self) -> str:
        """The pattern itself, without `!`."""
        return self.text.removeprefix("!")

    @cached_property
    def is_plain(self) -> bool:
        """Whether it is a path, and no pattern."""
        return not any(character in self.name for character in "*?[")

    @cached_property
    def _parts(self) -> Sequence[re.Pattern[str]]:
        return [re.compile(translate(part)) for part in self.name.split(".")]


def last_match(globs: Sequence[Glob], path: str) -> Glob | None:
    """The last of `globs` that matches `path`: it wins."""
    return GlobIndex(globs).last_match(path)


class GlobIndex:
    """Which of many globs match a path. One that is a path itself is looked up: 10,000 of them take no minutes."""

    def __init__(self, globs: Sequence[Glob]) -> None:
        self._globs = globs
        self._plain = {glob.name: position for position, glob in enumerate(globs) if glob.is_plain}
        self._patterns = [position for position, glob in enumerate(globs) if not glob.is_plain][::-1]

    def last_match(self, path: str) -> Glob | None:
        """The last glob that matches `path`, or None."""
        last = max((self._plain.get(above, -1) for above in _with_those_above(path)), default=-1)
        for position in self._patterns:
            if position > last and self._globs[position].matches(path):
                last = position
                break
        return self._globs[last] if last >= 0 else None

    def unused(self, paths: Sequence[str]) -> list[Glob]:
        """The globs that match none of `paths`."""
        known = {above for path in paths for above in _with_those_above(path)}
        return [
            glob
            for glob in self._globs
            if not (glob.name in known if glob.is_plain else any(glob.matches(path) for path in paths))
        ]


def _with_those_above(path: str) -> Iterator[str]:
    """`a.b.c`, `a.b`, `a`."""
    while path:
        yield path
        path = path.rpartition(".")[0]
