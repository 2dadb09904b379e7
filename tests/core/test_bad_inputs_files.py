"""Bad inputs that are no specs, by way of the command: sizes beyond the memory, weights files, what stands around.

Rows 12 and 30 to 36 of the table. Row 37 is about ONNX files: no command reads one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import netspec
from netspec.analysis import memory_limit
from netspec.analysis.memory_limit import available_memory, check_build
from netspec.backend import find_backend
from netspec.errors import NetspecError
from netspec.weights.initial import initial_weights
from netspec.weights.safetensors_file import write_weights
from tests.core.test_bad_inputs import BYTES, SECONDS, good_command, measured, snapshot
from tests.core.test_weights_file import HOSTILE, npz, zipped

LARGE = "netspec: 1\ninputs: {x: {shape: [batch, 1000000]}}\nlayers: [{type: linear, out_features: 1000000}]\n"
HUGE = "netspec: 1\ninputs: {x: {shape: [2147483647, 2147483647, 2147483647, 2147483647]}}\nlayers: [relu]\n"
SMALL = "netspec: 1\nname: m\ninputs: {x: {shape: [batch, 6]}}\nlayers: [{name: fc, type: linear, out_features: 3}]\n"


def refused(folder: Path, *arguments: str) -> list[str]:
    """The lines of a command that exits with 2, within the limits of time and memory, and changes nothing."""
    before = snapshot(folder)
    finished, took = measured(folder, *arguments, imports=("numpy",))
    assert (finished.returncode, finished.stdout) == (2, ""), finished.stderr
    assert took.seconds < good_command("small").seconds + SECONDS
    assert took.bytes < BYTES
    assert snapshot(folder) == before
    lines = finished.stderr.splitlines()
    assert 1 <= len(lines) <= 11
    assert all(line.isprintable() for line in lines)
    return lines


# Row 12.


@pytest.mark.parametrize(
    ("text", "command", "size"),
    [
        (LARGE, ["verify", "s.yaml"], "28,000,076,000,000"),
        (LARGE, ["export", "onnx", "s.yaml", "-o", "m.onnx"], "8,000,008,000,000"),
        (LARGE, ["weights", "init", "s.yaml", "-o", "w.safetensors"], "4,000,004,000,000"),
        (HUGE, ["verify", "s.yaml"], "340,282,366"),
    ],
    ids=["verify", "export", "init", "verify huge"],
)
def test_what_no_memory_holds_is_refused_with_its_bytes(
    tmp_path: Path, text: str, command: list[str], size: str
) -> None:
    (tmp_path / "s.yaml").write_text(text)
    (tmp_path / "m.onnx").write_bytes(b"old")
    (line,) = refused(tmp_path, *command)
    assert f"takes at least {size}" in line
    assert "are free on this machine; --max-bytes" in line


def test_what_no_memory_holds_is_counted_exactly(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(LARGE)
    finished, took = measured(tmp_path, "count-params", "s.yaml")
    assert "1,000,001,000,000" in finished.stdout
    assert took.bytes < BYTES
    assert netspec.count_params(str(tmp_path / "s.yaml")).total == 10**12 + 10**6


def test_the_limit_can_be_given_and_a_spec_cannot_give_it(tmp_path: Path) -> None:
    spec = netspec.loads(SMALL)
    with pytest.raises(NetspecError, match="building m takes at least 168 bytes of memory, and 167 are allowed"):
        netspec.build(spec, "numpy", max_bytes=167)
    assert netspec.build(spec, "numpy", max_bytes=168).weights()
    with pytest.raises(NetspecError, match="verifying m takes at least"):
        netspec.verify(spec, "numpy", max_bytes=100)
    with pytest.raises(NetspecError, match="max_bytes: expected an integer from 0 up, got '5'"):
        netspec.build(spec, "numpy", max_bytes="5")  # type: ignore[arg-type]
    with pytest.raises(NetspecError, match="unknown key max_bytes"):
        netspec.loads(SMALL + "max_bytes: 1\n")


def test_the_free_memory_is_that_of_the_machine_and_of_its_group(monkeypatch: pytest.MonkeyPatch) -> None:
    free = available_memory()
    assert free is not None
    assert free > 10**6
    spec = netspec.loads(SMALL)
    for found, refuses in ((None, False), (167, True), (168, False)):
        monkeypatch.setattr(memory_limit, "available_memory", lambda found=found: found)
        if refuses:
            with pytest.raises(NetspecError, match="167 are free on this machine"):
                check_build(spec.inference, "float32")
        else:
            check_build(spec.inference, "float32")


# Rows 30 to 32, through a command; test_weights_file.py has every header.


@pytest.mark.parametrize("name", ["length of 2^63", "longer than the file", "overlap", "hole between", "name twice"])
def test_a_hostile_weights_file(tmp_path: Path, name: str) -> None:
    content, message = HOSTILE[name]
    (tmp_path / "w.safetensors").write_bytes(content)
    (line,) = refused(tmp_path, "weights", "inspect", "w.safetensors")
    assert line.startswith("w.safetensors: ")
    assert message in line


FOREIGN = {
    "pickle": (b"\x80\x04cposix\nsystem\n(S'touch was_here'\ntR.", "a pickle"),
    "torch": (zipped("model/data.pkl", "model/data/0"), "a PyTorch file"),
    "npz": (npz(), "a NumPy archive"),
    "keras": (zipped("metadata.json", "config.json"), "a Keras file"),
    "h5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "a Git LFS pointer"),
    "html": (b"<!DOCTYPE html>\n<html><title>404</title></html>", "an HTML page"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_is_told_by_its_look_and_never_opened(tmp_path: Path, kind: str) -> None:
    content, look = FOREIGN[kind]
    (tmp_path / "s.yaml").write_text(SMALL)
    (tmp_path / "w.safetensors").write_bytes(content)
    (line,) = refused(tmp_path, "export", "onnx", "s.yaml", "--weights", "w.safetensors", "-o", "m.onnx")
    assert f"it looks like {look}" in line
    assert "`netspec weights convert`" in line


def test_weights_that_do_not_fit_are_ten_lines_and_a_count(tmp_path: Path) -> None:
    import numpy as np

    (tmp_path / "s.yaml").write_text(SMALL)
    arrays: dict[str, Any] = {f"extra{number}\x1b": np.zeros(1, np.float32) for number in range(20)}
    write_weights(tmp_path / "w.safetensors", {**arrays, "fc.weight": np.zeros((2, 2), np.float32)})
    lines = refused(tmp_path, "export", "onnx", "s.yaml", "--weights", "w.safetensors", "-o", "m.onnx")
    assert len(lines) == 11
    assert lines[-1] == "and 12 more mistakes"


# Rows 33 and 34.


@pytest.mark.parametrize("output", ["nowhere/m.onnx", "s.yaml/m.onnx", "folder"])
def test_where_nothing_can_be_written(tmp_path: Path, output: str) -> None:
    (tmp_path / "s.yaml").write_text(SMALL)
    (tmp_path / "folder").mkdir()
    before = snapshot(tmp_path)
    finished, _ = measured(tmp_path, "weights", "init", "s.yaml", "-o", output, imports=("numpy",))
    assert (finished.returncode, finished.stdout, finished.stderr.count("\n")) == (2, "", 1)
    assert snapshot(tmp_path) == before


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(SMALL.replace("6", "6000"))
    (tmp_path / "w.safetensors").write_bytes(b"old")
    limited = ["/bin/sh", "-c", 'ulimit -f 8; exec "$@"', "sh", sys.executable, "-m", "netspec"]
    finished = subprocess.run(
        [*limited, "weights", "init", "s.yaml", "-o", "w.safetensors"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False, env=environment(),
    )  # fmt: skip
    assert (finished.returncode, finished.stdout, finished.stderr.count("\n")) == (2, "", 1)
    assert (tmp_path / "w.safetensors").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.yaml", "w.safetensors"]


@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL])
def test_stopped_while_it_works_leaves_the_old_file(tmp_path: Path, kill: signal.Signals) -> None:
    (tmp_path / "s.yaml").write_text(SMALL.replace("6", "20000").replace("3", "20000"))
    (tmp_path / "w.safetensors").write_bytes(b"old")
    process = subprocess.Popen(
        [sys.executable, "-m", "netspec", "weights", "init", "s.yaml", "-o", "w.safetensors"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
    )  # fmt: skip
    time.sleep(1.5)  # 1.6 GB take several seconds to draw
    process.send_signal(kill)
    _, shown = process.communicate(timeout=60)
    assert process.returncode == (130 if kill == signal.SIGINT else -signal.SIGKILL)
    assert b"Traceback" not in shown
    assert (tmp_path / "w.safetensors").read_bytes() == b"old"


def test_writing_over_the_file_just_loaded(tmp_path: Path) -> None:
    spec = netspec.loads(SMALL)
    path = tmp_path / "w.safetensors"
    write_weights(path, initial_weights(spec.inference, 3))
    loaded = netspec.load_weights(spec, path).arrays
    copies = {name: array.copy() for name, array in loaded.items()}
    write_weights(path, {name: array * 2 for name, array in loaded.items()})
    for name, array in netspec.load_weights(spec, path).arrays.items():
        assert (array == 2 * copies[name]).all()
        assert (loaded[name] == copies[name]).all()


# Row 36; row 35 is in test_cli_process.py.


def test_a_backend_that_is_not_installed_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find_backend("torch"), "missing", ("torch",))
    with pytest.raises(NetspecError, match=r"backend torch needs torch: pip install 'netspec-nn\[torch\]'"):
        netspec.build(netspec.loads(SMALL), "torch")


def environment() -> dict[str, str]:
    """That of the commands, with this checkout's netspec."""
    root = Path(__file__).parents[2]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "backends")])}
