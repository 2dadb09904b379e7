"""The layers of transformers: shapes and parameters, how they start, and what they refuse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from netspec import layers
from netspec.errors import InputError, NetspecError, ShapeError
from netspec.graph.builder import Builder, Entry
from netspec.graph.graph import Origin
from netspec.graph.types import DType, TensorType
from netspec.layers.base import Layer, input_names
from netspec.layers.validation import FieldsError, construct
from netspec.model import InputCheck
from netspec.weights.initial import initial_weights
from tests.core.layer_graphs import B, H, Shape, T, W, graph_of, shape_of, state_of

OUT = {"out_proj.weight": (6, 6), "out_proj.bias": (6,)}
FORMS: list[tuple[Layer, list[Shape], Shape, dict[str, Shape]]] = [
    (
        layers.MultiHeadAttention(num_heads=2),
        [(B, T, 6), (B, H, 6), (B, H, 6)],
        (B, T, 6),
        {"in_proj_weight": (18, 6), "in_proj_bias": (18,), **OUT},
    ),
    (
        layers.MultiHeadAttention(num_heads=6),
        [(B, T, 6), (B, H, 4), (B, H, 6)],
        (B, T, 6),
        {"q_proj_weight": (6, 6), "k_proj_weight": (6, 4), "v_proj_weight": (6, 6), "in_proj_bias": (18,), **OUT},
    ),
    (
        layers.MultiHeadAttention(num_heads=1, bias=False),
        [(2, 1, 6), (2, 5, 6), (2, 5, 6)],
        (2, 1, 6),
        {"in_proj_weight": (18, 6), "out_proj.weight": (6, 6)},
    ),
    (layers.SinusoidalPositions(), [(B, T, 6)], (B, T, 6), {}),
    (layers.SinusoidalPositions(layout="halves"), [(T, 2)], (T, 2), {}),
    (layers.LearnedPositions(num_embeddings=9), [(B, T, 5)], (B, T, 5), {"weight": (9, 5)}),
    (layers.RotaryEmbedding(), [(B, 3, T, 8)], (B, 3, T, 8), {}),
    (layers.Alibi(num_heads=3), [(B, T, 5)], (3, T, T), {}),
    (layers.Alibi(num_heads=1), [(B, T, 5), (H, W)], (1, T, H), {}),
    (layers.RotaryEmbedding(rotary_dim=2, layout="interleaved"), [(B, T, 5)], (B, T, 5), {}),
]
TYPES = {type(layer) for layer, *_ in FORMS}


@pytest.mark.parametrize(("layer", "inputs", "output", "state"), FORMS)
def test_shapes_and_parameters(layer: Layer, inputs: list[Shape], output: Shape, state: dict[str, Shape]) -> None:
    for training in (False, True):
        graph = graph_of(layer, *inputs, training=training)
        assert graph.outputs[0].value.type == TensorType(output)
        assert state_of(graph) == {f"it.{name}": ("param", shape) for name, shape in state.items()}


def test_the_length_of_learned_positions_is_checked_by_the_call() -> None:
    graph = graph_of(layers.LearnedPositions(num_embeddings=9), (B, T, 5))
    assert [(str(need.size), need.at_least) for need in graph.requirements] == [("-time + 10", 1)]
    with pytest.raises(ShapeError, match=r"^it: it takes indices below 9, and one is 9$"):
        graph_of(layers.LearnedPositions(num_embeddings=9), (B, 10, 5))
    check = InputCheck(graph)
    assert check({"x0": np.zeros((1, 9, 5))}) == {"batch": 1, "time": 9}
    with pytest.raises(InputError, match=r"^it: it takes indices below 9, and one is time - 1, 11 here$"):
        check({"x0": np.zeros((1, 12, 5))})


def test_attention_starts_as_that_of_torch() -> None:
    graph = graph_of(layers.MultiHeadAttention(num_heads=4), (B, T, 64), (B, H, 64), (B, H, 64))
    drawn = {path.removeprefix("it."): array for path, array in initial_weights(graph).items()}
    for name, bound in (("in_proj_weight", math.sqrt(6 / (64 + 192))), ("out_proj.weight", 1 / 8)):
        assert 0.98 * bound < np.abs(drawn[name]).max() <= bound, name
        assert abs(drawn[name].std() - bound / math.sqrt(3)) < 0.02 * bound, name
    assert not drawn["in_proj_bias"].any()
    assert not drawn["out_proj.bias"].any()


def apply(layer: Layer, **given: tuple[Shape, DType]) -> None:
    """The layer on inputs by name."""
    b = Builder("one")
    values = {name: b.input(name, TensorType(shape, dtype)) for name, (shape, dtype) in given.items()}
    required = [values.pop(name) for name in input_names(type(layer)).required]
    b.call(layer, Entry(Origin("it", None)), required, values)


X: dict[str, tuple[Shape, DType]] = dict.fromkeys(("query", "key", "value"), ((B, T, 6), "float"))
HEADS = layers.MultiHeadAttention(num_heads=3)
ROTARY = layers.RotaryEmbedding()
ROWS = layers.LearnedPositions(num_embeddings=9)
REFUSED: list[tuple[Layer, dict[str, tuple[Shape, DType]], str]] = [
    (HEADS, X | {"query": ((B, 2, T, 6), "float")}, r"query must be \[batch, length, features\], got \[batch, 2, time"),
    (HEADS, X | {"value": ((B, T, W), "float")}, "the number of features of value must be known, got w"),
    (layers.MultiHeadAttention(num_heads=4), X, "the 6 features of query are not divisible by num_heads 4"),
    (HEADS, X | {"query": ((1, T, 6), "float")}, "the batches of query and key must be equal, got 1 and batch"),
    (HEADS, X | {"value": ((1, T, 6), "float")}, "the batches of query and value must be equal, got batch and 1"),
    (HEADS, X | {"value": ((B, H, 6), "float")}, "key and value must have the same leading dimensions and length"),
    (HEADS, X | {"mask": ((T, T), "float")}, "mask must be flags, true for what may be attended to, got float"),
    (HEADS, X | {"mask": ((B, T, T), "bool")}, "do not broadcast"),
    (HEADS, X | {"attn_bias": ((2, B, 3, T, T), "float")}, "bias .* does not broadcast to the scores"),
    (HEADS, X | {"key_mask": ((B, H), "bool")}, r"key_mask must be flags \[batch, time\], .*, got bool\[batch, h\]"),
    (HEADS, X | {"key_mask": ((B, T), "float")}, r"key_mask must be flags \[batch, time\], .*, got float"),
    (layers.SinusoidalPositions(), {"x": ((6,), "float")}, r"its input must be \[..., time, features\], got \[6\]"),
    (layers.SinusoidalPositions(), {"x": ((B, T, 5), "float")}, "features must be known and even, got 5"),
    (layers.SinusoidalPositions(), {"x": ((B, T, W), "float")}, "features must be known and even, got w"),
    (layers.SinusoidalPositions(), {"x": ((B, T, 4), "int64")}, "floating-point numbers are needed here"),
    (ROWS, {"x": ((B, T, W), "float")}, "weight would have a size of w"),
    (ROWS, {"x": ((T, 4), "float"), "positions": ((T, T), "int64")}, r"positions must be \[time\] for \[time, 4\]"),
    (layers.Alibi(num_heads=2), {"query": ((B, T, 4), "float"), "key": ((T,), "float")}, r"input must be \[..., time"),
    (ROTARY, {"x": ((B, T, 5), "float")}, "an even number of features, known and 5 or more, is needed, got 5"),
    (ROTARY, {"x": ((B, T, W), "float")}, "an even number of features, .*, is needed, got w"),
    (layers.RotaryEmbedding(rotary_dim=6), {"x": ((B, T, 4), "float")}, "known and 6 or more, is needed, got 4"),
    (ROTARY, {"x": ((B, T, 4), "float"), "positions": ((T,), "float")}, "positions must be integers, got float"),
    (
        ROTARY,
        {"x": ((B, 2, T, 4), "float"), "positions": ((B, 2, T), "int64")},
        r"positions must be \[time\] or \[batch, time\] for \[batch, 2, time, 4\], got \[batch, 2, time\]",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "given", "message"), REFUSED)
def test_inputs_that_are_refused(layer: Layer, given: dict[str, tuple[Shape, DType]], message: str) -> None:
    with pytest.raises(NetspecError, match=message):
        apply(layer, **given)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("multi_head_attention", {}, "num_heads is required"),
        ("multi_head_attention", {"num_heads": 0}, "num_heads: expected a positive integer, got 0"),
        ("multi_head_attention", {"num_heads": 2, "dropout": 1}, r"dropout: expected a number in \[0, 1\), got 1"),
        ("multi_head_attention", {"num_heads": 2, "add_zero_attn": True}, "add_zero_attn is refused: it is not suppor"),
        ("multi_head_attention", {"num_heads": 2, "add_bias_kv": True}, "add_bias_kv is refused: it is not supported"),
        ("multi_head_attention", {"num_heads": 2, "embed_dim": 4}, "embed_dim is refused: it is the number of featur"),
        ("scaled_dot_product_attention", {"dropout_p": -0.1}, r"dropout_p: expected a number in \[0, 1\), got -0.1"),
        ("learned_positions", {}, "num_embeddings is required"),
        ("rotary_embedding", {"rotary_dim": 3}, "rotary_dim: expected a positive even integer, got 3"),
        ("rotary_embedding", {"layout": "halves"}, "layout: expected half_split or interleaved, got text 'halves'"),
        ("rotary_embedding", {"base": 0}, "base: expected a number above 0, got 0"),
        ("alibi", {"num_heads": 0}, "num_heads: expected an integer from 1 to 65536, got 0"),
        ("alibi", {"num_heads": 65537}, "num_heads: expected an integer from 1 to 65536, got 65537"),
        ("sinusoidal_positions", {"layout": "half_split"}, "layout: expected interleaved or halves, got text"),
    ],
)
def test_fields_that_are_refused(name: str, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldsError, match=message):
        construct(layers.LAYER_TYPES[name], fields)


def test_masks_may_be_of_pairs_heads_and_samples() -> None:
    for shape in ((T, T), (1, T), (3, T, T), (B, 1, T, T), (B, 3, 1, T)):
        apply(HEADS, **X, mask=(shape, "bool"), attn_bias=(shape, "float"), key_mask=((B, T), "bool"))
    assert shape_of(layers.RotaryEmbedding(), (T, 4)) == (T, 4)
