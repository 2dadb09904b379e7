"""What the README shows with frameworks is what happens: its comparison, and its Python."""

import re
from pathlib import Path

from tests.core.fenced_blocks import blocks, commands
from tests.core.test_readme import NEEDS_FRAMEWORK, README, folder, python, shell

__all__ = ["folder"]

# Error figures differ from one machine to another.
FIGURE = re.compile(r"\d\.\de-\d\d")


def test_commands_print_what_is_shown(folder: Path) -> None:
    run = [command for command in commands(README) if NEEDS_FRAMEWORK.search(command.line)]
    assert run
    for command in run:
        printed = shell(command.line, folder)
        assert FIGURE.sub("FIGURE", printed) == FIGURE.sub("FIGURE", command.output), printed


def test_python_with_frameworks(folder: Path) -> None:
    run = [block for block in blocks(README, "python") if NEEDS_FRAMEWORK.search(block.text)]
    assert run
    for block in run:
        python(block.text, folder)
