"""What each layer refuses: shapes, types and fields."""

from __future__ import annotations

import math
from typing import Any

import pytest

from netspec import layers
from netspec.errors import NetspecError, ShapeError
from netspec.graph.builder import Builder, Entry
from netspec.graph.graph import Origin
from netspec.graph.types import DType, TensorType
from netspec.layers.base import Layer
from netspec.layers.validation import FieldsError, construct
from tests.core.layer_graphs import B, H, Shape, T, W, shape_of

REFUSED: list[tuple[Layer, list[Shape], str]] = [
    (layers.Linear(out_features=2), [(B,)], r"its input must be \[batch, ..., features\], got \[batch\]"),
    (layers.Linear(out_features=2), [(B, T)], "the number of features must be known, got time"),
    (layers.Conv2d(out_channels=2, kernel_size=3), [(B, 3, 8)], r"must be \[batch, channels, height, width\], got"),
    (layers.Conv2d(out_channels=2, kernel_size=3), [(B, T, 8, 8)], "the number of channels must be known, got time"),
    (
        layers.Conv2d(out_channels=4, kernel_size=3, groups=2),
        [(B, 3, 8, 8)],
        "in_channels 3 is not divisible by groups 2",
    ),
    (
        layers.Conv2d(out_channels=4, kernel_size=3, groups=3),
        [(B, 3, 8, 8)],
        "out_channels 4 is not divisible by groups 3",
    ),
    (
        layers.Conv2d(out_channels=2, kernel_size=4, dilation=3, padding=1),
        [(B, 3, 20, 7)],
        r"a window of 10 does not fit: 7 \+ 1 \+ 1 of padding is 9",
    ),
    (
        layers.ConvTranspose2d(out_channels=2, kernel_size=3),
        [(B, T, 8, 8)],
        "number of channels must be known, got time",
    ),
    (
        layers.ConvTranspose2d(out_channels=4, kernel_size=3, groups=2),
        [(B, 3, 8, 8)],
        "in_channels 3 is not divisible by groups 2",
    ),
    (
        layers.ConvTranspose2d(out_channels=4, kernel_size=3, groups=3),
        [(B, 3, 8, 8)],
        "out_channels 4 is not divisible by groups 3",
    ),
    (
        layers.ConvTranspose2d(out_channels=2, kernel_size=3, stride=(2, 3), dilation=(1, 2), output_padding=(1, 3)),
        [(B, 3, 8, 8)],
        "output_padding 3 is not below the larger of stride 3 and dilation 2",
    ),
    (
        layers.ConvTranspose2d(out_channels=2, kernel_size=3, output_padding=1),
        [(B, 3, 8, 8)],
        "output_padding 1 is not below the larger of stride 1 and dilation 1",
    ),
    (
        layers.ConvTranspose2d(out_channels=2, kernel_size=3, stride=2, padding="same", output_padding=1),
        [(B, 3, 8, 8)],
        "output_padding does not go with padding same",
    ),
    (
        layers.ConvTranspose2d(out_channels=2, kernel_size=3, stride=2, padding=((3, 4), (0, 0))),
        [(B, 3, 3, 8)],
        r"nothing is left: \(3 - 1\) \* 2 \+ 3 is 7, of which padding cuts off 3 and 4",
    ),
    (layers.AdaptiveAvgPool2d(output_size=2), [(B, 3, 8)], r"must be \[batch, channels, height, width\], got"),
    (
        layers.AdaptiveAvgPool2d(output_size=(2, 1)),
        [(B, 3, H, 8)],
        "a size of h is known to the call alone: its output_size must be 1",
    ),
    (
        layers.AdaptiveAvgPool2d(output_size=2),
        [(B, 3, 8, W + 1)],
        r"a size of w \+ 1 is known to the call alone: its output_size must be 1",
    ),
    (layers.MaxPool2d(kernel_size=6, stride=2, ceil_mode=True), [(B, 3, 8, 3)], "a window of 6 does not fit"),
    (layers.AvgPool2d(kernel_size=6, stride=2, ceil_mode=True), [(B, 3, 8, 3)], "a window of 6 does not fit"),
    (layers.MaxPool2d(kernel_size=3, padding=2, ceil_mode=True), [(B, 3, 8, 8)], "padding 2 is more than half"),
    (layers.MaxPool2d(kernel_size=3, padding=2), [(B, 3, 8, 8)], "padding 2 is more than half of kernel_size 3"),
    (
        layers.AvgPool2d(kernel_size=(2, 5), padding=(1, 3)),
        [(B, 3, 8, 8)],
        "padding 3 is more than half of kernel_size 5",
    ),
    (layers.AvgPool2d(kernel_size=9), [(B, 3, 8, 8)], "a window of 9 does not fit"),
    (layers.GlobalAvgPool(), [(B, 3)], r"must be \[batch, channels, \*spatial\], got \[batch, 3\]"),
    (layers.BatchNorm(), [(B,)], r"must be \[batch, channels, ...\], got \[batch\]"),
    (layers.BatchNorm(), [(B, T)], "weight would have a size of time: a parameter's sizes must be numbers"),
    (layers.BatchNorm(affine=False), [(B, T)], "running_mean would have a size of time"),
    (
        layers.LayerNorm(dim=1),
        [(B, 3, 4)],
        r"dim must name trailing axes behind the batch, got \[1\] for \[batch, 3, 4\]",
    ),
    (layers.LayerNorm(dim=(0, 1)), [(B, 3)], "trailing axes behind the batch"),
    (layers.LayerNorm(dim=-3), [(B, 3)], "dim -3 is outside of the 2 dimensions"),
    (layers.LayerNorm(), [(B, T)], "weight would have a size of time"),
    (layers.Softmax(dim=2), [(B, 3)], "dim 2 is outside of the 2 dimensions"),
    (layers.Softmax(), [()], "dim -1 is outside of the 0 dimensions"),
    (layers.ScaledDotProductAttention(), [(B, 4), (4,), (B, 4)], r"key must be \[..., length, features\], got \[4\]"),
    (
        layers.ScaledDotProductAttention(),
        [(B, T, 4), (B, H, 3), (B, H, 4)],
        "query has 4 features and key 3: they must be as many",
    ),
    (
        layers.ScaledDotProductAttention(),
        [(B, T, 4), (B, H, 4), (B, T, 4)],
        r"the same leading dimensions and length, got \[batch, h, 4\] and \[batch, time, 4\]",
    ),
    (
        layers.ScaledDotProductAttention(),
        [(B, 6, T, 4), (B, 4, H, 4), (B, 4, H, 4)],
        "do not broadcast: 4 against 6",
    ),
    (
        layers.ScaledDotProductAttention(),
        [(B, T, W), (B, H, W), (B, H, W)],
        "the number of features must be known, or scale be given: got w",
    ),
    (layers.ByMode(), [(B, 3), (B, 4)], r"must have one type, got float\[batch, 3\] and float\[batch, 4\]"),
    (layers.Add(), [(B, 3)], "two inputs or more are needed, got 1"),
    (layers.Add(), [(3, 4), (4, 3)], r"shapes \[3, 4\] and \[4, 3\] do not broadcast: 3 against 4"),
    (layers.Mul(), [(B, T), (B, 4)], r"do not broadcast: 4 against time"),
    (layers.Concat(dim=1), [(B, 3), (B, 3, 1)], "all other sizes must be equal"),
    (layers.Concat(dim=1), [(B, 3, 4), (B, 3, 5)], r"concat along 1 of \[batch, 3, 4\], \[batch, 3, 5\]"),
    (layers.Concat(dim=2), [(B, 3), (B, 3)], "dim 2 is outside"),
    (layers.Flatten(start_dim=2, end_dim=1), [(B, 3, 4)], "start_dim 2 comes behind end_dim 1"),
    (layers.Flatten(start_dim=3), [(B, 3, 4)], "start_dim 3 is outside of the 3 dimensions"),
    (layers.Flatten(), [(B, 2**31 - 1, 2)], "a size of 4294967294"),
    (layers.Reshape(shape=(-1, -1)), [(B, 3)], "more than one -1"),
    (layers.Reshape(shape=(B, 4)), [(B, 6)], r"\[batch, 6\] has 6\*batch elements, \[batch, 4\] would have 4\*batch"),
    (layers.Reshape(shape=(-1, 4)), [(B, 6)], "do not divide for every size"),
    (layers.Reshape(shape=(0, -1)), [(B, 6)], "do not divide for every size"),
]


