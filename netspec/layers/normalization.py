"""Normalisation layers."""

from __future__ import annotations

from typing import ClassVar, Literal

from netspec.errors import NetspecError, ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import format_shape, product
from netspec.graph.graph import Value
from netspec.graph.types import normal_axis
from netspec.layers.base import Layer
from netspec.layers.fields import Axes, Flag, Fraction, PositiveFloat


class BatchNorm(Layer):
    """`(x - mean) / sqrt(var + eps) * weight + bias` for each channel (Ioffe, Szegedy 2015).

    x is `[batch, channels, ...]`. In training mean and biased variance are those of the batch, and the running ones
    become `stats_decay * old + (1 - stats_decay) * new`, the new variance unbiased (n - 1) unless `running_var` is
    `biased`. In inference, and where the layer is frozen, the running ones are used.
    """

    type: Literal["batch_norm"] = "batch_norm"
    eps: PositiveFloat = 1e-5
    stats_decay: Fraction = 0.9
    affine: Flag = True
    running_var: Literal["unbiased", "biased"] = "unbiased"

    refused: ClassVar = {
        "momentum": "it is the weight of the new batch in PyTorch and of the old statistics in Keras, Flax and ONNX; "
        "write stats_decay, the weight of the old ones (PyTorch's momentum 0.1 is stats_decay 0.9)"
    }

    def expand(self, b: Builder, x: Value) -> Value:
        if x.type.rank < 2:
            raise ShapeError(f"its input must be [batch, channels, ...], got {format_shape(x.shape)}")
        channels = x.shape[1]
        scale = b.param("weight", (channels,), "ones") if self.affine else None
        shift = b.param("bias", (channels,), "zeros") if self.affine else None
        mean, var = b.buffer("running_mean", (channels,), "zeros"), b.buffer("running_var", (channels,), "ones")
        along = (channels, *(1 for _ in x.shape[2:]))
        if b.fixed("running_mean") != b.fixed("running_var"):
            raise NetspecError("running_mean and running_var are frozen both or neither")
        if b.training and not b.fixed("running_mean"):
            batch_mean, batch_var = self._batch_statistics(b, x, mean, var)
            centred, inverse = x - batch_mean, b.rsqrt(batch_var + self.eps)
        else:
            centred, inverse = x - b.reshape(mean, along), b.rsqrt(b.reshape(var, along) + self.eps)
        y = centred * inverse
        if scale is None or shift is None:
            return y
        return y * b.reshape(scale, along) + b.reshape(shift, along)

    def _batch_statistics(self, b: Builder, x: Value, mean: Value, var: Value) -> tuple[Value, Value]:
        """Mean and biased variance of the batch, each `[1, channels, 1, ...]`; updates the running ones."""
        axes = (0, *range(2, x.type.rank))
        count = product(x.shape[axis] for axis in axes)
        b.require(count, 2, "batch_norm in training needs 2 values or more for each channel, got {size}")
        batch_mean = b.mean(x, axes, keepdims=True)
        centred = x - batch_mean
        batch_var = b.mean(centred * centred, axes, keepdims=True)
        new_var = b.reshape(batch_var, var.shape)
        if self.running_var == "unbiased":
            n = b.element_count(x, axes)
            new_var = new_var * (n / (n - 1.0))
        new = 1 - self.stats_decay
        new_mean = b.reshape(batch_mean, mean.shape)
        b.update("running_mean", mean * self.stats_decay + b.stop_gradient(new_mean) * new)
        b.update("running_var", var * self.stats_decay + b.stop_gradient(new_var) * new)
        return batch_mean, batch_var


class LayerNorm(Layer):
    """`(x - mean) / sqrt(var + eps) * weight + bias` over the trailing axes `dim` (Ba, Kiros, Hinton 2016).

    The variance is biased and taken in two passes. Weight and bias have the shape of the axes.
    """

    type: Literal["layer_norm"] = "layer_norm"
    eps: PositiveFloat = 1e-5
    dim: Axes = -1
    elementwise_affine: Flag = True
    bias: Flag = True

    def expand(self, b: Builder, x: Value) -> Value:
        given = (self.dim,) if isinstance(self.dim, int) else self.dim
        axes = tuple(sorted({normal_axis(axis, x.type.rank) for axis in given}))
        if axes != tuple(range(x.type.rank - len(axes), x.type.rank)) or axes[0] == 0:
            raise ShapeError(
                f"dim must name trailing axes behind the batch, got {list(given)} for {format_shape(x.shape)}"
            )
        shape = tuple(x.shape[axis] for axis in axes)
        centred = x - b.mean(x, axes, keepdims=True)
        y = centred * b.rsqrt(b.mean(centred * centred, axes, keepdims=True) + self.eps)
        if not self.elementwise_affine:
            return y
        y = y * b.param("weight", shape, "ones")
        return y + b.param("bias", shape, "zeros") if self.bias else y
