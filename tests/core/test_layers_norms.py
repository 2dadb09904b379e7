"""Activations, norms and dropouts: shapes, parameters, what is left to a call, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from netspec import layers as L
from netspec.errors import NetspecError, ShapeError
from netspec.graph.ops import Bernoulli
from netspec.graph.types import DType
from netspec.layers.base import Layer
from netspec.layers.initializers import Constant
from netspec.layers.validation import FieldsError, construct
from netspec.weights.initial import initial_weights
from tests.core.layer_graphs import B, H, Shape, T, W, graph_of, shape_of

BY_ELEMENT: tuple[Layer, ...] = (
    *(L.Relu6(), L.Elu(), L.Selu(), L.Celu(), L.GeluTanh(), L.QuickGelu(), L.Mish(), L.Softplus(), L.Softsign()),
    *(L.LogSigmoid(), L.HardSigmoid(), L.HardSwish(), L.HardTanh(), L.Threshold(threshold=0, value=1)),
)
State = dict[str, tuple[str, Shape]]
AFFINE: State = {"weight": ("param", (6,)), "bias": ("param", (6,))}
FORMS: list[tuple[Layer, list[Shape], Shape, State]] = [
    (L.PRelu(), [()], (), {"weight": ("param", (1,))}),
    (L.PRelu(), [(T, W)], (T, W), {"weight": ("param", (1,))}),
    (L.PRelu(shape="channel"), [(B, 6, H)], (B, 6, H), {"weight": ("param", (6,))}),
    (L.LogSoftmax(dim=1), [(B, 3, H)], (B, 3, H), {}),
    (L.Glu(), [(B, T, 6)], (B, T, 3), {}),
    (L.Glu(dim=1), [(B, 2 * T, 6)], (B, T, 6), {}),
    (L.RMSNorm(), [(B, T, 6)], (B, T, 6), {"weight": ("param", (6,))}),
    (L.RMSNorm(dim=(-1, 1)), [(B, 4, 6)], (B, 4, 6), {"weight": ("param", (4, 6))}),
    (L.RMSNorm(elementwise_affine=False), [(B, T)], (B, T), {}),
    (L.GroupNorm(num_groups=3), [(B, 6, H, W)], (B, 6, H, W), AFFINE),
    (L.GroupNorm(num_groups=6, affine=False), [(B, 6)], (B, 6), {}),
    (L.InstanceNorm(), [(B, 6, H)], (B, 6, H), {}),
    (L.InstanceNorm(affine=True), [(B, 6, H, W)], (B, 6, H, W), AFFINE),
    (L.LocalResponseNorm(size=4), [(B, T, H)], (B, T, H), {}),
    (L.LocalResponseNorm(size=9), [(B, 6, H, W, 2)], (B, 6, H, W, 2), {}),
    (L.L2Normalize(), [(B, T)], (B, T), {}),
    (L.L2Normalize(dim=(0, -1)), [(B, T, 3)], (B, T, 3), {}),
    (L.Dropout2d(), [(B, T, H)], (B, T, H), {}),
    (L.AlphaDropout(), [(B, T)], (B, T), {}),
    (L.StochasticDepth(p=0.5), [(B, T)], (B, T), {}),
]
FORMS += [(layer, [(B, H)], (B, H), {}) for layer in BY_ELEMENT]


@pytest.mark.parametrize(
    ("layer", "mask"),
    [
        (L.Dropout(), (B, 6, H, W)),
        (L.Dropout2d(), (B, 6, 1, 1)),
        (L.AlphaDropout(), (B, 6, H, W)),
        (L.StochasticDepth(p=0.5), (B, 1, 1, 1)),
        (L.StochasticDepth(p=0.5, mode="batch"), (1, 1, 1, 1)),
    ],
)
def test_what_is_dropped_at_once(layer: Layer, mask: Shape) -> None:
    """Nothing at all in inference, or with p = 0."""
    shape = (B, 6, H, W)
    drawn = [n for n in graph_of(layer, shape, training=True).primitives() if isinstance(n.op, Bernoulli)]
    assert [node.outputs[0].shape for node in drawn] == [mask]
    assert [node.op for node in drawn] == [Bernoulli(0.5)]
    assert not list(graph_of(layer, shape).primitives())
    assert not list(graph_of(layer.model_copy(update={"p": 0.0}), shape, training=True).primitives())


def test_prelu_starts_at_a_quarter() -> None:
    graph = graph_of(L.PRelu(shape="channel"), (B, 3))
    assert graph.params[0].initializer == Constant(value=0.25)
    assert initial_weights(graph, 0)["it.weight"].tolist() == [0.25] * 3


@pytest.mark.parametrize("shape", [(B, 6, 1), (B, 6, 1, 1)])
def test_one_value_for_each_channel_has_no_variance(shape: Shape) -> None:
    with pytest.raises(NetspecError, match="2 values or more for each channel, got 1"):
        shape_of(L.InstanceNorm(), shape)


def test_a_call_with_one_value_for_each_channel_is_refused() -> None:
    (needed,) = graph_of(L.InstanceNorm(), (B, 6, H, W)).requirements
    assert (needed.size, needed.at_least) == (H * W, 2)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (L.PRelu(shape="channel"), (B,), r"must be \[batch, channels, ...\], got \[batch\]"),
        (L.PRelu(shape="channel"), (B, T), "weight would have a size of time"),
        (L.Glu(), (B, 5), r"the size of dimension -1 must be even, got \[batch, 5\]"),
        (L.Glu(dim=1), (B, T, 2), "the size of dimension 1 must be even"),
        (L.Glu(dim=2), (B, 4), "dim 2 is outside of the 2 dimensions"),
        (L.LogSoftmax(dim=-3), (B, 4), "dim -3 is outside of the 2 dimensions"),
        (L.LayerNorm(dim=(-1, 2)), (B, 4, 4), "dim names a dimension of .* twice"),
        (L.RMSNorm(dim=(0, 1)), (B, 3), r"trailing axes behind the batch, got \[0, 1\] for \[batch, 3\]"),
        (L.RMSNorm(), (B, T), "weight would have a size of time"),
        (L.GroupNorm(num_groups=4), (B, 6, H), "6 channels are not divisible by num_groups 4"),
        (L.GroupNorm(num_groups=1), (B,), r"must be \[batch, channels, ...\], got \[batch\]"),
        (L.GroupNorm(num_groups=1), (B, T, H), "the number of channels must be known, got time"),
        (L.InstanceNorm(), (B, 6), r"must be \[batch, channels, \*spatial\], got \[batch, 6\]"),
        (L.LocalResponseNorm(size=3), (B, 6), r"must be \[batch, channels, \*spatial\], got \[batch, 6\]"),
        (L.L2Normalize(), (B,), "dim 1 is outside of the 1 dimensions"),
        (L.L2Normalize(dim=(1, -1)), (B, 3), "twice"),
        (L.Dropout2d(), (B, 6), r"must be \[batch, channels, \*spatial\], got \[batch, 6\]"),
        (L.StochasticDepth(p=0.5), (), r"must be \[batch, ...\], got \[\]"),
    ],
)
def test_refused(layer: Layer, shape: Shape, message: str) -> None:
    with pytest.raises(NetspecError, match=message):
        shape_of(layer, shape)


@pytest.mark.parametrize("dtype", ["int64", "bool"])
@pytest.mark.parametrize(
    "layer", [*BY_ELEMENT, L.PRelu(), L.LogSoftmax(), L.Glu(), L.RMSNorm(), L.L2Normalize()], ids=str
)
def test_floats_only(layer: Layer, dtype: DType) -> None:
    with pytest.raises(ShapeError, match=r"numbers are needed here, not (int64|bool)|mixed types"):
        shape_of(layer, (B, 4), dtype=dtype)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("prelu", {"shape": "element"}, "shape: expected scalar or channel, got text 'element'"),
        ("celu", {"alpha": 0}, "alpha: expected a number above 0, got 0"),
        ("softplus", {"beta": -1}, "beta: expected a number above 0, got -1"),
        ("softplus", {"threshold": 20}, "threshold is refused: softplus is exact for every x here"),
        ("hardtanh", {"min_val": 1}, "min_val 1 is not below max_val 1"),
        ("threshold", {"value": 1}, "threshold is required"),
        ("rms_norm", {"eps": None}, "eps: expected a number above 0, got null"),
        ("group_norm", {}, "num_groups is required"),
        ("group_norm", {"num_groups": 0}, "num_groups: expected a positive integer, got 0"),
        ("group_norm", {"num_groups": 2, "num_channels": 4}, "unknown field num_channels"),
        ("instance_norm", {"track_running_stats": True}, "batch_norm has running statistics"),
        ("local_response_norm", {"size": 0}, "size: expected a positive integer, got 0"),
        ("local_response_norm", {"size": 5, "alpha": -1}, "alpha: expected a number from 0 up, got -1"),
        ("local_response_norm", {"size": 5, "k": 0}, "k: expected a number above 0, got 0"),
        ("l2_normalize", {"p": 1}, "p is refused: the norm is that of p = 2"),
        ("dropout2d", {"p": 1.0}, r"p: expected a number in \[0, 1\), got 1.0"),
        ("alpha_dropout", {"p": -0.5}, r"p: expected a number in \[0, 1\), got -0.5"),
        ("stochastic_depth", {}, "p is required"),
        ("stochastic_depth", {"p": 0.5, "mode": "rows"}, "mode: expected row or batch, got text 'rows'"),
    ],
)
def test_fields_that_are_refused(name: str, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldsError, match=message):
        construct(L.LAYER_TYPES[name], fields)
