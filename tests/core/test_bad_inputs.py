"""Every case of tests/data/bad_inputs: its lines, its time, and as a process its status, memory and untouched files."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from netspec.cli.options import parse_params
from netspec.errors import NetspecError
from netspec.spec import Spec, load, loads
from tests.core.bad_input_cases import Case, cases, written

CASES = list(cases())
ROWS = frozenset(range(1, 39))
# Those that are no spec have tests of their own, in test_bad_inputs_files.py;
# 37 is about ONNX files, and netspec reads none.
ELSEWHERE = frozenset({30, 31, 32, 33, 34, 35, 36, 37})
SECONDS = 1.0
BYTES = 150 * 10**6

ROOT = Path(__file__).parents[2]
GOOD: dict[str, list[Any]] = {
    "small": ["netspec: 1\ninputs: {x: {shape: [batch, 12]}}\nlayers: [relu]\n"],
    "layers": [
        "netspec: 1\ninputs: {x: {shape: [batch, 12]}}\nlayers:\n",
        {"repeat": "  - {name: layer<n>, type: relu}\n", "times": 12000},
    ],
    "values": [
        "netspec: 1\ninputs: {x: {shape: [batch, 12]}}\nlayers: [relu]\nx-values: [",
        {"repeat": "1,", "times": 98000},
        "1]\n",
    ],
}


class Took(NamedTuple):
    """What a command took."""

    seconds: float
    bytes: int


def test_every_row_of_the_table_has_a_case_and_every_case_a_name_of_its_own() -> None:
    assert {case.row for case in CASES if isinstance(case.row, int)} == ROWS - ELSEWHERE
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert len(names) > 150


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_spec_is_refused_with_its_lines(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if case.has_folder:
        case.write(tmp_path)
        monkeypatch.chdir(tmp_path)
    limit = SECONDS + good_seconds(case.like)
    for _ in range(3):  # other programs run beside the tests: the limit holds for the best of three
        begin = time.process_time()
        lines, warnings = read(case)
        seconds = time.process_time() - begin
        if seconds < limit:
            break
    assert seconds < limit
    assert_lines(lines, case)
    assert bool(lines) is not case.accepted
    assert warnings == case.warned


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.command], ids=[case.name for case in CASES if case.command]
)
def test_the_command_refuses_it_in_time_and_memory_and_touches_nothing(case: Case, tmp_path: Path) -> None:
    case.write(tmp_path)
    before = snapshot(tmp_path)
    assert case.command is not None
    finished, took = measured(tmp_path, *case.command, case.file)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert_lines(finished.stderr.splitlines(), case)
    assert took.seconds < good_command(case.like).seconds + SECONDS
    assert took.bytes < max(BYTES, good_command(case.like).bytes)
    assert snapshot(tmp_path) == before


def read(case: Case) -> tuple[list[str], tuple[str, ...]]:
    """The lines that a case is refused with, and its warnings where it is not."""
    try:
        params = parse_params(case.set)
        spec = load(case.file, params) if case.has_folder else loads(case.data(), params, file=case.file)
        spec.graphs  # noqa: B018 - both graphs are made
    except NetspecError as error:
        return str(error).split("\n"), ()
    return [], tuple(map(str, spec.warnings))


def assert_lines(lines: list[str], case: Case) -> None:
    """Each line begins as expected; they are ten and a count at most, and a terminal shows them as they are."""
    begun = [line[: len(expected)] for line, expected in zip(lines, case.expected, strict=False)]
    assert (begun, len(lines)) == (list(case.expected[: len(lines)]), len(case.expected))
    assert len(lines) <= 11
    for line in lines:
        assert line.isprintable()
        assert len(line) < 600
        assert "4711" not in line and "root:" not in line  # of files that are refused


def measured(
    folder: Path, *arguments: str, imports: tuple[str, ...] = ()
) -> tuple[subprocess.CompletedProcess[str], Took]:
    """A command in a process of its own, in `folder`, and what it took; it imports no framework but `imports`."""
    report = folder.parent / f"{folder.name}.report"
    command = [sys.executable, str(ROOT / "tests" / "core" / "measured_command.py"), str(report), *arguments]
    path = os.pathsep.join([str(ROOT), str(ROOT / "backends")])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    finished = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    assert "Traceback" not in finished.stderr
    found = json.loads(report.read_text())
    assert set(found["imported"]) <= set(imports)
    return finished, Took(found["seconds"], found["peak"])


@functools.cache
def good_seconds(like: str) -> float:
    """The seconds that a good spec takes inside a program that runs already."""
    if like == "small":
        return 0.0
    text = written(GOOD[like])
    begin = time.process_time()
    assert isinstance(loads(text).graphs.inference.name, str)
    return time.process_time() - begin


@functools.cache
def good_command(like: str) -> Took:
    """What `validate` takes for a good spec, the start of Python included."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "inside").mkdir()
        (Path(folder) / "inside" / "good.yaml").write_text(written(GOOD[like]))
        finished, took = measured(Path(folder) / "inside", "validate", "good.yaml")
        assert finished.returncode == 0, finished.stderr
        return took


def snapshot(folder: Path) -> dict[str, Any]:
    """All that stands in a folder: bytes of files, targets of links, kinds of the others."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = path.readlink()
        else:
            found[name] = path.read_bytes() if path.is_file() else path.stat().st_mode
    return found


def test_a_text_of_python_names_the_param(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NetspecError) as caught:
        loads("netspec: 1\nparams: {w: 3}\ninputs: {x: {shape: [1, 2]}}\nlayers: [relu]\n", {"w": "three"})
    assert str(caught.value) == "params['w']: param w: expected an integer like its default 3, got text 'three'"


def test_the_budget_of_a_repeat_takes_no_50_milliseconds() -> None:
    chosen = {case.name: case for case in CASES}
    for name in ("a repeat of a thousand million", "five nested repeats of 100"):
        data = chosen[name].data()
        best = min(_seconds(data) for _ in range(5))
        assert best < 0.05, name


def _seconds(data: bytes) -> float:
    begin = time.process_time()
    with pytest.raises(NetspecError):
        loads(data)
    return time.process_time() - begin


def test_a_working_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    text = written(GOOD["small"])
    assert isinstance(loads(text), Spec)
    with pytest.raises(NetspecError, match="no file is there"):
        loads(text + "include: [a.yaml]\n", file="spec.yaml")
