"""Every layer's shapes, parameters and types on awkward configurations, and what is left to a call."""

from __future__ import annotations

from typing import Any

import pytest

from netspec import layers
from netspec.graph.types import DType, TensorType
from netspec.layers.base import Layer, input_names
from netspec.layers.validation import construct
from tests.core.layer_graphs import B, H, Shape, T, W, formula, graph_of, state_of
from tests.core.test_layers_norms import FORMS as NORM_FORMS

FORMS: list[tuple[Layer, list[Shape], Shape, dict[str, tuple[str, Shape]]]] = [
    (layers.Linear(out_features=7), [(B, 5)], (B, 7), {"weight": ("param", (7, 5)), "bias": ("param", (7,))}),
    (layers.Linear(out_features=7, bias=False), [(B, T, 2, 5)], (B, T, 2, 7), {"weight": ("param", (7, 5))}),
    (
        layers.Linear(out_features=7, weight_layout="in_out"),
        [(B, T, 5)],
        (B, T, 7),
        {"weight": ("param", (5, 7)), "bias": ("param", (7,))},
    ),
    (
        layers.BatchNorm(),
        [(B, 3, H)],
        (B, 3, H),
        {
            "weight": ("param", (3,)),
            "bias": ("param", (3,)),
            "running_mean": ("buffer", (3,)),
            "running_var": ("buffer", (3,)),
        },
    ),
    (
        layers.BatchNorm(affine=False),
        [(B, 3)],
        (B, 3),
        {"running_mean": ("buffer", (3,)), "running_var": ("buffer", (3,))},
    ),
    (layers.LayerNorm(), [(B, T, 5)], (B, T, 5), {"weight": ("param", (5,)), "bias": ("param", (5,))}),
    (
        layers.LayerNorm(dim=(-1, 2)),
        [(B, T, 4, 5)],
        (B, T, 4, 5),
        {"weight": ("param", (4, 5)), "bias": ("param", (4, 5))},
    ),
    (layers.LayerNorm(dim=(3, -2), bias=False), [(B, T, 4, 5)], (B, T, 4, 5), {"weight": ("param", (4, 5))}),
    (layers.LayerNorm(elementwise_affine=False), [(B, T)], (B, T), {}),
    (layers.Dropout(p=0.3), [(B, 3, T)], (B, 3, T), {}),
    (layers.GlobalAvgPool(), [(B, 3, H, W)], (B, 3), {}),
    (layers.GlobalAvgPool(), [(B, 3, T)], (B, 3), {}),
    (layers.AdaptiveAvgPool2d(output_size=(7, 3)), [(B, 3, 9, 6)], (B, 3, 7, 3), {}),
    (layers.AdaptiveAvgPool2d(output_size=1), [(B, 3, H, W)], (B, 3, 1, 1), {}),
    (layers.AdaptiveAvgPool2d(output_size=(1, 5)), [(B, 3, H, 2)], (B, 3, 1, 5), {}),
    (layers.Relu(), [(B, H)], (B, H), {}),
    (layers.LeakyRelu(), [(B, H)], (B, H), {}),
    (layers.Gelu(), [(B, H)], (B, H), {}),
    (layers.Silu(), [(B, H)], (B, H), {}),
    (layers.Sigmoid(), [()], (), {}),
    (layers.Tanh(), [(T,)], (T,), {}),
    (layers.Softmax(dim=1), [(B, 3, H)], (B, 3, H), {}),
    (layers.ScaledDotProductAttention(), [(B, 2, T, 6), (B, 2, H, 6), (B, 2, H, 5)], (B, 2, T, 5), {}),
    (layers.ScaledDotProductAttention(causal=True), [(B, T, 3), (T, 3), (T, 4)], (B, T, 4), {}),
    (layers.ScaledDotProductAttention(scale=2.0), [(T, W), (H, W), (H, 4)], (T, 4), {}),
    (layers.ScaledDotProductAttention(), [(B, 6, T, 4), (B, 2, H, 4), (B, 2, H, 3)], (B, 6, T, 3), {}),
    (layers.ScaledDotProductAttention(), [(B, 6, T, 4), (1, H, 4), (1, H, 3)], (B, 6, T, 3), {}),
    (formula("x * y", "x", "y"), [(B, 1, H), (3, 1)], (B, 3, H), {}),
    (layers.ByMode(), [(B, T), (B, T)], (B, T), {}),
    (layers.Add(), [(B, 3, H), (3, 1), (H,)], (B, 3, H), {}),
    (layers.Mul(), [(B, 1, 4), (1, 3, 1)], (B, 3, 4), {}),
    (layers.Concat(dim=-2), [(B, 3, 4), (B, T, 4), (B, 2, 4)], (B, T + 5, 4), {}),
    (layers.Flatten(), [(B, 3, H, 2)], (B, 6 * H), {}),
    (layers.Flatten(start_dim=0, end_dim=-2), [(B, 3, H, 2)], (3 * B * H, 2), {}),
    (layers.Flatten(start_dim=-1), [(B, 3)], (B, 3), {}),
    (layers.Reshape(shape=(-1, 6)), [(B, 3, 4)], (2 * B, 6), {}),
    (layers.Reshape(shape=(B, 2, -1)), [(B, T, 4)], (B, 2, 2 * T), {}),
    (layers.Reshape(shape=(B * T, 4)), [(B, T, 4)], (B * T, 4), {}),
    *NORM_FORMS,
]


