"""Where the specs that come with netspec are, by name."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from netspec.errors import LanguageError, Location, nearest, printable

PREFIX = "zoo:"


@cache
def zoo_folder() -> Path:
    """The folder of the specs: beside the package in a checkout, inside it where netspec is installed."""
    package = Path(__file__).parent.parent
    inside = package / "specs"
    return inside if inside.is_dir() else package.parent / "specs"


@cache
def zoo_names() -> dict[str, Path]:
    """The specs of the zoo by name, which is the file's without its ending."""
    found = sorted(path for path in zoo_folder().rglob("*.yaml") if not path.name.startswith("_"))
    return {path.stem: path for path in found}


def zoo_file(name: str, location: Location | None = None) -> str:
    """The path of `zoo:NAME` or `NAME`. Raises LanguageError with the nearest name."""
    word = name.removeprefix(PREFIX)
    known = zoo_names()
    if word not in known:
        raise LanguageError(f"the zoo has no {printable(word[:64])}{nearest(word, known)}", location)
    return os.path.relpath(known[word]) if _is_near(known[word]) else str(known[word])


def _is_near(path: Path) -> bool:
    return path.is_relative_to(Path.cwd())
