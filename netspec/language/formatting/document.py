"""`netspec fmt`: the canonical text of a spec, with its comments."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from netspec.errors import Location
from netspec.language.formatting.comments import Notes, assign
from netspec.language.formatting.json_writer import write_json
from netspec.language.formatting.layout import Layout, read_layout
from netspec.language.formatting.yaml_writer import write_yaml
from netspec.language.reader import contents, read_text
from netspec.language.scope import node_of
from netspec.language.text import check_characters, decode

_OTHER_LINE_END = re.compile(r"\r\n?")


def format_file(path: str | os.PathLike[str]) -> tuple[bytes, bytes]:
    """What a file holds, and what it should hold. Raises LanguageError where it cannot be read."""
    file = os.fspath(path)
    data = contents(file)
    return data, format_text(decode(data, file), file).encode("utf-8")


def format_text(text: str, file: str = "<text>") -> str:
    """The canonical text of a spec; `file` names it in messages, and its ending tells JSON from YAML.

    Keys stand in the language's order, those of params, inputs and outputs as written; short lists and mappings in one
    line of up to 120 columns; aliases are written out. The values are the same, and so are the comments. Formatting the
    result changes nothing. Raises LanguageError where the text is not YAML or JSON; whether it is a right spec does
    not matter.
    """
    document = read_text(text, file)
    if file.lower().endswith(".json"):
        formatted = write_json(document.root)
    else:
        layout = read_layout(_OTHER_LINE_END.sub("\n", check_characters(text, file)))
        formatted = write_yaml(document.root, assign(layout))
        # A mistake of ours must not cost anybody's comments.
        assert _comments(read_layout(formatted)) == _comments(layout), "formatting lost a comment"
    assert read_text(formatted, file).root.plain() == document.root.plain(), "formatting changed a value"
    return formatted


def format_value(spec: Mapping[str, Any], file: str) -> str:
    """The canonical text of a spec in plain values, for the file of this name: JSON if it ends in `.json`."""
    root = node_of(spec, Location(file, 1, 1))
    return write_json(root) if file.lower().endswith(".json") else write_yaml(root, Notes())


def _comments(layout: Layout) -> Counter[str]:
    return Counter(comment.text for comment in layout.comments if comment.text)