@pytest.mark.parametrize(("layer", "inputs", "output", "state"), FORMS, ids=str)
def test_shape_and_state(layer: Layer, inputs: list[Shape], output: Shape, state: dict[str, Any]) -> None:
    for training in (False, True):
        graph = graph_of(layer, *inputs, training=training)
        assert graph.outputs[0].value.type == TensorType(output)
        assert state_of(graph) == {f"it.{name}": held for name, held in state.items()}


def test_embedding() -> None:
    layer = layers.Embedding(num_embeddings=9, embedding_dim=4, padding_idx=2)
    for shape in ((B, T), (T,), ()):
        graph = graph_of(layer, shape, dtype="int32")
        assert graph.outputs[0].value.shape == (*shape, 4)
        assert state_of(graph) == {"it.weight": ("param", (9, 4))}
        assert graph.params[0].zero_row == 2


@pytest.mark.parametrize("dtype", ["int32", "bool"])
def test_moving_layers_take_every_type(dtype: DType) -> None:
    for layer in (layers.Flatten(), layers.Reshape(shape=(-1,))):
        assert graph_of(layer, (B, 3, 2), dtype=dtype).outputs[0].value.type.dtype == dtype
    assert graph_of(layers.Concat(dim=0), (B, 3), (T, 3), dtype=dtype).outputs[0].value.type == TensorType(
        (B + T, 3), dtype
    )


def test_what_only_a_call_can_tell_is_left_to_it() -> None:
    graph = graph_of(layers.Conv2d(out_channels=2, kernel_size=5, stride=4), (B, 3, H, 9))
    assert [(str(need.size), need.at_least) for need in graph.requirements] == [("(h + 3)//4 - 1", 1)]
    training = graph_of(layers.BatchNorm(), (B, 3, T), training=True)
    assert [(str(need.size), need.at_least) for need in training.requirements] == [("batch*time", 2)]
    assert not graph_of(layers.BatchNorm(), (B, 3, T)).requirements
    assert not graph_of(layers.BatchNorm(), (B, 3, 2), training=True).requirements
    lone = graph_of(layers.BatchNorm(), (1, 3), training=True)
    assert [(need.size, need.at_least) for need in lone.requirements] == [(1, 2)]


def test_an_integer_will_do_for_a_float() -> None:
    layer = construct(layers.LeakyRelu, {"negative_slope": 2})
    assert layer.negative_slope == 2.0
    assert isinstance(layer.negative_slope, float)


def test_inputs_are_the_arguments_of_expand() -> None:
    assert input_names(layers.Add).variadic
    assert not input_names(layers.Add).required
    assert input_names(layers.Linear).required == ("x",)
    assert not input_names(layers.Linear).variadic
