"""Weights fit the model exactly, or every difference is told."""

import time
from typing import Any

import numpy as np
import pytest

from netspec.errors import WeightsError
from netspec.weights.check import check_finite, check_weights

MODEL = {
    "conv1.weight": ("float32", (4, 3, 3, 3)),
    "conv1.bias": ("float32", (4,)),
    "bn1.num_batches_tracked": ("int64", ()),
}


def test_weights_that_fit() -> None:
    check_weights(MODEL, MODEL, "w")
    check_weights({**MODEL, "conv1.bias": ("float16", (4,)), "bn1.num_batches_tracked": ("int32", ())}, MODEL, "w")
    check_weights({**MODEL, "bn1.num_batches_tracked": ("uint8", ())}, MODEL, "w")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv1.bias": None}, "w: conv1.bias: missing, expected float32 [4]"),
        ({"fc.bias": ("float32", (4,))}, "w: fc.bias: no such parameter or buffer"),
        ({"conv1.bias": ("float32", (4, 1))}, "w: conv1.bias: expected the shape [4], got [4, 1]"),
        ({"conv1.bias": ("float64", (4,))}, "w: conv1.bias: expected float32, got float64"),
        ({"conv1.bias": ("int32", (4,))}, "w: conv1.bias: expected float32, got int32"),
        ({"conv1.bias": ("bool", (4,))}, "w: conv1.bias: expected float32, got bool"),
        ({"bn1.num_batches_tracked": ("float32", ())}, "w: bn1.num_batches_tracked: expected int64, got float32"),
        ({"bn1.num_batches_tracked": ("bool", ())}, "w: bn1.num_batches_tracked: expected int64, got bool"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_weights_that_do_not_fit(change: dict[str, Any], message: str) -> None:
    found = {name: kind for name, kind in {**MODEL, **change}.items() if kind is not None}
    with pytest.raises(WeightsError) as caught:
        check_weights(found, MODEL, "w")
    assert str(caught.value) == message


def test_a_wrong_name_is_told_with_the_nearest() -> None:
    found = {**MODEL, "conv1.weight_": MODEL["conv1.weight"]}
    del found["conv1.weight"]
    with pytest.raises(WeightsError) as caught:
        check_weights(found, MODEL, "w")
    assert str(caught.value).splitlines() == [
        "w: conv1.weight: missing, expected float32 [4, 3, 3, 3]",
        "w: conv1.weight_: no such parameter or buffer; did you mean conv1.weight?",
    ]


def test_ten_are_listed_then_a_count_and_quickly() -> None:
    found = {f"encoder.layers.{i}.weight": ("float32", (3,)) for i in range(10_000)}
    expected = {f"decoder.layers.{i}.weight": ("float32", (3,)) for i in range(10_000)}
    started = time.process_time()
    with pytest.raises(WeightsError) as caught:
        check_weights(found, expected, "w")
    assert time.process_time() - started < 1
    lines = str(caught.value).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "and 19990 more mistakes"


def test_not_finite_weights_are_refused() -> None:
    arrays = {
        "fine": np.array([1.0, -1e38], np.float32),
        "empty": np.zeros((0, 3), np.float32),
        "integers": np.array([2**62]),
        "nan": np.array([[0, 1], [np.nan, np.inf]], np.float32),
        "inf": np.array([-np.inf, 3.0]),
        "half": np.array([1, np.inf], np.float16),
    }
    with pytest.raises(WeightsError) as caught:
        check_finite(arrays, "w")
    assert str(caught.value).splitlines() == [
        "w: nan: 2 numbers are not finite, the first nan at [1, 0]",
        "w: inf: 1 numbers are not finite, the first -inf at [0]",
        "w: half: 1 numbers are not finite, the first inf at [1]",
    ]
    check_finite({"fine": arrays["fine"], "empty": arrays["empty"], "integers": arrays["integers"]}, "w")
