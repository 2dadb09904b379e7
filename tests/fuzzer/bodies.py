"""Mistakes in the bodies of layers: a function of a layer's module or class, and one that stands in for it.

A body is shared by the reference and all backends. Where a backend has a native form of the layer, that form disagrees
with the reference, which runs the wrong body; else the mistake is in the body that one backend runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from netspec.layers import activation as activations
from netspec.layers import attention, normalization, padding, positions, reductions, turns
from netspec.layers.interpolation import Interpolate
from netspec.layers.recurrent import Gru, Lstm


@dataclass(frozen=True)
class Wrong:
    """`owner.name` becomes `function`."""

    owner: Any
    name: str
    function: Callable[..., Any]

    def plant(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(self.owner, self.name, self.function)


def configured(layer: type, fields: Callable[[Any], dict[str, Any]]) -> Wrong:
    """The body of a layer that is configured otherwise."""
    real: Callable[..., Any] = layer.expand  # type: ignore[attr-defined]

    def expand(self: Any, *given: Any, **more: Any) -> Any:
        return real(self.model_copy(update=fields(self)), *given, **more)

    return Wrong(layer, "expand", expand)


def rms_eps_outside(self: Any, b: Any, x: Any) -> Any:
    """`x / (sqrt(mean) + eps)`."""
    axes, shape = normalization.trailing_axes(self.dim, x)
    y = x / (b.sqrt(b.mean(x * x, axes, keepdims=True)) + self.eps)
    return y * b.param("weight", shape, "ones") if self.elementwise_affine else y


def l2_eps_added(self: Any, b: Any, x: Any) -> Any:
    """`x / sqrt(sum + eps)`."""
    axes = reductions.axes_of(self.dim, x)
    return x * b.rsqrt(b.sum(x * x, axes, keepdims=True) + self.eps)


def layer_norm_last(self: Any, b: Any, x: Any) -> Any:
    """Mean and variance over the last axis alone."""
    _, shape = normalization.trailing_axes(self.dim, x)
    centred = x - b.mean(x, -1, keepdims=True)
    y = centred * b.rsqrt(b.mean(centred * centred, -1, keepdims=True) + self.eps)
    if not self.elementwise_affine:
        return y
    y = y * b.param("weight", shape, "ones")
    return y + b.param("bias", shape, "zeros") if self.bias else y


def group_of_every(self: Any, b: Any, x: Any) -> Any:
    """The mean over every g-th channel instead of neighbours."""
    batch, channels, *spatial = x.shape
    means = b.mean(x, range(2, x.type.rank), keepdims=True) if spatial else x
    grouped = (batch, channels // self.num_groups, self.num_groups)
    mean = b.mean(b.reshape(means, grouped), 1, keepdims=True)
    return b.reshape(b.expand(mean, grouped), means.shape)


def pixel_shuffle_order(self: Any, b: Any, x: Any) -> Any:
    """The two steps of a channel's number taken for each other: rows for columns."""
    r, (*batch, channels, height, width) = self.upscale_factor, x.shape
    k = len(batch)
    y = b.reshape(x, (*batch, channels // (r * r), r, r, height, width))
    y = b.permute(y, (*range(k + 1), k + 3, k + 2, k + 4, k + 1))
    return b.reshape(y, (*batch, channels // (r * r), height * r, width * r))


REAL_ROLLED = turns._rolled
REAL_PADDED = padding.padded
REAL_PAIRS = positions._pairs
REAL_JOINED = positions._joined


def roll_back(b: Any, x: Any, shift: int, axis: int) -> Any:
    return REAL_ROLLED(b, x, -shift, axis)


def symmetric_for_reflect(b: Any, x: Any, axis: int, begin: int, end: int, mode: Any) -> Any:
    """The outermost element comes twice."""
    return REAL_PADDED(b, x, axis, begin, end, "symmetric" if mode == "reflect" else mode)


def other_pairs(b: Any, x: Any, interleaved: bool) -> Any:
    return REAL_PAIRS(b, x, not interleaved)


def other_joined(b: Any, parts: Any, interleaved: bool) -> Any:
    return REAL_JOINED(b, parts, not interleaved)


def slopes_from_1(heads: int) -> list[float]:
    """h from 0: the first slope is 1."""
    return [2.0 ** (-8 * h / heads) for h in range(heads)]


def glu_swapped(self: Any, b: Any, x: Any) -> Any:
    """The gate is the first half."""
    axis = self.dim % x.type.rank
    halves = b.reshape(x, (*x.shape[:axis], 2, x.shape[axis] // 2, *x.shape[axis + 1 :]))
    return b.select(halves, axis, 1) * b.sigmoid(b.select(halves, axis, 0))


def softplus_scaled(self: Any, b: Any, x: Any) -> Any:
    """beta inside alone."""
    return activations._softplus(b, x * self.beta)


def leaky_kink(self: Any, b: Any, x: Any) -> Any:
    """The derivative at 0 is 1."""
    return b.where(b.greater(0.0, x), x * self.negative_slope, x)


def lstm_gate_order(self: Any, b: Any, x: Any, state: Any, weights: Any) -> Any:
    """i, o, f, g: the order of ONNX."""
    from_input, from_hidden = self.sums(b, x, state[0], weights)
    i, o, f, g = self.split(b, from_input + from_hidden)
    c = b.sigmoid(f) * state[1] + b.sigmoid(i) * b.tanh(g)
    return b.sigmoid(o) * b.tanh(c), c


REAL_GRU = Gru.cell
REAL_SPLIT = Gru.split


def gru_gate_order(self: Any, b: Any, sums: Any) -> Any:
    """z, r, n: the order of Keras and ONNX."""
    z, r, n = REAL_SPLIT(self, b, sums)
    return [r, z, n]


def gru_reset(self: Any, *given: Any) -> Any:
    """The forms taken for each other."""
    other = "after" if self.reset == "before" else "before"
    return REAL_GRU(self.model_copy(update={"reset": other}), *given)


BODIES: dict[str, Wrong] = {
    "rms_eps_added": Wrong(normalization.RMSNorm, "expand", rms_eps_outside),
    "l2_eps_added": Wrong(normalization.L2Normalize, "expand", l2_eps_added),
    "layer_norm_last": Wrong(normalization.LayerNorm, "expand", layer_norm_last),
    "group_of_every": Wrong(normalization.GroupNorm, "_group_mean", group_of_every),
    "variance_biased": configured(normalization.BatchNorm, lambda layer: {"running_var": "biased"}),
    "batch_norm_decay": configured(normalization.BatchNorm, lambda layer: {"stats_decay": 1 - layer.stats_decay}),
    "pixel_shuffle_rows": Wrong(turns.PixelShuffle, "expand", pixel_shuffle_order),
    "roll_back": Wrong(turns, "_rolled", roll_back),
    "pad_symmetric": Wrong(padding, "padded", symmetric_for_reflect),
    "cubic_coefficient": configured(
        Interpolate, lambda layer: {"a": -0.5} if layer.mode == "cubic" and layer.a == -0.75 else {}
    ),
    "nearest_rounded": configured(
        Interpolate, lambda layer: {"mode": "nearest_exact"} if layer.mode == "nearest" else {}
    ),
    "attention_scale": Wrong(attention.ScaledDotProductAttention, "_scale", lambda self, query: 1.0),
    "causal_shifted": configured(
        attention.ScaledDotProductAttention, lambda layer: {"causal_offset": layer.causal_offset - 1}
    ),
    "var_other_ddof": configured(reductions.Var, lambda layer: {"ddof": 1 - layer.ddof} if layer.ddof < 2 else {}),
    "rotary_layout": configured(
        positions.RotaryEmbedding,
        lambda layer: {"layout": "interleaved" if layer.layout == "half_split" else "half_split"},
    ),
    "sinusoidal_layout": Wrong(positions, "_joined", other_joined),
    "alibi_slopes": Wrong(positions, "alibi_slopes", slopes_from_1),
    "glu_swapped": Wrong(activations.Glu, "expand", glu_swapped),
    "softplus_scaled": Wrong(activations.Softplus, "expand", softplus_scaled),
    "leaky_at_0": Wrong(activations.LeakyRelu, "expand", leaky_kink),
    "lstm_gate_order": Wrong(Lstm, "cell", lstm_gate_order),
    "gru_gate_order": Wrong(Gru, "split", gru_gate_order),
    "gru_reset": Wrong(Gru, "cell", gru_reset),
    "elu_width": configured(activations.Elu, lambda layer: {"alpha": 1.0}),
}
