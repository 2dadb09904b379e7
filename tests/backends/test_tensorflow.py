"""What only the TensorFlow backend has: the tf.Module, its functions and variables, SavedModel, its start-up."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec.layers as L
import netspec_tensorflow
from netspec.errors import BackendError, InputError
from netspec.graph.builder import Builder
from netspec.graph.graph import GraphPair, Value
from netspec.graph.types import TensorType
from netspec.layers.base import Layer
from netspec.passes.noise_inputs import noise_inputs
from netspec_tensorflow.start_up import import_tensorflow
from tests.backends.graphs import BATCH, IMAGE, assert_close, call, chain, draw_weights, graphs
from tests.backends.tensorflow_graphs import compiled, draw, image

import_tensorflow()
import tensorflow as tf  # noqa: E402

from netspec_tensorflow.model import TensorFlowModel  # noqa: E402
from netspec_tensorflow.module import identifiers  # noqa: E402

BACKEND = netspec_tensorflow.backend


def small(b: Builder) -> Mapping[str, Value]:
    """Frozen convolution, batch norm, dropout, two outputs."""
    x = call(b, "stem", L.Conv2d(out_channels=4, kernel_size=3), b.input("image", TensorType(IMAGE)), frozen=True)
    features = call(b, "drop", L.Dropout(p=0.25), call(b, "bn", L.BatchNorm(), x))
    pooled = call(b, "pool", L.GlobalAvgPool(), features)
    return {"logits": call(b, "fc", L.Linear(out_features=5), pooled), "features": features}


@cache
def small_model() -> TensorFlowModel:
    pair = graphs(small)
    return BACKEND.compile(pair, draw_weights(pair))


# ---------------------------------------------------------------------------------------------------- the native object


def test_native_is_a_module_that_takes_inputs_in_order_and_by_name() -> None:
    native = small_model().native
    assert isinstance(native, tf.Module)
    in_order, by_name = native(image(2)), native(image=tf.constant(image(2)))
    assert list(in_order) == ["logits", "features"]
    for name, output in in_order.items():
        assert isinstance(output, tf.Tensor)
        assert_close(output.numpy(), by_name[name].numpy(), 0)
    assert in_order["features"].shape == (2, 4, 5, 5)
    with pytest.raises(TypeError, match="picture"):
        native(picture=image(2))


def test_one_output_comes_alone() -> None:
    native = compiled(chain((BATCH, 3), L.Linear(out_features=2))).native
    assert native(draw((4, 3))).shape == (4, 2)


def test_inputs_of_any_name_and_several_of_them() -> None:
    def make(b: Builder) -> Mapping[str, Value]:
        first, second = (b.input(name, TensorType((BATCH, 3))) for name in ("class", "left.eye:2"))
        return {"y": call(b, "difference", L.Add(), first, second)}

    native = compiled(graphs(make)).native
    a, b = draw((2, 3)), 2 * draw((2, 3))
    first: dict[str, Any] = {"class": a}
    second: dict[str, Any] = {"left.eye:2": b}
    for result in (native(a, b), native(a, **second), native(**second, **first)):
        assert_close(result.numpy(), a + b, 0)
    assert identifiers(["a.b", "a_b", "if", "1"]) == ["a_b", "a_b_", "input_if", "input_1"]


def test_noise_comes_in_as_inputs() -> None:
    pair = chain((BATCH, 3), L.Dropout(p=0.25))
    inner = GraphPair(pair.inference, noise_inputs(pair.training)[0])
    mask = np.array([[1, 0, 1], [0, 0, 1]], np.float32)
    native = compiled(inner).native
    y = native(draw((2, 3)), training=True, **{"noise:l0": mask})
    assert_close(y.numpy(), draw((2, 3)) * mask / 0.75, 1e-6)


def test_one_trace_serves_every_batch_size() -> None:
    model = small_model()
    for batch, size in ((1, 5), (2, 5), (7, 9)):
        for training in (False, True):
            model(image(batch, size), training=training)
            model.native(image(batch, size), training=training)
    assert model.native.inference_call.experimental_get_tracing_count() == 1
    assert model.native.training_call.experimental_get_tracing_count() == 1


def test_variables_are_named_by_path_and_frozen_ones_are_not_trainable() -> None:
    model = small_model()
    native = model.native
    paths = [held.path for held in model.graphs.inference.state]
    assert list(native.variables_by_path) == paths
    assert sorted(variable.name for variable in native.variables) == sorted(f"{path}:0" for path in paths)
    trainable = {variable.name for variable in native.trainable_variables}
    assert trainable == {"bn.weight:0", "bn.bias:0", "fc.weight:0", "fc.bias:0"}
    assert native.variables_by_path["stem.weight"].shape == (3, 3, 3, 4)  # as TensorFlow's kernels read it
    assert model.weights()["stem.weight"].shape == (4, 3, 3, 3)
    assert native.variables_by_path["fc.weight"].shape == (4, 5)
    assert model.weights()["fc.weight"].shape == (5, 4)


def test_only_a_call_in_training_moves_buffers() -> None:
    pair = graphs(small)
    model = compiled(pair)
    before = model.weights()
    expected = model.evaluate({"image": image(2)}, training=True).updates
    model.native(image(2))
    model.gradients(image(2), cotangent={"logits": np.ones((2, 5))}, training=True)
    for path, array in model.weights().items():
        assert_close(array, before[path], 0)
    model.native(image(2), training=True)
    after = model.weights()
    assert set(expected) == {"bn.running_mean", "bn.running_var"}
    for path in after:
        assert_close(after[path], expected.get(path, before[path]), 1e-6)
        assert (np.abs(after[path] - before[path]).max() > 1e-3) == (path in expected)
    model(image(2), training=True)
    assert np.abs(model.weights()["bn.running_mean"] - after["bn.running_mean"]).max() > 1e-3


def test_dropout_draws_in_training_only() -> None:
    native = compiled(chain((BATCH, 500), L.Dropout(p=0.25))).native
    x = tf.ones((4, 500))
    assert_close(native(x).numpy(), x.numpy(), 0)
    first, second = native(x, training=True).numpy(), native(x, training=True).numpy()
    assert not np.array_equal(first, second)
    assert set(np.unique(first)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((first == 0).mean() - 0.25) < 0.05


def test_gradients_by_tape_are_those_of_the_model() -> None:
    model = small_model()
    x, r = tf.constant(image(2)), draw((2, 5))
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(model.native(x)["logits"] * r)
    by_path = model.native.variables_by_path
    found = tape.gradient(total, {**by_path, "input:image": x})
    expected = model.gradients(image(2), cotangent={"logits": r}, inputs=True)
    assert {name for name, gradient in found.items() if gradient is not None} == set(expected)
    for name, gradient in expected.items():
        stored = found[name].numpy()
        assert_close(stored.T if name == "fc.weight" else stored, gradient, 1e-5)


def test_gradients_of_kernels_have_the_canonical_layout() -> None:
    model = compiled(chain((BATCH, 3, 6, 6), L.Conv2d(out_channels=4, kernel_size=(2, 3))))
    x, r = image(2, 6), draw((2, 4, 5, 4))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(model.native(x) * r)
    stored = tape.gradient(total, model.native.variables_by_path["l0.weight"]).numpy()
    assert_close(model.gradients(x, cotangent=r)["l0.weight"], stored.transpose(3, 2, 0, 1), 1e-5)


def test_a_step_of_training_in_a_tf_function() -> None:
    model = compiled(graphs(small))
    native = model.native
    before = model.weights()

    @tf.function(autograph=False)
    def step(x: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(native(x, training=True)["logits"] ** 2)
        variables = native.trainable_variables
        for variable, gradient in zip(variables, tape.gradient(total, variables), strict=True):
            variable.assign_sub(0.1 * gradient)

    step(tf.constant(image(3)))
    after = model.weights()
    moved = {path for path in before if np.abs(after[path] - before[path]).max() > 0}
    assert moved == set(before) - {"stem.weight", "stem.bias"}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "layers",
    [
        (L.Conv2d(out_channels=4, kernel_size=3, groups=2, dilation=2), L.BatchNorm(), L.LeakyRelu()),
        (L.Conv2d(out_channels=2, kernel_size=2), L.LayerNorm(dim=(-2, -1)), L.Gelu(), L.Softmax(dim=1)),
    ],
)
def test_second_derivatives(layers: tuple[Layer, ...], dtype: str) -> None:
    """The derivative of a gradient along a direction, against the difference of two gradients."""
    native = compiled(chain((BATCH, 2, 6, 6), *layers), dtype).native
    rng = np.random.default_rng(5)
    x, v = (rng.normal(0, 1, (3, 2, 6, 6)) for _ in range(2))
    r: Any = tf.cast(rng.normal(0, 1, native(tf.cast(x, dtype)).shape), dtype)

    def gradient(at: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(at)
            total = tf.reduce_sum(native(at, training=True) ** 2 * r)
        return tape.gradient(total, at)

    point = tf.cast(x, dtype)
    with tf.GradientTape() as outer:
        outer.watch(point)
        along = tf.reduce_sum(gradient(point) * tf.cast(v, dtype))
    second = outer.gradient(along, point).numpy()
    h = 1e-6 if dtype == "float64" else 5e-3
    ahead, behind = (gradient(tf.cast(x + sign * h * v, dtype)).numpy() for sign in (1, -1))
    assert_close((ahead - behind) / (2 * h), second, 1e-6 if dtype == "float64" else 2e-2)


def test_saved_model(tmp_path: Path) -> None:
    model = compiled(graphs(small))
    expected = model(image(3))
    tf.saved_model.save(model.native, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    for name, output in loaded(image(3)).items():
        assert_close(output.numpy(), expected[name].numpy(), 1e-6)
    assert loaded.inference_call(image=tf.constant(image(1, 9)))["features"].shape == (1, 4, 7, 7)
    before = loaded.variables_by_path["bn.running_mean"].numpy()
    loaded.training_call(tf.constant(image(3)))
    assert np.abs(loaded.variables_by_path["bn.running_mean"].numpy() - before).max() > 1e-3
    assert_close(model.weights()["bn.running_mean"], before, 0)


def test_a_checkpoint_brings_the_variables_back(tmp_path: Path) -> None:
    first, second = compiled(graphs(small)), compiled(graphs(small))
    second.load_weights({path: 0 * array for path, array in first.weights().items()})
    saved = tf.train.Checkpoint(native=first.native).save(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(native=second.native).restore(saved).assert_consumed()
    for path, array in first.weights().items():
        assert_close(second.weights()[path], array, 0)


def test_xla_compiles_the_native_call_where_the_user_asks() -> None:
    model = compiled(chain((BATCH, 6), L.Linear(out_features=5), L.LayerNorm(), L.Gelu(), L.Softmax()))
    jitted = tf.function(model.native, jit_compile=True)
    assert_close(jitted(tf.constant(draw((2, 6)))).numpy(), model(draw((2, 6))).numpy(), 1e-5)


# ------------------------------------------------------------------------------------------------------------ the model


def test_weights_come_back_in_the_canonical_layout() -> None:
    pair = graphs(small)
    weights = draw_weights(pair)
    model = compiled(pair)
    other = {path: array + 1 for path, array in weights.items()}
    for wanted in (weights, other):
        model.load_weights(wanted)
        for path, array in model.weights().items():
            assert_close(array, wanted[path], 0)
            assert array.dtype == np.float32


def test_native_arrays_must_have_the_dtype_of_the_model() -> None:
    model = small_model()
    assert model(image(2).astype(np.float64))["logits"].dtype == tf.float32  # NumPy is converted
    with pytest.raises(InputError, match="input image: expected float32, got float64"):
        model(tf.constant(image(2), tf.float64))


def test_an_index_out_of_range_is_refused() -> None:
    def make(b: Builder) -> Mapping[str, Value]:
        return {
            "y": call(
                b, "rows", L.Embedding(num_embeddings=6, embedding_dim=2), b.input("x", TensorType((BATCH,), "int64"))
            )
        }

    model = compiled(graphs(make))
    assert model(np.array([0, 5])).shape == (2, 2)
    with pytest.raises(InputError, match="indices must be from 0 to 5, got 6"):
        model(tf.constant([0, 6], tf.int64))
    found = model.gradients(np.array([5, 1, 5]), cotangent=np.ones((3, 2)))["rows.weight"]
    assert found[:, 0].tolist() == [0, 1, 0, 0, 0, 2]


def test_frozen_parameters_have_no_gradient_and_pass_it_on() -> None:
    found = small_model().gradients(image(2), cotangent={"logits": draw((2, 5))}, inputs=True)
    assert set(found) == {"bn.weight", "bn.bias", "fc.weight", "fc.bias", "input:image"}
    assert np.abs(found["input:image"]).max() > 1e-3


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 1e-2), ("bfloat16", 6e-2)])
def test_half_precision(dtype: str, tolerance: float) -> None:
    layers = (
        L.Conv2d(out_channels=4, kernel_size=3, padding=1),
        L.BatchNorm(),
        L.LeakyRelu(),
        L.MaxPool2d(kernel_size=2),
    )
    pair = chain((BATCH, 3, 6, 6), *layers, L.Flatten(), L.Linear(out_features=5))
    model, wide = compiled(pair, dtype), compiled(pair, "float64")
    y = model(image(4, 6))
    assert y.dtype == tf.as_dtype(dtype)
    narrow, expected = (each.evaluate({"x": image(4, 6)}, {"y": draw((4, 5))}, training=True) for each in (model, wide))
    for got, wanted in ((narrow.outputs, expected.outputs), (narrow.updates, expected.updates)):
        for name, array in got.items():
            assert_close(array.astype(np.float64), wanted[name], tolerance)
    assert_close(narrow.gradients["l5.weight"].astype(np.float64), expected.gradients["l5.weight"], tolerance)


@pytest.mark.parametrize("device", ["cpu", "/CPU:0", "/device:cpu:0"])
def test_the_device_holds_variables_and_results(device: str) -> None:
    model = compiled(chain((BATCH, 3), L.Linear(out_features=2)), device=device)
    assert model(draw((2, 3))).device.endswith("/device:CPU:0")
    assert model.native.variables_by_path["l0.weight"].device.endswith("/device:CPU:0")


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(BackendError, match="tensorflow has no device cpu:9 here: known are CPU:0"):
        compiled(chain((BATCH, 3), L.Linear(out_features=2)), device="cpu:9")


# ------------------------------------------------------------------------------------------------------------- start-up

USE = """
import sys, numpy, netspec_tensorflow
assert "tensorflow" not in sys.modules
import netspec.layers as L
from tests.backends.graphs import BATCH, chain
pair = chain((BATCH, 2), L.Tanh())
for _ in range(6):  # six models are no reason for a warning about tracing
    netspec_tensorflow.backend.compile(pair, {}).gradients(numpy.ones((3, 2)), cotangent=numpy.ones((3, 2)))
"""


@pytest.mark.parametrize(("level", "silent"), [(None, True), ("3", True), ("0", False)])
def test_start_up_says_nothing_unless_asked(level: str | None, silent: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    if level is not None:
        environment["TF_CPP_MIN_LOG_LEVEL"] = level
    command = [sys.executable, "-W", "error", "-c", USE]
    root = Path(__file__).parents[2]
    finished = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env=environment, cwd=root
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == ""
    assert (finished.stderr == "") == silent, finished.stderr


def test_what_is_no_note_passes_the_start_up() -> None:
    code = """
import os, sys, types
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
class Fake(MetaPathFinder, Loader):
    def find_spec(self, name, path, target=None):
        return ModuleSpec(name, self) if name == "tensorflow" else None
    def exec_module(self, module):
        os.write(2, b"I0000 00:00:1 port.cc:153] a note\\nE0000 00:00:1 x.cc:1] an error\\n")
        raise ImportError("broken")
sys.meta_path.insert(0, Fake())
from netspec_tensorflow.start_up import import_tensorflow
import_tensorflow()
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 1
    assert finished.stderr.startswith("E0000 00:00:1 x.cc:1] an error\nTraceback")
    assert "ImportError: broken" in finished.stderr