@pytest.mark.parametrize(("layer", "inputs", "message"), REFUSED, ids=str)
def test_refused(layer: Layer, inputs: list[Shape], message: str) -> None:
    with pytest.raises(NetspecError, match=message) as caught:
        shape_of(layer, *inputs)
    assert "would have a size" in message or isinstance(caught.value, ShapeError)


@pytest.mark.parametrize(
    "cls", [layers.Relu, layers.LeakyRelu, layers.Gelu, layers.Silu, layers.Tanh, layers.Sigmoid, layers.Softmax]
)
@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_activations_take_floats_only(cls: type[Layer], dtype: DType) -> None:
    with pytest.raises(ShapeError, match=f"numbers are needed here, not {dtype}"):
        shape_of(cls.model_validate({}), (B, 3), dtype=dtype)


def test_nothing_is_converted_silently() -> None:
    b = Builder("mixed")
    x, i = b.input("x", TensorType((B, 3))), b.input("i", TensorType((B, 3), "int64"))
    with pytest.raises(ShapeError, match="mixed types"):
        b.call(layers.Add(), Entry(Origin("it", None)), [x, i])
    with pytest.raises(ShapeError, match="indices of an integer type"):
        shape_of(layers.Embedding(num_embeddings=3, embedding_dim=2), (B, 3))
    with pytest.raises(ShapeError, match="padding_idx 3 is not below num_embeddings 3"):
        shape_of(layers.Embedding(num_embeddings=3, embedding_dim=2, padding_idx=3), (B,), dtype="int64")


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (layers.MaxPool2d(kernel_size=(2**31 - 1, 1)), (B, 3, H, W), r"h//2147483647 .* is below 1"),
        (layers.Flatten(), (B, 2**31 - 1, T + 1), r"is above 2147483647 for every size of its symbols"),
    ],
)
def test_a_symbolic_size_that_no_call_could_have_is_refused(layer: Layer, shape: Shape, message: str) -> None:
    if "above" in message:
        with pytest.raises(ShapeError, match=message):
            shape_of(layer, shape)
    else:  # a symbol may be 2^31 - 1, and then one window is left; after the next pool nothing can be
        once = shape_of(layer, shape)
        with pytest.raises(ShapeError, match="is below 1 for every size of its symbols"):
            shape_of(layer, once)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("conv2d", {"out_channels": 0, "kernel_size": 3}, "out_channels: expected a positive integer, got 0"),
        ("conv2d", {"out_channels": 2.0, "kernel_size": 3}, "expected a positive integer, got 2.0; // divides"),
        ("conv2d", {"out_channels": True, "kernel_size": 3}, "expected a positive integer, got true"),
        ("conv2d", {"out_channels": "64", "kernel_size": 3}, "expected a positive integer, got text '64'"),
        ("conv2d", {"out_channels": 2**31, "kernel_size": 3}, "got 2147483648; the limit is 2147483647"),
        ("conv2d", {"kernel_size": [3, 2**31]}, r"pair of them, got \[3, 2147483648\]; the limit is 2147483647"),
        ("interpolate", {"size": 10**11}, "spatial dimension, got 100000000000; the limit is 2147483647"),
        ("arange", {"end": 3, "start": -(2**31)}, "got -2147483648; the limit is -2147483647"),
        ("conv2d", {"out_channels": 10**5000, "kernel_size": 3}, "got an integer of 16610 bits"),
        ("conv2d", {"kernel_size": 3}, "out_channels is required"),
        ("conv2d", {"out_channels": 2, "kernel_size": [3]}, r"a positive integer or a pair of them, got \[3\]"),
        ("conv2d", {"out_channels": 2, "kernel_size": [3, 0]}, r"got \[3, 0\]"),
        ("conv2d", {"out_channels": 2, "kernel_size": [3.0, 3]}, r"got \[3.0, 3\]"),
        ("conv2d", {"out_channels": 2, "kernel_size": [True, 3]}, r"got \[true, 3\]"),
        ("conv2d", {"out_channels": 2, "kernel_size": 3, "padding": "valid"}, "same or same_lower, got text 'valid'"),
        ("conv2d", {"out_channels": 2, "kernel_size": 3, "padding": [[1, 2], 3]}, "expected an integer from 0 up"),
        ("conv2d", {"out_channels": 2, "kernel_size": 3, "padding": -1}, "expected an integer from 0 up"),
        ("conv2d", {"out_channels": 2, "kernel_size": 3, "bias": "no"}, "bias: expected true or false, got text 'no'"),
        ("conv2d", {"out_channels": 2, "kernel_size": 3, "bias": 0}, "bias: expected true or false, got 0"),
        ("conv2d", {"out_chanels": 2, "kernel_size": 3}, "unknown field out_chanels; did you mean out_channels?"),
        (
            "conv_transpose2d",
            {"out_channels": 2, "kernel_size": 3, "padding": "same_lower"},
            r"\[\[begin, end\], \[begin, end\]\] or same, got text 'same_lower'",
        ),
        (
            "conv_transpose2d",
            {"out_channels": 2, "kernel_size": 3, "output_padding": -1},
            "output_padding: expected an integer from 0 up or a pair of them, got -1",
        ),
        ("adaptive_avg_pool2d", {}, "output_size is required"),
        ("adaptive_avg_pool2d", {"output_size": [2, 0]}, r"a positive integer or a pair of them, got \[2, 0\]"),
        ("max_pool2d", {"kernel_size": 2, "ceil_mode": 1}, "ceil_mode: expected true or false, got 1"),
        ("dropout", {"p": 1.0}, r"p: expected a number in \[0, 1\), got 1.0"),
        ("dropout", {"p": -0.1}, r"p: expected a number in \[0, 1\), got -0.1"),
        ("dropout", {"p": True}, r"p: expected a number in \[0, 1\), got true"),
        ("dropout", {"p": math.nan}, r"p: expected a number in \[0, 1\)"),
        ("batch_norm", {"eps": 0}, "eps: expected a number above 0, got 0"),
        ("batch_norm", {"momentum": 0.1}, "momentum is refused: it is the weight of the new batch in PyTorch and of"),
        (
            "conv1d",
            {"padding_mode": "reflect"},
            r"padding_mode is refused: .* \{type: pad, pad: \[1, 1\], mode: reflect",
        ),
        ("conv2d", {"padding_mode": "reflect", "padding": [2, 3]}, r"such as \{type: pad, pad: \[1, 1, 1, 1\], mode"),
        ("conv2d", {"padding_mode": "reflect", "padding": 10**5000}, r"such as \{type: pad, pad: \[1, 1, 1, 1\], mode"),
        ("conv3d", {"padding_mode": "zeros", "padding": 2}, r"such as \{type: pad, pad: \[2, 2, 2, 2, 2, 2\], mode"),
        ("batch_norm", {"stats_decay": 1.5}, r"stats_decay: expected a number in \[0, 1\], got 1.5"),
        ("batch_norm", {"running_var": "sample"}, "running_var: expected unbiased or biased, got text 'sample'"),
        ("layer_norm", {"dim": []}, "dim: expected the number of a dimension, from -8 to 7, or a list"),
        ("layer_norm", {"dim": 8}, "dim: expected the number of a dimension, from -8 to 7, or a list of them, got 8$"),
        ("softmax", {"dim": 9}, "dim: expected the number of a dimension, from -8 to 7, got 9$"),
        ("relu", {"inplace": True}, "unknown field inplace; it has no fields"),
        ("reshape", {"shape": ["batch", 3]}, r"expressions such as \$\(batch\), got \['batch', 3\]"),
        ("reshape", {"shape": [-2, 3]}, "expected a list of sizes"),
        ("concat", {}, "dim is required"),
        ("scaled_dot_product_attention", {"is_causal": True}, "is_causal is refused: the field is causal"),
        ("scaled_dot_product_attention", {"causal_offset": 2**31}, r"causal_offset: expected an integer from -2\^30"),
        ("formula", {"expr": "x", "variables": ["x"]}, "unknown field variables; its fields are expr"),
        ("formula", {"expr": "x", "numbers": {"n": 2}}, "unknown field numbers; its fields are expr"),
        ("formula", {}, "expr is required"),
        ("formula", {"expr": 3}, r"expr: expected an expression as text, such as abs\(a - b\), got 3"),
        (
            "embedding",
            {"num_embeddings": 3, "embedding_dim": 2, "padding_idx": -1},
            "padding_idx: expected an integer from 0",
        ),
        (
            "linear",
            {"out_features": 3, "weight_layout": "out"},
            "weight_layout: expected out_in or in_out, got text 'out'",
        ),
    ],
)
def test_fields_that_are_refused(name: str, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldsError, match=message):
        construct(layers.LAYER_TYPES[name], fields)
