"""Running commands of `netspec` inside the test's process, and reading YAML with each of the two parsers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from netspec.cli import main
from netspec.language import yaml_reader
from tests.core.reading import PARSERS

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


@pytest.fixture(params=PARSERS, ids=["C parser", "Python parser"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs the test with the parser in C and with the one in Python."""
    monkeypatch.setattr(yaml_reader, "PARSER", request.param)
