"""Constants and saved constants on TensorFlow: types, sizes, SavedModel."""

from __future__ import annotations

from pathlib import Path

import pytest

from netspec_tensorflow.start_up import import_tensorflow
from tests.backends.constants import assert_same, build, changed, draw, expected

import_tensorflow()
import tensorflow as tf  # noqa: E402


def test_values_at_two_sizes_and_after_loading(tmp_path: Path) -> None:
    model = build("tensorflow")
    for x in (draw(3, 5), draw(2, 7)):
        assert_same(model(x), expected(x, model.weights()))
    weights = changed(model)
    assert_same(model(draw(3, 5)), expected(draw(3, 5), weights))
    assert model.native.variables_by_path["ids"].dtype == tf.int64
    assert [variable.name for variable in model.native.trainable_variables] == ["rows.weight:0"]
    tf.saved_model.save(model.native, tmp_path)
    loaded = tf.saved_model.load(tmp_path)
    assert_same(loaded(tf.constant(draw(2, 7))), expected(draw(2, 7), weights))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_constants_have_the_model_s_float_type(dtype: str) -> None:
    model = build("tensorflow", dtype)
    y = model(tf.cast(draw(2, 3), dtype))
    assert {name for name, value in y.items() if value.dtype == tf.as_dtype(dtype)} == set(y) - {"indices", "steps"}
