"""The commands that need backends: what they ask for and print, with what they call replaced."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.backend import Backend, Fused, Lowerings
from netspec.compare.report import BackendReport, FirstDifference, Report, TensorError
from netspec.compare.worker import BackendProcessError
from netspec.weights.initial import initial_weights
from netspec.weights.safetensors_file import write_weights

LENET = str(Path(__file__).parents[2] / "specs" / "lenet.yaml")

ILL = tuple(TensorError(f"y{k}", "output", 0.8, 9.0, False, True) for k in range(7))

LIMIT = ("--max-bytes", "1000000000")

Run = Callable[..., tuple[int, str, str]]


def report(agree: bool) -> Report:
    good = BackendReport(True, 1.25e-8, 3.5e-7, None, 61_706)
    bad = BackendReport(False, 0.03, None, None, 61_706, FirstDifference("conv1", "lenet.yaml:8:5", 0.021))
    alone = BackendReport(True, 1e-8, None, None, 61_706, note="inference only")
    return Report("float32", False, {"one": good, "two": alone if agree else bad})


@pytest.mark.parametrize(("agree", "status"), [(True, 0), (False, 1)])
def test_the_status_of_verify_is_whether_all_agree(
    run: Run, monkeypatch: pytest.MonkeyPatch, agree: bool, status: int
) -> None:
    monkeypatch.setattr(netspec, "verify", lambda *given, max_bytes: report(agree))
    found, out, err = run("verify", LENET, "--format", "json")
    assert (found, err) == (status, "")
    assert json.loads(out) == report(agree).to_json()
    found, out, err = run("verify", LENET)
    assert (found, err) == (status, "")
    lines = out.splitlines()
    assert lines[2].split() == ["one", "yes", "1.2e-08", "3.5e-07", "-", "61,706"]
    if agree:
        assert lines[3].endswith("inference only")
        assert "All agree with the float64 reference" in out
    else:
        assert lines[3].endswith("first differs at conv1 (lenet.yaml:8:5) by 2.1e-02")
        assert "Not in agreement with the float64 reference, in inference, float32: two." in out


def test_a_backend_that_computed_in_another_type_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx = BackendReport(True, 1e-8, None, None, 61_706, note="inference only", dtype="float32")
    monkeypatch.setattr(netspec, "verify", lambda *given, max_bytes: Report("float16", True, {"onnx": onnx}))
    assert run("verify", LENET)[1].splitlines()[2].endswith("61,706  inference only; in float32")
    assert json.loads(run("verify", LENET, "--format", "json")[1])["backends"]["onnx"]["dtype"] == "float32"


def weights_file(path: Path) -> dict[str, Any]:
    """Weights of lenet that are not those of seed 0."""
    arrays = initial_weights(netspec.load(LENET).inference, 3)
    write_weights(path, arrays)
    return arrays


def test_what_verify_is_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[Any, ...]] = []

    def note(spec: Any, *given: Any, max_bytes: int | None) -> Report:
        assert max_bytes == (10**9 if given[2] else None)
        asked.append(given)
        return report(True)

    monkeypatch.setattr(netspec, "verify", note)
    np.savez(tmp_path / "data.npz", image=np.arange(6.0))
    assert run("verify", LENET)[0] == 0
    assert (
        run("verify", LENET, "--backends", "jax,torch", "--dtype", "float64", "--train", "--dim", "batch=7", *LIMIT)[0]
        == 0
    )
    assert run("verify", LENET, "--data", str(tmp_path / "data.npz"))[0] == 0
    held = weights_file(tmp_path / "w.safetensors")
    assert run("verify", LENET, "--weights", str(tmp_path / "w.safetensors"))[0] == 0
    assert asked[:2] == [
        (None, "float32", False, None, None, None),
        (["jax", "torch"], "float64", True, None, {"batch": 7}, None),
    ]
    backends, dtype, train, data, dims, weights = asked[2]
    assert (backends, dtype, train, list(data), dims, weights) == (None, "float32", False, ["image"], None, None)
    assert np.array_equal(data["image"], np.arange(6.0))
    assert all((array == held[path]).all() for path, array in asked[3][5].items())


def test_data_files_that_cannot_be_read_are_one_line(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "data.npz"
    np.savez(file, image=np.arange(6.0))
    whole = file.read_bytes()
    np.save(tmp_path / "one.npy", np.arange(6.0))
    np.savez(tmp_path / "objects.npz", image=np.array([{}], dtype=object))
    contents = {
        "cut": whole[: len(whole) // 2],
        "changed": whole.replace(np.float64(3).tobytes(), np.float64(4).tobytes()),
        "empty": b"",
        "text": b"hello",
        "pickle": pickle.dumps([1, 2]),
        "alone": (tmp_path / "one.npy").read_bytes(),
        "objects": (tmp_path / "objects.npz").read_bytes(),
    }
    for name, content in contents.items():
        file.write_bytes(content)
        status, out, err = run("verify", LENET, "--data", str(file))
        assert (status, out, err.count("\n")) == (2, "", 1), name
        assert err.startswith(f"{file}: "), name


def test_a_backend_whose_process_breaks_down_is_status_3(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: Any, max_bytes: int | None) -> Report:
        raise BackendProcessError("backend torch failed:\nits \x1b[2J process ended with status -9")

    monkeypatch.setattr(netspec, "verify", fail)
    assert run("verify", LENET) == (3, "", "backend torch failed:\nits \\x1b[2J process ended with status -9\n")


def test_export_onnx(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[Any, ...]] = []

    def write(spec: Any, path: Path, *given: Any, allow_nonfinite: bool, max_bytes: int | None) -> None:
        assert max_bytes == (10**9 if allow_nonfinite else None)
        asked.append((spec.name, str(path), *given, allow_nonfinite))
        path.write_bytes(b"12345")

    monkeypatch.setattr(netspec, "export_onnx", write)
    monkeypatch.chdir(tmp_path)
    assert run("export", "onnx", LENET) == (0, "", "lenet.onnx: 5 bytes\n")
    held = weights_file(tmp_path / "w.safetensors")
    weights = ("--weights", "w.safetensors", "--external-data", "--allow-nonfinite", *LIMIT)
    assert run("export", "onnx", LENET, "-o", "other.onnx", "--seed", "7", *weights) == (0, "", "other.onnx: 5 bytes\n")
    assert asked[0] == ("lenet", "lenet.onnx", None, 0, False, False)
    *names, arrays, seed, external_data, allow_nonfinite = asked[1]
    assert (names, seed, external_data, allow_nonfinite) == (["lenet", "other.onnx"], 7, True, True)
    assert list(arrays) == list(held)
    assert all((array == held[path]).all() for path, array in arrays.items())


class MissingBackend(Backend):
    name = "missing"
    extra = "torch"
    requires = ("no_such_module_as_this",)
    distributions = ("numpy",)  # installed, but no use alone
    inference_only = True

    def own_lowerings(self) -> Lowerings:
        return {}

    def own_fused(self) -> Fused:
        return {}

    def compile(self, *given: Any, **named: Any) -> Any:
        raise AssertionError


def test_backends(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from netspec_numpy import backend

    monkeypatch.setattr("netspec.backend.backends", lambda: {"missing": MissingBackend(), "numpy": backend})
    status, out, err = run("backends", "--format", "json")
    assert (status, err) == (0, "")
    install = "pip install 'netspec-nn[torch]'"
    assert json.loads(out) == [
        {"name": "missing", "installed": False, "version": None, "install": install, "inference_only": True},
        {"name": "numpy", "installed": True, "version": np.__version__, "install": None, "inference_only": False},
    ]
    assert run("backends")[1].splitlines()[2:] == [
        f"missing  {install}  inference only",
        f"numpy    {np.__version__:<31}  inference, gradients, training",
    ]


def test_tensors_of_which_float32_says_little_are_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ill = Report("float32", False, {"one": BackendReport(True, 0.8, None, None, 3, tensors=ILL)})
    monkeypatch.setattr(netspec, "verify", lambda *given, max_bytes: ill)
    status, out, _ = run("verify", LENET)
    assert status == 0
    assert "Ill-conditioned: y0, y1, y2, y3, y4 and 2 more move by more than 1,000 roundings of float32,\n" in out
