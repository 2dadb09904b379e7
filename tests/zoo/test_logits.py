"""The zoo computes what torchvision computes, on every backend: with the same weights and images, the same logits."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import netspec
from netspec.compare.report import TensorError
from netspec.compare.tolerance import FLOAT64_LIMIT, UNIT_ROUNDOFF, Key, Reference, max_difference, reference
from netspec.model import Evaluation
from tests.zoo.runs import cases, logits
from tests.zoo.torchvision_reference import NAMES, facts

Array = NDArray[Any]

SENSITIVITIES = Path(__file__).parents[1] / "data" / "zoo_sensitivities.json"


def parts(values: Array) -> dict[str, Array]:
    """Logits, and how they differ between the samples: by a few per cent, which a wrong model could hide behind."""
    return {"logits": values, "difference": values[0] - values[1]}


def error(found: Array, expected: Array) -> float:
    """The largest difference, over the largest expected number."""
    return max_difference(found, expected) / float(np.abs(expected).max())


@pytest.mark.parametrize(("name", "backend"), cases("float64", "torch", "tensorflow", "jax"))
def test_float64_logits_are_those_of_torchvision(name: str, backend: str) -> None:
    measured = facts(name)
    found = logits(name, backend, "float64")
    assert found.shape == (2, 1000)
    for part, expected in parts(measured.logits).items():
        assert error(parts(found[:, :16])[part], expected) <= FLOAT64_LIMIT, part
    assert list(found.argmax(axis=1)) == measured.argmax
    assert np.abs(found).mean() == pytest.approx(measured.mean, rel=FLOAT64_LIMIT)
    assert np.abs(found[0] - found[1]).mean() / measured.mean == pytest.approx(measured.sample_difference, rel=1e-8)


@pytest.mark.parametrize(("name", "backend"), cases("float32", "torch", "tensorflow", "jax", "onnx"))
def test_float32_logits_are_within_the_limit_of_rounding(name: str, backend: str) -> None:
    expected = replace(float64_reference(name), sensitivity=stored_sensitivity(name))
    found = parts(logits(name, backend, "float32"))
    for part in expected.tensors:
        judged = expected.judge(part, found[part[1]], "float32")
        assert isinstance(judged, TensorError), judged
        assert judged.error <= judged.limit, part


@pytest.mark.zoo
@pytest.mark.parametrize("name", NAMES)
def test_sensitivities_are_those_that_are_stored(name: str) -> None:
    runs = (Evaluation(dict(parts(values)), {}, {}) for values in logits(name, "torch", "perturbed"))
    measured = float64_reference(name, runs).sensitivity
    assert measured == pytest.approx(stored_sensitivity(name), rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_no_limit_is_loose(name: str) -> None:
    # From one image to the other logits differ by 0.7 to 12 per cent: a limit near that would prove nothing.
    logits, difference = stored_sensitivity(name).values()
    assert 0 < logits < 20 * UNIT_ROUNDOFF
    assert logits < difference < 1000 * UNIT_ROUNDOFF


def float64_reference(name: str, shaken: Iterable[Evaluation] = ()) -> Reference:
    """The float64 logits on torch, and how far the roundings in `shaken` move them."""
    exact = Evaluation(dict(parts(logits(name, "torch", "float64"))), {}, {})
    return reference(netspec.load(name).inference, {"batch": 2}, exact, lambda: shaken)


def stored_sensitivity(name: str) -> dict[Key, float]:
    """How far float32's roundings of weights and image move each part: s of compare/tolerance.py, measured on torch."""
    return {("output", part): s for part, s in json.loads(SENSITIVITIES.read_text())[name].items()}
