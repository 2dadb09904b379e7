"""What `netspec verify` promises beside the comparison itself: its JSON, its inputs, its failures, its processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.backend import Backend, FloatType, find_backend
from netspec.compare.case import make_case
from netspec.compare.tolerance import Reference, max_difference
from netspec.compare.verify import ask
from netspec.compare.worker import BackendProcessError, Worker
from netspec.errors import BackendError
from tests.conformance.command import environment, mutants, strict_json, verify

SPECS = Path(__file__).parents[2] / "specs"
SPEC = """\
netspec: 1
inputs:
  x: {shape: [batch, 3]}
  words: {shape: [batch, time], dtype: int64}
layers:
  - {name: fc, type: linear, out_features: 2, from: x}
  - {name: table, type: embedding, num_embeddings: 5, embedding_dim: 2, from: words}
  - {name: bn, type: batch_norm, from: fc}
  - {name: off, type: dropout, from: bn}
outputs: {bn: bn, off: off, again: off, table: table, same_words: words}
"""
UNBOUND = """\
netspec: 1
inputs: {codes: {shape: [batch, 4], dtype: int64}, x: {shape: [batch, 3]}}
layers: [{name: fc, type: linear, out_features: 2, from: x}]
outputs: {fc: fc, codes: codes}
"""


def points(*names: str) -> dict[str, str]:
    return {name: f"netspec_mutants.broken:{name}" for name in names}


@pytest.fixture
def spec(tmp_path: Path) -> str:
    (tmp_path / "spec.yaml").write_text(SPEC)
    return "spec.yaml"


def run(folder: Path, *arguments: str, backends: tuple[str, ...] = ("numpy",)) -> subprocess.CompletedProcess[str]:
    known = points(*(name for name in backends if name not in ("numpy", "torch", "tensorflow", "jax", "onnx")))
    return verify(folder, *arguments, points=known, backends=backends)


def one_line(found: subprocess.CompletedProcess[str], status: int) -> str:
    """The message of a command that failed: one line, nothing on standard output."""
    assert (found.returncode, found.stdout) == (status, ""), found
    (line,) = found.stderr.splitlines()
    return line


# The JSON.


def test_json_of_agreement(tmp_path: Path, spec: str) -> None:
    found = run(tmp_path, spec, "--train", "--dtype", "float64", backends=("torch", "onnx"))
    assert (found.returncode, found.stderr) == (0, "")
    report = strict_json(found.stdout)
    assert {key: report[key] for key in ("agree", "dtype", "train")} == {
        "agree": True,
        "dtype": "float64",
        "train": True,
    }
    torch, onnx = report["backends"]["torch"], report["backends"]["onnx"]
    for row in (torch, onnx):
        assert row["agree"] is True
        assert row["params"] == 3 * 2 + 2 + 5 * 2 + 2 * 2
        assert row["first_difference"] is None
    assert all(0 <= torch[f"max_{kind}_error"] <= 1e-10 for kind in ("output", "gradient", "buffer"))
    # ONNX: outputs of inference alone, in float32.
    assert (onnx["note"], onnx["dtype"]) == ("inference only", "float32")
    assert 1e-10 < onnx["max_output_error"] < 1e-5
    assert onnx["max_gradient_error"] is None
    assert onnx["max_buffer_error"] is None


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_types(tmp_path: Path, spec: str, dtype: str) -> None:
    """Each backend in the type, or, as its row says, in one that it has."""
    found = run(tmp_path, spec, "--dtype", dtype, backends=("torch", "jax", "onnx"))
    assert (found.returncode, found.stderr) == (0, "")
    report = strict_json(found.stdout)
    assert report["dtype"] == dtype
    assert {name: row["dtype"] for name, row in report["backends"].items()} == {
        "torch": dtype,
        "jax": dtype,
        "onnx": "float32",
    }
    assert report["backends"]["torch"]["max_output_error"] > 1e-4 > report["backends"]["onnx"]["max_output_error"]


def test_an_unknown_type_is_refused(tmp_path: Path, spec: str) -> None:
    found = run(tmp_path, spec, "--dtype", "float8")
    assert found.returncode == 2
    assert "'float8' is not one of 'float32', 'float64', 'float16', 'bfloat16'" in found.stderr.replace("\n", " ")


def test_json_without_training_has_no_buffer_error(tmp_path: Path, spec: str) -> None:
    report = strict_json(run(tmp_path, spec).stdout)
    row = report["backends"]["numpy"]
    assert row["max_buffer_error"] is None
    assert row["max_gradient_error"] is not None
    assert row["note"] is None
    assert report["train"] is False


def test_json_of_disagreement_is_strict_json(tmp_path: Path) -> None:
    (tmp_path / "layers.yaml").write_text(
        "netspec: 1\n"
        "inputs: {row: {shape: [batch, 3]}}\n"
        "layers:\n"
        "  - {name: square, type: linear, out_features: 3}\n"
        "  - {name: grouped, type: linear, out_features: 2}\n"
    )
    names = ["torch_missing_gradient"]
    found = verify(tmp_path, "layers.yaml", points=mutants(names), backends=names)
    assert found.returncode == 1
    row = strict_json(found.stdout)["backends"]["torch_missing_gradient"]
    assert row["first_difference"] == {"node": "grouped", "line": "layers.yaml:5:5", "error": sys.float_info.max}
    assert row["max_gradient_error"] == sys.float_info.max
    assert row["max_output_error"] < 1e-6


@pytest.mark.parametrize(
    "train", [pytest.param(False, marks=pytest.mark.thorough), True], ids=["inference", "training"]
)
def test_default_backends_are_all_that_are_installed(tmp_path: Path, train: bool) -> None:
    arguments = ["--train"] if train else []
    found = verify(tmp_path, str(SPECS / "residual.yaml"), "--dtype", "float64", *arguments, points=points("missing"))
    assert (found.returncode, found.stderr) == (0, "")
    report = strict_json(found.stdout)
    assert set(report["backends"]) == {"jax", "onnx", "tensorflow", "torch"}
    for name in ("jax", "tensorflow", "torch"):
        kinds = ("output", "gradient", "buffer") if train else ("output", "gradient")
        assert all(report["backends"][name][f"max_{kind}_error"] <= 1e-10 for kind in kinds)


# What it is asked.


def test_a_named_backend_that_is_missing(tmp_path: Path, spec: str) -> None:
    line = one_line(run(tmp_path, spec, backends=("numpy", "missing")), 2)
    assert line == "backend missing needs no_such_module: pip install 'netspec-nn[missing]'"


def test_an_unknown_backend(tmp_path: Path, spec: str) -> None:
    assert "there is no backend trch" in one_line(verify(tmp_path, spec, backends=["trch"]), 2)


@pytest.mark.parametrize("chosen", [[], ["numpy", "numpy"]], ids=["none", "twice"])
def test_no_backend_and_one_twice_are_refused(chosen: list[str | Backend]) -> None:
    # A comparison with none would agree, and of two with one name only one would be shown.
    with pytest.raises(BackendError, match="one or more, of different names"):
        netspec.verify(netspec.loads(SPEC), chosen)


def test_sizes_of_symbolic_dimensions(tmp_path: Path, spec: str) -> None:
    assert run(tmp_path, spec, "--dim", "time=1", "--dim", "batch=2", "--train").returncode == 0
    line = one_line(run(tmp_path, spec, "--dim", "tme=2"), 2)
    assert line == "there is no symbolic dimension tme; did you mean time?"
    line = one_line(run(tmp_path, spec, "--dim", "batch=1", "--train"), 2)
    assert line.startswith("spec.yaml:8:5: bn: batch_norm in training needs 2 values or more")


def test_integers_that_nothing_bounds_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(UNBOUND)
    line = one_line(run(tmp_path, "spec.yaml"), 2)
    assert line == "input codes: nothing bounds its integers, so none can be drawn: give it with --data"
    np.savez(tmp_path / "data.npz", codes=np.arange(8).reshape(2, 4), x=np.ones((2, 3)))
    assert run(tmp_path, "spec.yaml", "--data", "data.npz").returncode == 0


GOOD: dict[str, Any] = {"x": np.linspace(-1, 1, 9).reshape(3, 3), "words": np.array([[0, 4], [1, 1], [2, 3]])}


def test_given_data(tmp_path: Path, spec: str) -> None:
    np.savez(tmp_path / "data.npz", **GOOD)
    assert run(tmp_path, spec, "--data", "data.npz", "--train").returncode == 0


def test_numbers_that_are_none_in_the_data_are_met_by_the_same(tmp_path: Path, spec: str) -> None:
    np.savez(tmp_path / "data.npz", **{**GOOD, "x": np.array([[np.nan, 0, 1], [np.inf, 1, 2], [0.5, 1, 0]])})
    found = run(tmp_path, spec, "--data", "data.npz", backends=("torch",))
    assert found.returncode == 0, found
    strict_json(found.stdout)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"words": None}, "data: input words is missing; inputs are x, words"),
        ({"wrds": np.zeros(1)}, "data: there is no input wrds; did you mean words?; inputs are x, words"),
        ({"x": np.zeros((3, 4))}, "input x: expected [batch, 3], which is [3, 3] here, got [3, 4]"),
        ({"x": np.zeros((2, 3))}, "input words: expected [batch, time], which is [2, 2] here, got [3, 2]"),
        ({"x": np.zeros((3, 3), "int64")}, "input x: expected float32, got int64"),
        ({"words": np.array([[0, 5], [1, 1], [2, 3]])}, "input words: indices must be from 0 to 4, got 5"),
        ({"words": np.array([[0, -1], [1, 1], [2, 3]])}, "input words: indices must be from 0 to 4, got -1"),
        ({"words": np.zeros((3, 2))}, "input words: expected int64, got float64"),
    ],
    ids=["missing", "unknown", "shape", "symbol", "integers", "too-large", "negative", "floats"],
)
def test_data_that_do_not_fit(tmp_path: Path, spec: str, change: dict[str, Any], message: str) -> None:
    arrays = {name: array for name, array in {**GOOD, **change}.items() if array is not None}
    np.savez(tmp_path / "data.npz", **arrays)
    assert one_line(run(tmp_path, spec, "--data", "data.npz"), 2) == message


def test_pickled_data_are_not_opened(tmp_path: Path, spec: str) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "sprung",)

    np.savez(tmp_path / "data.npz", **{**GOOD, "x": np.array([Trap()], dtype=object)})
    assert "cannot be read as an .npz file" in one_line(run(tmp_path, spec, "--data", "data.npz"), 2)
    assert not (tmp_path / "sprung").exists()


# What goes wrong in a backend's process.


@pytest.mark.parametrize(("name", "status"), [("exits", 7), ("aborts", -signal.SIGABRT)], ids=["exit", "abort"])
def test_a_process_that_dies(tmp_path: Path, spec: str, name: str, status: int) -> None:
    found = run(tmp_path, spec, backends=("numpy", name))
    assert (found.returncode, found.stdout) == (3, "")
    assert found.stderr.splitlines() == [f"backend {name} failed:", f"its process ended with status {status}"]


def test_a_process_that_dies_before_it_is_told_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    start = subprocess.Popen

    def dead(command: Any, **options: Any) -> subprocess.Popen[bytes]:
        process = start([sys.executable, "-c", "raise SystemExit(3)"], **options)
        process.wait()
        return process

    case = make_case(netspec.loads(SPEC).graphs, False, "float64")
    monkeypatch.setattr(subprocess, "Popen", dead)
    refusal = pytest.raises(BackendProcessError, match="backend numpy failed:\nits process ended with status 3")
    with Worker(find_backend("numpy"), "float64") as worker, refusal:
        ask(worker, case, "float64")


def test_an_exception_in_a_backend_names_it(tmp_path: Path, spec: str) -> None:
    found = run(tmp_path, spec, backends=("fails", "numpy"))
    assert (found.returncode, found.stdout) == (3, "")
    assert found.stderr.splitlines()[0] == "backend fails failed:"
    assert found.stderr.splitlines()[-1] == "RuntimeError: the device is on fire"


def test_what_a_backend_refuses_is_bad_input(tmp_path: Path, spec: str) -> None:
    assert "it will not do this" in one_line(run(tmp_path, spec, backends=("refuses",)), 2)


def test_last_words_are_shown_and_cut(tmp_path: Path, spec: str) -> None:
    found = run(tmp_path, spec, backends=("last_words",))
    assert found.returncode == 3
    assert "last words" in found.stderr.splitlines()
    assert len(found.stderr) < 20_000


def test_what_a_backend_prints_does_not_mix_with_the_json(tmp_path: Path, spec: str) -> None:
    found = run(tmp_path, spec, backends=("talks",))
    assert (found.returncode, found.stderr) == (0, "")
    assert list(strict_json(found.stdout)["backends"]) == ["talks"]


def is_running(process: int) -> bool:
    """Whether a process is there and not only waiting to be read off."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize("everyone", [True, False], ids=["the-group", "netspec-alone"])
