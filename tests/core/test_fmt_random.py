"""`netspec fmt` on random texts: values stay, comments stay, and formatting twice is formatting once."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.errors import LanguageError
from netspec.language.document import Plain
from netspec.language.formatting.comments import Notes
from netspec.language.formatting.document import format_text
from netspec.language.formatting.layout import read_layout
from netspec.language.formatting.yaml_writer import write_yaml
from netspec.language.reader import read_text

KEYS = (
    *("netspec", "name", "params", "inputs", "layers", "blocks", "outputs", "from", "type", "init", "description"),
    *("x-a", "no", "1", "a b", "#", "x:", "", "- a", "ä", "null", "[", "a#b", "<<", "$("),
)
WORDS = (
    *("relu", "$(a[0])", "$(a)", "# no", "a # b", "a: b", "{", "no", "1e3", "0x1", "", " ", "\n", "\t"),
    *("'", '"', "\\", "$("),
)
TEXTS = st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=4).map(" ".join) | st.text(max_size=200)
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
PIECES = (
    *("a", "b:", "- ", "- c", "  ", "    ", "# x", " # y", "\n", "\n", "{", "}", "[", "]", ",", "|", ">-", "'", '"'),
    *("&a", "*a"),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | TEXTS, inner, max_size=5),
    max_leaves=25,
)
TREES = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6)


def plain(text: str, file: str = "s.yaml") -> Plain:
    return read_text(text, file).root.plain()


def comments(text: str) -> Counter[str]:
    return Counter(comment.text for comment in read_layout(text).comments if comment.text)


def readable(tree: Any) -> bool:
    """Whether JSON's reader takes the tree: it refuses characters that no text should hold."""
    try:
        return plain(json.dumps(tree), "s.json") == tree
    except LanguageError:
        return False


def commented(text: str, choices: random.Random) -> str:
    """`text` with comments of its own, numbered, behind its lines and between them, wherever they change no value."""
    value, lines = plain(text), text.splitlines()
    for number in range(choices.randint(1, 8)):
        at = choices.randrange(len(lines) + 1)
        changed = list(lines)
        if at < len(lines) and choices.random() < 0.5:
            changed[at] += f"{' ' * choices.randint(1, 3)}# <{number}>"
        else:
            space = ["", " " * choices.randint(0, 8)] if choices.random() < 0.3 else []
            changed[at:at] = [*space, f"{' ' * choices.randint(0, 8)}#<{number}> a # b"]
        try:
            kept = plain("\n".join(changed)) == value
        except LanguageError:
            kept = False
        if kept:
            lines = changed
    return "\n".join(lines) + "\n"


@settings(max_examples=300, deadline=None)
@given(TREES.filter(readable), st.randoms(use_true_random=False))
def test_random_specs_with_comments(tree: dict[str, Any], choices: random.Random) -> None:
    indented = json.dumps(tree, indent=choices.choice([None, 0, 1, 2]), ensure_ascii=False)
    block = format_text(json.dumps(tree), "s.json")
    for text in (format_text_of(tree), *([indented] if yaml_takes(indented, tree) else [])):
        assert plain(text) == tree
        given_text = commented(text, choices)
        formatted = format_text(given_text)
        assert plain(formatted) == tree
        assert comments(formatted) == comments(given_text)
        assert format_text(formatted) == formatted
    assert plain(block, "s.json") == tree
    assert format_text(block, "s.json") == block


def format_text_of(tree: dict[str, Any]) -> str:
    """The canonical YAML of a tree that has no text yet."""
    return write_yaml(read_text(json.dumps(tree), "s.json").root, Notes())


def yaml_takes(text: str, tree: dict[str, Any]) -> bool:
    """Whether a text of JSON is the same text of YAML: some characters are no YAML."""
    try:
        return plain(text) == tree
    except LanguageError:
        return False


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_random_characters(text: str) -> None:
    try:
        value = plain(text)
    except LanguageError:
        return
    formatted = format_text(text)
    assert plain(formatted) == value
    assert comments(formatted) == comments(text)
    assert format_text(formatted) == formatted
