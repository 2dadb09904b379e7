"""What the README shows is what happens: its file, its commands and its Python, as far as no framework is needed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.core.fenced_blocks import ROOT, blocks, commands

README = "README.md"
# These start frameworks: tests/backends/test_readme.py runs them.
NEEDS_FRAMEWORK = re.compile(r"netspec (verify|export)|netspec\.(build|verify|export_onnx)\(")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the README's net.yaml."""
    (spec,) = blocks(README, "yaml")
    (tmp_path / "net.yaml").write_text(spec.text)
    return tmp_path


def shell(line: str, folder: Path) -> str:
    """What a command of the README prints, errors included."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    finished = subprocess.run(
        ["bash", "-c", f"{line} 2>&1"],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return finished.stdout


def python(code: str, folder: Path) -> None:
    """Runs Python of the README, which has its own asserts."""
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert finished.returncode == 0, finished.stderr


def test_commands_print_what_is_shown(folder: Path) -> None:
    run = [command for command in commands(README) if not NEEDS_FRAMEWORK.search(command.line)]
    assert len(run) >= 4
    for command in run:
        assert shell(command.line, folder) == command.output, command.line


def test_python_without_a_framework(folder: Path) -> None:
    run = [block for block in blocks(README, "python") if not NEEDS_FRAMEWORK.search(block.text)]
    assert run
    for block in run:
        python(block.text, folder)


def test_every_target_of_make_that_is_named_is_there() -> None:
    named = set(re.findall(r"^make (\w+)|`(?:\S+=\S+ )?make (\w+)`", (ROOT / README).read_text(), re.MULTILINE))
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test", "lint", "bench", "layers"} == {first or second for first, second in named}
    assert {"demo", "test", "lint", "bench", "layers"} <= targets


def test_every_path_that_is_named_is_there() -> None:
    text = (ROOT / README).read_text()
    paths = re.findall(r"\]\(([^)]+)\)", text) + re.findall(r"^(netspec/\S+|backends/)\s", text, re.MULTILINE)
    paths += re.findall(r"`((?:netspec|backends|tests|specs)/[\w/.]*)`", text)
    assert len(paths) >= 20
    assert [path for path in paths if not (ROOT / path).exists()] == []
