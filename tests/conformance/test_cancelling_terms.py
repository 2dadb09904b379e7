"""Tensors that are zero but for roundings are judged by the terms that cancel in them; mistakes still show."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import netspec
from netspec.compare.case import evaluate_reference, make_case
from netspec.compare.report import TensorError
from netspec.spec import loads
from tests.conformance.command import MUTANTS

# In exact arithmetic the output is 0, and so is every gradient: the mean of what has no mean.
CANCELLING = """\
netspec: 1
name: cancelling
inputs: {x: {shape: [batch, 24]}}
layers:
  - {name: wide, type: linear, out_features: 17}
  - {name: norm, type: layer_norm, elementwise_affine: false}
  - {name: zero, type: mean, dim: 1}
outputs: {zero: zero}
"""


@pytest.mark.parametrize("train", [False, True], ids=["inference", "training"])
def test_right_programs_agree_and_are_counted(train: bool) -> None:
    report = netspec.verify(loads(CANCELLING), ["torch"], dtype="float64", train=train)
    row = report.backends["torch"]
    assert report.agree, row
    assert row.cancelled == sum(tensor.cancelled for tensor in row.tensors) > 0
    assert report.to_json()["backends"]["torch"]["tensors_judged_by_cancelling_terms"] == row.cancelled


def test_a_mistake_far_below_the_terms_is_caught() -> None:
    case = make_case(loads(CANCELLING).graphs, False, "float64")
    expected = evaluate_reference(case, "float64")
    key = ("output", "zero")
    zero = expected.tensors[key]
    assert np.abs(zero).max() < 1e-15
    assert 0.1 < expected.terms()[key] < 10  # a layer_norm's outputs are about 1
    for error, agrees in ((1e-15, True), (1e-14, True), (1e-12, False), (1e-9, False)):
        judged = expected.judge(key, zero + error, "float64")
        assert isinstance(judged, TensorError)
        assert judged.cancelled
        assert judged.agrees is agrees, error


def test_a_tensor_that_does_not_cancel_is_judged_as_ever() -> None:
    spec = loads(CANCELLING.replace("outputs: {zero: zero}", "outputs: {norm: norm}"))
    expected = evaluate_reference(make_case(spec.graphs, False, "float64"), "float64")
    key = ("output", "norm")
    judged = expected.judge(key, expected.tensors[key] * (1 + 2e-10), "float64")
    assert isinstance(judged, TensorError)
    assert not judged.cancelled
    assert not judged.agrees


def test_a_planted_mistake_shows_where_everything_cancels(monkeypatch: pytest.MonkeyPatch) -> None:
    # Terms in float32 are wrong by 1e-8: their sum is too, where it should be 0.
    monkeypatch.syspath_prepend(MUTANTS)
    mutant = importlib.import_module("netspec_mutants").Mutant
    chosen = [mutant("torch", "layer_norm_single"), mutant("torch", "nothing")]
    report = netspec.verify(loads(CANCELLING), chosen, dtype="float64")
    assert [row.agree for row in report.backends.values()] == [False, True]
