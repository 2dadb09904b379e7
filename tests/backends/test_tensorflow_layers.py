"""The tables of the TensorFlow backend: layers against the reference, fused forms, how matrices are stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import netspec.layers as L
import netspec_tensorflow
from netspec.graph import ops
from netspec.graph.builder import Builder, Entry
from netspec.graph.dims import Size
from netspec.graph.graph import Call, Origin, Value
from netspec.graph.invariants import check_pair
from netspec.graph.types import TensorType
from netspec.layers.base import Layer
from netspec_tensorflow import TensorFlowBackend
from netspec_tensorflow.start_up import import_tensorflow
from tests.backends.graphs import BATCH, HEIGHT, IMAGE, WIDTH, assert_close, call, chain, draw_weights, graphs
from tests.backends.tensorflow_graphs import agree_with_reference, compiled, draw, image

import_tensorflow()
import tensorflow as tf  # noqa: E402

from netspec_tensorflow.fused import FUSED  # noqa: E402
from netspec_tensorflow.lowerings import LOWERINGS  # noqa: E402
from netspec_tensorflow.matrices import store_transposed  # noqa: E402

BACKEND = netspec_tensorflow.backend

# Changes no number, but has its output as [batch, height, width, channels], as the fused forms want it.
LAST = L.MaxPool2d(kernel_size=1)
LAYERS: dict[str, tuple[tuple[Size, ...], tuple[Layer, ...]]] = {
    "linear": ((BATCH, 6), (L.Linear(out_features=4),)),
    "linear on three axes": (
        (BATCH, HEIGHT, 6),
        (L.Linear(out_features=4, weight_layout="in_out"), L.Linear(out_features=3)),
    ),
    "linear without bias": ((BATCH, 6), (L.Linear(out_features=4, bias=False),)),
    "conv2d": (IMAGE, (L.Conv2d(out_channels=4, kernel_size=3),)),
    "batch_norm": (
        IMAGE,
        (
            LAST,
            L.BatchNorm(eps=1e-3, stats_decay=0.7),
        ),
    ),
    "batch_norm, biased": (
        IMAGE,
        (
            LAST,
            L.BatchNorm(running_var="biased"),
        ),
    ),
    "batch_norm, not affine": (
        IMAGE,
        (
            LAST,
            L.BatchNorm(affine=False, eps=1e-7),
        ),
    ),
    "batch_norm of vectors": ((BATCH, 6), (L.BatchNorm(),)),
    "batch_norm of sequences": ((BATCH, 6, WIDTH), (L.BatchNorm(),)),
    "batch_norm, all statistics new": (
        IMAGE,
        (
            LAST,
            L.BatchNorm(stats_decay=0.0),
        ),
    ),
    "batch_norm, all statistics old": (
        IMAGE,
        (
            LAST,
            L.BatchNorm(stats_decay=1.0),
        ),
    ),
    "layer_norm": ((BATCH, HEIGHT, 6), (L.LayerNorm(),)),
    "leaky_relu": (IMAGE, (L.LeakyRelu(negative_slope=0.1),)),
    "leaky_relu, steep": (IMAGE, (L.LeakyRelu(negative_slope=1.7),)),
    "local response norm": (IMAGE, (LAST, L.LocalResponseNorm(size=3, alpha=0.7, beta=0.6, k=1.5))),
    "activations": ((BATCH, 6), (L.Relu6(), L.Elu(), L.Softplus(), L.LogSigmoid(), L.Softsign(), L.LogSoftmax())),
    "activations with fields": ((BATCH, 6), (L.Elu(alpha=0.3), L.Softplus(beta=2.5), L.PRelu(), L.LogSoftmax(dim=0))),
    "softmax": ((BATCH, 5, 6), (L.Softmax(),)),
    "softmax over channels": (IMAGE, (L.Conv2d(out_channels=4, kernel_size=1), L.Softmax(dim=1))),
    "softmax over rows": (IMAGE, (L.Conv2d(out_channels=4, kernel_size=1, bias=False), L.Softmax(dim=2))),
    "elementwise": ((BATCH, 6), (L.Gelu(), L.Sigmoid(), L.Tanh())),
    "flatten": (IMAGE, (L.MaxPool2d(kernel_size=2), L.Flatten(start_dim=2), L.Relu())),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("shape", "layers"), LAYERS.values(), ids=LAYERS.keys())
def test_layers_agree_with_the_reference(
    shape: tuple[Size, ...], layers: tuple[Layer, ...], dtype: str, training: bool
) -> None:
    agree_with_reference(BACKEND, chain(shape, *layers), draw(shape, batch=3, height=4, width=5), dtype, training)


@pytest.mark.parametrize("training", [False, True])
def test_fused_batch_norm_survives_a_large_mean(training: bool) -> None:
    x = draw((4, 3, 5, 5)) + np.float32(1e4)
    pair = chain((BATCH, 3, 5, 5), LAST, L.BatchNorm())
    weights = draw_weights(pair) | {"l1.running_mean": np.full(3, 1e4, np.float32)}
    fused, body = (
        backend.compile(pair, weights, dtype).evaluate({"x": x}, {"y": draw((4, 3, 5, 5))}, training)  # type: ignore[arg-type]
        for backend, dtype in ((BACKEND, "float32"), (TensorFlowBackend(fused={}), "float64"))
    )
    for got, expected in ((fused.outputs, body.outputs), (fused.updates, body.updates)):
        for name, array in got.items():
            assert_close(array, expected[name], 2e-3)


def test_fused_batch_norm_keeps_a_small_eps() -> None:
    """Variances are about 1e-4 here, and TensorFlow's own wrapper would raise eps to 1e-5."""
    pair = chain((BATCH, 3, 5, 5), LAST, L.BatchNorm(eps=1e-7))
    agree_with_reference(BACKEND, pair, image(4, 5) * np.float32(1e-2), "float32", training=True)


