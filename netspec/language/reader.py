"""A file or a text to a Document: finds the format, keeps the budgets, and says where every value is written."""

from __future__ import annotations

import os
import stat

from netspec.errors import LanguageError, Location
from netspec.language.budgets import MAX_BYTES
from netspec.language.document import Document, Node
from netspec.language.text import check_characters, decode


def read(path: str | os.PathLike[str]) -> Document:
    """The spec in the file `path`: JSON if its name ends in `.json`, else YAML.

    Raises LanguageError for all that is wrong with the file or with its text. Never waits for a pipe and never
    reads a device.
    """
    file = os.fspath(path)
    return read_text(contents(file), file)


def read_included(file: str, may_be_linked: bool, budget: int) -> tuple[Document, int]:
    """A file that another one includes, and its size, which `budget` bounds. Raises LanguageError as `read` does.

    A file with a second name is refused unless it `may_be_linked`: that name may stand outside of the folder.
    """
    data = contents(file, may_be_linked)
    if len(data) > budget:
        raise LanguageError("include: all files together are too large", Location(file, 1, 1))
    return read_text(data, file), len(data)


def read_text(text: str | bytes, file: str = "<text>") -> Document:
    """The spec in `text`; `file` names it in messages, and its ending tells JSON from YAML.

    Raises LanguageError, with every mistake found up to the one that reading cannot go beyond.
    """
    root = _compose(text, file)
    if root is None:
        raise LanguageError("the file is empty: a mapping is expected", Location(file, 1, 1))
    if not isinstance(root.value, dict):
        raise LanguageError(f"a mapping is expected at the top, got {_kind(root)}", root.location)
    return Document(file, root)


def read_value(text: str, source: str) -> Node:
    """One YAML value of any kind, as the command line gives it; `source` names it in messages."""
    root = _compose(text, source)
    if root is None:
        raise LanguageError("a value is expected", Location(source, 1, 1))
    return root


def _compose(text: str | bytes, file: str) -> Node | None:
    # Imported here: PyYAML costs 30 ms, which a program that reads no spec should not pay.
    from netspec.language import json_reader, yaml_reader

    size = len(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise LanguageError(f"{size:,} bytes of text: at most {MAX_BYTES:,} are read", Location(file, 1, 1))
    checked = check_characters(decode(text, file) if isinstance(text, bytes) else text, file)
    is_json = file.lower().endswith(".json")
    return json_reader.compose(checked, file) if is_json else yaml_reader.compose(checked, file)


def contents(file: str, may_be_linked: bool = True) -> bytes:
    """The bytes of a file, which must be a regular one within the budget. Raises LanguageError."""
    start = Location(file, 1, 1)
    try:
        # Non-blocking: opening a pipe that nobody writes to would otherwise hang.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise LanguageError(f"cannot be opened: {error.strerror}", start) from None
    except ValueError:
        raise LanguageError("cannot be opened: NUL in the name", start) from None
    try:
        status = os.fstat(descriptor)
        mode = status.st_mode
        if stat.S_ISREG(mode) and status.st_nlink > 1 and not may_be_linked:
            raise LanguageError("a hard link is not included: it may lead out of the folder", start)
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
            raise LanguageError(f"a file is expected, this is {kind}", start)
        with open(descriptor, "rb", closefd=False) as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise LanguageError(f"cannot be read: {error.strerror}", start) from None
    finally:
        os.close(descriptor)
    if len(data) > MAX_BYTES:
        raise LanguageError(f"the file is larger than {MAX_BYTES:,} bytes", start)
    return data


def _kind(node: Node) -> str:
    if isinstance(node.value, list):
        return "a list"
    return "text" if isinstance(node.value, str) else "nothing" if node.value is None else "a number or a flag"
