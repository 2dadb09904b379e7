"""The public functions mean the same on every backend: names, weights bit for bit, refusals, training."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netspec.spec import load

BACKENDS = ["numpy", "torch", "tensorflow", "jax", "onnx"]
TRAINED = BACKENDS[:-1]
ROOT = Path(__file__).parents[2]


@cache
def face(backend: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.conformance.face_program", backend]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("backend", BACKENDS)
def test_weights_have_the_paths_of_the_spec_and_equal_bits(backend: str) -> None:
    spec = load(ROOT / "specs/residual.yaml", params={"classes": 4})
    assert face(backend)["paths"] == [held.path for held in spec.inference.state]
    assert face(backend)["weights"] == face("numpy")["weights"]
    assert face(backend)["reloaded"]
    assert face(backend)["same outputs"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_outputs_agree_for_every_batch_size(backend: str) -> None:
    logits, reference = np.array(face(backend)["logits"]), np.array(face("numpy")["logits"])
    assert face(backend)["shape"] == [5, 4]
    assert np.abs(logits - reference).max() <= 2e-6 * np.abs(reference).max()
    assert face(backend)["one at a time"] <= 2e-6 * np.abs(reference).max()
    assert face(backend)["names"] == ["joined", "moved"]
    assert face(backend)["values"] <= 1e-6
    assert face(backend)["exported"] > 70_000


@pytest.mark.parametrize("backend", BACKENDS)
def test_wrong_inputs_are_refused_alike(backend: str) -> None:
    for mistake in (
        *("too large", "negative", "missing", "unknown", "float for index", "other batch", "other rank"),
        "foreign weights",
    ):
        assert face(backend)[mistake] != "not refused", mistake
        if mistake != "foreign weights":  # names a temporary folder
            assert face(backend)[mistake] == face("numpy")[mistake]
    assert "indices must be from 0 to 5, got 6" in face(backend)["too large"]
    assert "got -1" in face(backend)["negative"]


@pytest.mark.parametrize("backend", TRAINED)
def test_training_moves_statistics_and_nothing_frozen(backend: str) -> None:
    found, reference = face(backend), face("numpy")
    assert found["gradient paths"] == reference["gradient paths"]
    assert "input:image" in found["gradient paths"]
    assert not any(path.startswith("stem.") for path in found["gradient paths"])
    assert found["plain gradient"] == [path for path in found["gradient paths"] if path != "input:image"]
    assert found["gradients move nothing"]
    statistics = ("block1.bn1", "block1.bn2", "block2.bn1", "block2.bn2", "block2.skip_bn")
    assert found["moved"] == sorted(f"{path}.running_{which}" for path in statistics for which in ("mean", "var"))
    for name in ("gradient", "running mean"):
        expected = np.array(reference[name])
        assert np.abs(np.array(found[name]) - expected).max() <= 1e-5 * np.abs(expected).max()
    assert found["wrong cotangent"] == reference["wrong cotangent"] != "not refused"
    assert found["unknown cotangent"] == reference["unknown cotangent"] != "not refused"


def test_onnx_refuses_training() -> None:
    assert "inference only" in face("onnx")["training"]
    assert "inference only" in face("onnx")["gradients"]