def test_a_frozen_batch_norm_keeps_its_statistics() -> None:
    def make(b: Builder) -> Mapping[str, Value]:
        x = b.input("x", TensorType((BATCH, 3, 5, 5)))
        return {"y": call(b, "bn", L.BatchNorm(), call(b, "last", LAST, x), frozen=True)}

    model = agree_with_reference(BACKEND, graphs(make), image(2, 5), "float32", training=True)
    assert model.evaluate({"x": image(2, 5)}, training=True).updates == {}


def test_which_layers_run_fused() -> None:
    """A form that always said NotImplemented would pass every other test."""
    ran: list[str] = []

    def watched(form: Any) -> Any:
        def run(call: Call, *inputs: Any, **state: Any) -> Any:
            result = form(call, *inputs, **state)
            ran.extend([call.layer.type] if result is not NotImplemented else [])
            return result

        return run

    backend = TensorFlowBackend(fused={layer: watched(form) for layer, form in FUSED.items()})
    layers = (
        L.Conv2d(out_channels=4, kernel_size=3),
        L.BatchNorm(),
        L.LeakyRelu(),
        *(L.LocalResponseNorm(size=3), L.LocalResponseNorm(size=2)),
        *(L.Relu6(), L.Elu(), L.Elu(alpha=0.5), L.Softplus(), L.LogSigmoid(), L.Softsign()),
        L.LogSoftmax(dim=1),
        L.Flatten(),
        L.Linear(out_features=2),
        L.Softmax(),
        L.LogSoftmax(dim=0),
    )
    pair = chain((BATCH, 3, 5, 5), *layers)
    both = ["relu6", "elu", "softplus", "logsigmoid", "softsign", "log_softmax"]
    for dtype, expected in (
        ("float32", ["batch_norm", "leaky_relu", "local_response_norm", *both, "softmax"]),
        ("float64", [*both, "softmax"]),
    ):
        for training in (False, True):
            ran.clear()
            backend.compile(pair, draw_weights(pair), dtype)(image(2, 5), training=training)  # type: ignore[arg-type]
            assert ran == expected


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("axes", [(BATCH,), (BATCH, HEIGHT)])
def test_a_matrix_that_is_read_both_ways_is_stored_as_it_is(axes: tuple[Size, ...], dtype: str) -> None:
    """An embedding whose table is also the weight of the last layer."""

    def make(b: Builder) -> Mapping[str, Value]:
        rows = call(b, "table", L.Embedding(num_embeddings=6, embedding_dim=4), b.input("x", TensorType(axes, "int64")))
        entry = Entry(Origin("head", None), tied={"weight": "table.weight"})
        return {"y": b.call(L.Linear(out_features=6), entry, [call(b, "middle", L.Linear(out_features=4), rows)])[0]}

    indices = np.array([[5, 1, 5], [0, 2, 4]])[:, : len(axes) * 2 - 1].reshape((2, 3)[: len(axes)])
    model = agree_with_reference(BACKEND, graphs(make), indices, dtype)
    assert model.native.variables_by_path["table.weight"].shape == (6, 4)
    inner = store_transposed(model.graphs)
    assert [held.permutation for held in check_pair(inner).inference.params] == [None, (1, 0), None, None]


def test_a_transposed_matrix_that_leaves_its_layer_is_stored_as_it_is() -> None:
    class Transposed(Layer):
        """The parameter `weight` [2, 3], transposed."""

        type: str = "transposed"

        def expand(self, b: Builder, x: Value) -> Value:
            return b.permute(b.param("weight", (2, 3), "ones"), (1, 0))

    pair = chain((BATCH, 3), Transposed())
    assert store_transposed(pair).inference.params[0].permutation is None
    assert compiled(pair)(draw((2, 3))).shape == (3, 2)


def test_every_primitive_has_a_lowering() -> None:
    assert set(LOWERINGS) == set(ops.PRIMITIVES)


def test_other_tables_may_be_given() -> None:
    wrong = TensorFlowBackend(lowerings={**LOWERINGS, ops.Tanh: tf.sigmoid}, fused={})
    pair = chain((BATCH, 3), L.Tanh())
    assert_close(wrong.compile(pair, {})(draw((2, 3))).numpy(), tf.sigmoid(draw((2, 3))).numpy(), 1e-6)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_constants_have_the_float_type_of_the_model(dtype: str) -> None:
    def make(b: Builder) -> Mapping[str, Value]:
        x = b.input("x", TensorType((BATCH,)))
        steps = b.where(b.greater(0.5, x), b.constant(0.1), b.constant(0.7))
        return {"y": b.add(b.exp(b.constant(1.0)), steps), "z": b.constant(3, "int64")}

    outputs = compiled(graphs(make), dtype)(np.array([0.0, 1.0]))
    assert outputs["y"].dtype == tf.as_dtype(dtype)
    assert outputs["z"].dtype == tf.int64
    tolerance = {"float64": 1e-15, "float32": 1e-7, "bfloat16": 1e-2}[dtype]
    assert_close(np.asarray(outputs["y"], np.float64), np.e + np.array([0.1, 0.7]), tolerance)


def test_one_image_takes_one_change_of_layout_on_its_way() -> None:
    layers = (
        L.Conv2d(out_channels=4, kernel_size=3),
        L.BatchNorm(),
        L.Relu(),
        L.MaxPool2d(kernel_size=2),
        L.GlobalAvgPool(),
    )
    model = compiled(chain((BATCH, 3, 9, 9), *layers, L.Linear(out_features=2)))
    graph = model.native.inference_call.get_concrete_function().graph.as_graph_def()
    assert [node.op for node in graph.node].count("Transpose") == 1
