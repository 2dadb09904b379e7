"""Constants and saved constants in ONNX: what the file holds, and what onnxruntime makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from netspec_onnx.export import export
from tests.backends.constants import assert_same, build, changed, draw, expected
from tests.backends.onnx_graphs import check


def test_values_at_two_sizes_and_after_loading() -> None:
    model = build("onnx")
    for x in (draw(3, 5), draw(2, 7)):
        assert_same(model(x), expected(x, model.weights()))
    weights = changed(model)
    assert_same(model(draw(3, 5)), expected(draw(3, 5), weights))


def test_saved_constants_are_initializers_of_their_type_and_the_others_none(tmp_path: Path) -> None:
    model, path = build("onnx"), tmp_path / "model.onnx"
    export(model.graphs, model.weights(), path)
    message = onnx.load(path)
    check(message)
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in message.graph.initializer}
    assert {name: (array.dtype.name, array.shape) for name, array in stored.items()} == {
        "saved": ("float32", (4,)),
        "factor": ("float32", ()),
        "ids": ("int64", (3,)),
        "rows.weight": ("float32", (3, 4)),
    }
    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    x = draw(2, 6)
    found = dict(zip(names, session.run(None, {"x": x.astype("float32")}), strict=True))
    assert_same(found, expected(x, model.weights()), 1e-6)
    np.testing.assert_array_equal(found["hot"], np.eye(7)[np.arange(6, 0, -1)])