def test_an_interrupt_ends_all_processes(tmp_path: Path, spec: str, everyone: bool) -> None:
    names = ("hangs", "hangs_too", "hangs_as_well")
    process = subprocess.Popen(
        [sys.executable, "-m", "netspec", "verify", spec, "--backends", ",".join(names)],
        cwd=tmp_path,
        env=environment(tmp_path, points(*names)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("hanging.*"))) < 2:
            assert time.monotonic() < deadline, "no backend was started"
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        (os.killpg if everyone else os.kill)(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (130, b"", b"")
    children = [int(file.suffix[1:]) for file in tmp_path.glob("hanging.*")]
    assert len(children) == 2, "the third was started after the interrupt"
    assert not any(map(is_running, children))


def test_one_failure_ends_the_others(tmp_path: Path, spec: str) -> None:
    start = time.monotonic()
    found = run(tmp_path, spec, backends=("fails", "hangs", "hangs_too"))
    assert found.returncode == 3
    assert found.stderr.splitlines()[0] == "backend fails failed:"
    assert time.monotonic() - start < 60
    assert not any(is_running(int(file.suffix[1:])) for file in tmp_path.glob("hanging.*"))


def test_a_script_without_a_main_guard(tmp_path: Path, spec: str) -> None:
    (tmp_path / "script.py").write_text(
        f"import netspec\nprint('once')\nprint(netspec.verify({spec!r}, ['torch', 'numpy']).agree)\n"
    )
    found = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, "once\nTrue\n", "")


