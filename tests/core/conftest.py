"""Running commands of `netspec` inside the test's process."""

from collections.abc import Callable
from pathlib import Path

import pytest

from netspec.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process: status, standard output, standard error."""

    def call(*arguments: str) -> tuple[int, str, str]:
        status = main(arguments)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def spec(tmp_path: Path) -> Callable[[str], str]:
    """Writes a spec and gives its path."""

    def write(text: str) -> str:
        path = tmp_path / "spec.yaml"
        path.write_text(text)
        return str(path)

    return write
