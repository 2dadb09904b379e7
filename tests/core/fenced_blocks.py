"""Reads the fenced blocks of a page in Markdown, so that tests can run what readers copy from it."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(\w+)(?: (\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: what stands behind its opening fence, its text, and the line where that begins."""

    language: str
    mark: str
    text: str
    line: int


class Command(NamedTuple):
    """A line behind `$` in a console block, and what is printed under it."""

    line: str
    output: str


def blocks(page: str, language: str) -> list[Block]:
    """The blocks of a page in one language, in order."""
    return [block for block in all_blocks(page) if block.language == language]


def all_blocks(page: str) -> list[Block]:
    """All blocks of a page, in order. A fence without a language, or without an end, fails."""
    text = (ROOT / page).read_text()
    found = [
        Block(match[1], match[2] or "", match[3], text.count("\n", 0, match.start(3)) + 1)
        for match in _BLOCK.finditer(text)
    ]
    assert len(found) * 2 == len(re.findall(r"^```", text, re.MULTILINE)), f"{page}: a fence that is no block"
    return found


def commands(page: str) -> list[Command]:
    """What the console blocks of a page show, in order."""
    found: list[Command] = []
    for block in blocks(page, "console"):
        parts = re.split(r"^\$ (.*)\n", block.text, flags=re.MULTILINE)
        assert parts[0] == "", f"{page}:{block.line}: a console block begins with a command"
        found += [Command(line, output) for line, output in zip(parts[1::2], parts[2::2], strict=True)]
    return found
