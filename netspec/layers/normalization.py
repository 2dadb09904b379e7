"""Normalisation layers. What they square and sum up is held in float32 where the model's float type is narrower."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from netspec.errors import NetspecError, ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import Size, format_shape, product
from netspec.graph.graph import Value
from netspec.graph.ops.pooling import AveragePool
from netspec.layers.base import Layer
from netspec.layers.fields import Axes, Flag, Fraction, NonNegativeFloat, PositiveFloat, PositiveInt
from netspec.layers.reductions import axes_of


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
        wide = b.widen(x)
        if b.training and not b.fixed("running_mean"):
            batch_mean, batch_var = self._batch_statistics(b, wide, mean, var)
            centred, inverse = wide - batch_mean, b.rsqrt(batch_var + self.eps)
        else:
            centred = wide - b.reshape(b.widen(mean), along)
            inverse = b.rsqrt(b.reshape(b.widen(var), along) + self.eps)
        y = b.narrow(centred * inverse, x)
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
        for name, old, found in (("running_mean", mean, new_mean), ("running_var", var, new_var)):
            b.update(name, b.narrow(b.widen(old) * self.stats_decay + b.stop_gradient(found) * new, old))
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
        axes, shape = trailing_axes(self.dim, x)
        y = _standardized(b, x, axes, self.eps)
        if not self.elementwise_affine:
            return y
        y = y * b.param("weight", shape, "ones")
        return y + b.param("bias", shape, "zeros") if self.bias else y


class RMSNorm(Layer):
    """`x / sqrt(mean(x^2) + eps) * weight` over the trailing axes `dim` (Zhang, Sennrich 2019).

    The weight has the shape of the axes; there is none without `elementwise_affine`. `eps` is written, as libraries
    have 1e-5, 1e-6, or the machine's own for the float type (torch's default).
    """

    type: Literal["rms_norm"] = "rms_norm"
    eps: PositiveFloat = 1e-6
    dim: Axes = -1
    elementwise_affine: Flag = True

    def expand(self, b: Builder, x: Value) -> Value:
        axes, shape = trailing_axes(self.dim, x)
        wide = b.widen(x)
        y = b.narrow(wide * b.rsqrt(b.mean(wide * wide, axes, keepdims=True) + self.eps), x)
        return y * b.param("weight", shape, "ones") if self.elementwise_affine else y


class GroupNorm(Layer):
    """`(x - mean) / sqrt(var + eps) * weight + bias` over all of a sample's numbers in a group of channels.

    x is `[batch, channels, ...]`, its channels `num_groups` groups of neighbours; weight and bias are one number for
    each channel, and there are none without `affine` (Wu, He 2018). The variance is biased and taken in two passes.
    """

    type: Literal["group_norm"] = "group_norm"
    num_groups: PositiveInt
    eps: PositiveFloat = 1e-5
    affine: Flag = True

    def expand(self, b: Builder, x: Value) -> Value:
        channels = _known_channels(x, 2)
        if channels % self.num_groups:
            raise ShapeError(f"{channels} channels are not divisible by num_groups {self.num_groups}")
        wide = b.widen(x)
        centred = wide - self._group_mean(b, wide)
        y = b.narrow(centred * b.rsqrt(self._group_mean(b, centred * centred) + self.eps), x)
        return _scaled(b, y, channels) if self.affine else y

    def _group_mean(self, b: Builder, x: Value) -> Value:
        """The mean over each group, for each of its channels: `[batch, channels, 1, ...]`.

        Each channel's mean is taken first, so that what is reshaped into groups is small in any layout of the image.
        """
        batch, channels, *spatial = x.shape
        means = b.mean(x, range(2, x.type.rank), keepdims=True) if spatial else x
        grouped = (batch, self.num_groups, channels // self.num_groups)
        mean = b.mean(b.reshape(means, grouped), 2, keepdims=True)
        return b.reshape(b.expand(mean, grouped), means.shape)


class InstanceNorm(Layer):
    """`(x - mean) / sqrt(var + eps)` over the spatial axes of each channel of each sample (Ulyanov et al. 2016).

    x is `[batch, channels, *spatial]`. With `affine` the result is `* weight + bias`, one number for each channel. The
    variance is biased and taken in two passes; there are no running statistics.
    """

    type: Literal["instance_norm"] = "instance_norm"
    eps: PositiveFloat = 1e-5
    affine: Flag = False

    refused: ClassVar = {
        "track_running_stats": "instance_norm normalises each sample by itself; batch_norm has running statistics",
        "momentum": "instance_norm has no running statistics",
    }

    def expand(self, b: Builder, x: Value) -> Value:
        channels = _known_channels(x, 3)
        axes = range(2, x.type.rank)
        count, message = product(x.shape[2:]), "instance_norm needs 2 values or more for each channel, got {size}"
        if count == 1:
            raise ShapeError(message.format(size=count))
        b.require(count, 2, message)
        y = _standardized(b, x, axes, self.eps)
        return _scaled(b, y, channels) if self.affine else y


class LocalResponseNorm(Layer):
    """`x / (k + alpha / size * sum)^beta`, the sum of x^2 over `size` neighbouring channels (Krizhevsky et al. 2012).

    x is `[batch, channels, ...]`. Channel c reads those from c - size // 2 to c + (size - 1) // 2, as in PyTorch;
    beyond the first and the last there are zeros, which count for `size`.
    """

    type: Literal["local_response_norm"] = "local_response_norm"
    size: PositiveInt
    alpha: NonNegativeFloat = 1e-4
    beta: NonNegativeFloat = 0.75
    k: PositiveFloat = 1.0

    def expand(self, b: Builder, x: Value) -> Value:
        batch, channels, *spatial = x.shape if x.type.rank > 2 else (0, 0)
        if not spatial:
            raise ShapeError(f"its input must be [batch, channels, *spatial], got {format_shape(x.shape)}")
        # A pool over the plane of channels and places.
        wide = b.widen(x)
        plane = b.reshape(wide * wide, (batch, 1, channels, product(spatial)))
        padding = ((self.size // 2, (self.size - 1) // 2), (0, 0))
        pool = AveragePool((self.size, 1), (1, 1), padding, uncounted=(0, 0))
        mean = b.reshape(b.apply(pool, plane), x.shape)
        return b.narrow(wide * b.exp(b.log(mean * self.alpha + self.k) * -self.beta), x)


class L2Normalize(Layer):
    """`x / max(norm, eps)`, norm = sqrt(sum(x^2)) over the axes `dim`: F.normalize of PyTorch.

    The derivative of the norm at 0 is 0. A row shorter than `eps` is divided by `eps`.
    """

    type: Literal["l2_normalize"] = "l2_normalize"
    dim: Axes = 1
    eps: PositiveFloat = 1e-12

    refused: ClassVar = {"p": "the norm is that of p = 2"}

    def expand(self, b: Builder, x: Value) -> Value:
        wide = b.widen(x)
        total = b.sum(wide * wide, axes_of(self.dim, x), keepdims=True)
        # The root is taken of 1 where the sum is 0: its derivative there is infinite, and times 0 would be NaN.
        is_zero = b.equal(total, 0.0)
        norm = b.sqrt(b.where(is_zero, 1.0, total))
        return b.narrow(wide / b.where(b.logical_or(is_zero, b.greater(self.eps, norm)), self.eps, norm), x)


def trailing_axes(dim: int | tuple[int, ...], x: Value) -> tuple[tuple[int, ...], tuple[Size, ...]]:
    """The last axes of x, which `dim` names, and their sizes. Raises ShapeError where it names others."""
    axes = tuple(sorted(axes_of(dim, x)))
    if axes != tuple(range(x.type.rank - len(axes), x.type.rank)) or axes[0] == 0:
        given = [dim] if isinstance(dim, int) else list(dim)
        raise ShapeError(f"dim must name trailing axes behind the batch, got {given} for {format_shape(x.shape)}")
    return axes, tuple(x.shape[axis] for axis in axes)


def _known_channels(x: Value, least_rank: int) -> int:
    """The number of channels of `[batch, channels, ...]`. Raises ShapeError."""
    if x.type.rank < least_rank:
        axes = "[batch, channels, ...]" if least_rank == 2 else "[batch, channels, *spatial]"
        raise ShapeError(f"its input must be {axes}, got {format_shape(x.shape)}")
    channels = x.shape[1]
    if not isinstance(channels, int):
        raise ShapeError(f"the number of channels must be known, got {channels}")
    return channels


def _standardized(b: Builder, x: Value, axes: Sequence[int], eps: float) -> Value:
    """`(x - mean) / sqrt(var + eps)` over axes: two passes, in float32 or wider."""
    wide = b.widen(x)
    centred = wide - b.mean(wide, axes, keepdims=True)
    return b.narrow(centred * b.rsqrt(b.mean(centred * centred, axes, keepdims=True) + eps), x)


def _scaled(b: Builder, x: Value, channels: int) -> Value:
    """`x * weight + bias` with one number for each channel."""
    along = (channels, *(1 for _ in x.shape[2:]))
    scale, shift = b.param("weight", (channels,), "ones"), b.param("bias", (channels,), "zeros")
    return x * b.reshape(scale, along) + b.reshape(shift, along)