# The judgement of single tensors, where a whole model would hardly get.


def judged(expected: Any, found: Any, kind: str = "output", dtype: FloatType = "float64") -> Any:
    key = (kind, "y")
    scale = float(np.abs(expected[np.isfinite(expected)]).max(initial=0)) or 1.0
    return Reference({key: expected}, {key: scale}, frozenset(), {key: 0.0}, 1).judge(key, found, dtype)


def test_a_difference_beyond_the_largest_number_counts() -> None:
    assert max_difference(np.array([-1.7e308]), np.array([1.7e308])) == np.inf
    assert not judged(np.array([1.7e308]), np.array([-1.7e308])).agrees


def test_tensors_of_zeros_have_no_scale_to_divide_by() -> None:
    assert judged(np.zeros(3), np.full(3, 9e-11)).agrees
    assert not judged(np.zeros(3), np.full(3, 2e-10)).agrees


@pytest.mark.parametrize(
    ("expected", "found", "words"),
    [
        (np.zeros(3), np.zeros((3, 1)), "output y: shape [3, 1], expected [3]"),
        (np.zeros(3), np.zeros(3, "float32"), "output y: dtype float32, expected float64"),
        (np.zeros(3), np.zeros(3, "int64"), "output y: dtype int64, expected float64"),
        (np.arange(3), np.zeros(3), "output y: dtype float64, expected int64"),
        (np.arange(3), np.array([0, 1, 3]), "output y: other values than the reference"),
        (np.array([np.inf]), np.array([-np.inf]), "output y: NaN or infinity in other places than in the reference"),
        (np.array([1.0]), np.array([np.nan]), "output y: NaN or infinity in other places than in the reference"),
        (np.array([np.nan]), np.array([1.0]), "output y: NaN or infinity in other places than in the reference"),
        (np.zeros(1), None, "output y: missing"),
    ],
    ids=["shape", "narrow", "integers", "floats", "values", "sign", "nan", "number", "missing"],
)
def test_differences_that_are_no_numbers(expected: Any, found: Any, words: str) -> None:
    assert judged(expected, found) == words


def test_integers_may_be_narrower() -> None:
    assert judged(np.arange(3), np.arange(3, dtype="int32")).agrees


def test_a_tensor_that_should_not_be_there() -> None:
    assert Reference({}, {}, frozenset(), {}, 1).judge(("gradient", "w"), np.zeros(1), "float64") == (
        "gradient w: should not be there"
    )


def test_the_reference_agrees_with_itself() -> None:
    report = netspec.verify(netspec.loads(SPEC), [find_backend("numpy")], dtype="float64", train=True)
    assert report.agree
    assert report.backends["numpy"].max_buffer_error == 0
