"""Where the specs that come with netspec are, by name."""

from __future__ import annotations

import errno
import os
import re
from functools import cache
from pathlib import Path

from netspec.errors import LanguageError, Location, nearest, printable

PREFIX = "zoo:"

_WORD = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


@cache
def zoo_folder() -> Path:
    """The folder of the specs: beside the package in a checkout, inside it where netspec is installed."""
    package = Path(__file__).parent.parent
    inside = package / "specs"
    return inside if inside.is_dir() else package.parent / "specs"


@cache
def zoo_names() -> dict[str, Path]:
    """The specs of the zoo by name, which is the file's without its ending."""
    return {path.stem: path for path in sorted(zoo_folder().rglob("*.yaml"), key=lambda path: path.stem)}


def spec_file(path: str | os.PathLike[str]) -> str:
    """The file that a user means: the one at `path`, or where nothing is there, the spec of the zoo of that name.

    `zoo:NAME` is of the zoo always. Raises LanguageError with the nearest name where there is neither.
    """
    name = os.fspath(path)
    is_word = _WORD.fullmatch(name) is not None and not os.path.lexists(name)
    if name.startswith(PREFIX) or (is_word and name in zoo_names()):
        return zoo_file(name)
    if is_word:
        message = f"there is no such file, and none in the zoo{nearest(name, zoo_names())}"
        raise LanguageError(message, Location(name, 1, 1))
    if not os.path.lexists(name):
        hint = _nearest_file(name)
        if hint:
            message = f"cannot be opened: {os.strerror(errno.ENOENT)}{hint}"
            raise LanguageError(message, Location(name, 1, 1))
    return name


def _nearest_file(name: str) -> str:
    """A hint at a file of the same folder, or at a spec of the zoo, that is called nearly so."""
    folder, base = os.path.split(name)
    try:
        known = [path.name for path in Path(folder or ".").iterdir()]
    except (OSError, ValueError):
        return ""
    return nearest(base, [*known, *(() if folder else zoo_names())])


def zoo_file(name: str, location: Location | None = None) -> str:
    """The path of `zoo:NAME` or `NAME`. Raises LanguageError with the nearest name."""
    word = name.removeprefix(PREFIX)
    known = zoo_names()
    if word not in known:
        raise LanguageError(f"the zoo has no {printable(word[:64])}{nearest(word, known)}", location)
    return os.path.relpath(known[word]) if _is_near(known[word]) else str(known[word])


def _is_near(path: Path) -> bool:
    return path.is_relative_to(Path.cwd())
