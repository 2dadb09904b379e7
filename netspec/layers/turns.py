"""Layers that move elements along dimensions: flip, roll, pixel_shuffle, pixel_unshuffle, channel_shuffle."""

from __future__ import annotations

from typing import Literal

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import Size, divide, format_shape
from netspec.graph.graph import Value
from netspec.graph.types import normal_axis
from netspec.layers.base import Layer
from netspec.layers.fields import Axes, PositiveInt, Shifts
from netspec.layers.reductions import axes_of


class Flip(Layer):
    """The elements along the dimensions `dims` in reverse order (torch.flip)."""

    type: Literal["flip"] = "flip"
    dims: Axes

    def expand(self, b: Builder, x: Value) -> Value:
        return b.flip(x, axes_of(self.dims, x))


class Roll(Layer):
    """Elements moved by `shifts` along `dims`, those beyond the end to the start: y[i] = x[(i - shift) mod size].

    Without `dims` x is rolled as one row of all its elements, and gets its shape back (torch.roll). A call in which a
    symbolic size is not above the shift is refused.
    """

    type: Literal["roll"] = "roll"
    shifts: Shifts
    dims: Axes | None = None

    def expand(self, b: Builder, x: Value) -> Value:
        shifts = (self.shifts,) if isinstance(self.shifts, int) else self.shifts
        if self.dims is None:
            if len(shifts) > 1:
                raise ShapeError(f"{len(shifts)} shifts need as many dims")
            return b.reshape(_rolled(b, b.reshape(x, (x.type.size,)), shifts[0], 0), x.shape)
        dims = (self.dims,) if isinstance(self.dims, int) else self.dims
        if len(shifts) != len(dims):
            raise ShapeError(f"shifts and dims must be as many, got {len(shifts)} and {len(dims)}")
        for shift, dim in zip(shifts, dims, strict=True):
            x = _rolled(b, x, shift, normal_axis(dim, x.type.rank, "dims"))
        return x


class PixelShuffle(Layer):
    """Channels spread over pixels: x `[..., c r^2, height, width]` to y `[..., c, height r, width r]`.

    r is `upscale_factor`; y[c, h r + i, w r + j] = x[c r^2 + i r + j, h, w] (Shi et al. 2016, arXiv:1609.05158).
    """

    type: Literal["pixel_shuffle"] = "pixel_shuffle"
    upscale_factor: PositiveInt

    def expand(self, b: Builder, x: Value) -> Value:
        r, (*batch, channels, height, width) = self.upscale_factor, _image(x)
        kept = _divided(channels, r * r, f"channels {channels} by upscale_factor^2 {r * r}")
        k = len(batch)
        y = b.reshape(x, (*batch, kept, r, r, height, width))
        y = b.permute(y, (*range(k + 1), k + 3, k + 1, k + 4, k + 2))
        return b.reshape(y, (*batch, kept, height * r, width * r))


class PixelUnshuffle(Layer):
    """Pixels gathered into channels, which undoes pixel_shuffle: x `[..., c, h r, w r]` to y `[..., c r^2, h, w]`.

    r is `downscale_factor`; height and width must be divisible by it, symbolic ones for every size.
    """

    type: Literal["pixel_unshuffle"] = "pixel_unshuffle"
    downscale_factor: PositiveInt

    def expand(self, b: Builder, x: Value) -> Value:
        r, (*batch, channels, height, width) = self.downscale_factor, _image(x)
        high = _divided(height, r, f"height {height} by downscale_factor {r}")
        wide = _divided(width, r, f"width {width} by downscale_factor {r}")
        k = len(batch)
        y = b.reshape(x, (*batch, channels, high, r, wide, r))
        y = b.permute(y, (*range(k + 1), k + 2, k + 4, k + 1, k + 3))
        return b.reshape(y, (*batch, channels * (r * r), high, wide))


class ChannelShuffle(Layer):
    """Channels of `groups` groups interleaved: x `[batch, channels, ...]`, y[:, j g + i] = x[:, i n + j].

    n is channels / g: the first channel of each group, then the second of each (Zhang et al. 2018, arXiv:1707.01083).
    """

    type: Literal["channel_shuffle"] = "channel_shuffle"
    groups: PositiveInt

    def expand(self, b: Builder, x: Value) -> Value:
        if x.type.rank < 3:
            raise ShapeError(f"its input must be [batch, channels, ...] of 3 dimensions or more, got {x.type}")
        batch, channels, *rest = x.shape
        of_group = _divided(channels, self.groups, f"channels {channels} by groups {self.groups}")
        y = b.reshape(x, (batch, self.groups, of_group, *rest))
        y = b.permute(y, (0, 2, 1, *range(3, 3 + len(rest))))
        return b.reshape(y, x.shape)


def _rolled(b: Builder, x: Value, shift: int, axis: int) -> Value:
    """What goes over the end, in front of the rest."""
    size: Size = x.shape[axis]
    if isinstance(size, int):
        shift %= size
    else:
        b.require(size, abs(shift) + 1, f"a shift of {shift} is not below a size of {{size}}")
    if shift == 0:
        return x
    cut: Size = size - shift if shift > 0 else -shift
    return b.concat([b.slice(x, axis, cut), b.slice(x, axis, 0, cut)], axis)


def _image(x: Value) -> tuple[Size, ...]:
    if x.type.rank < 3:
        raise ShapeError(f"its input must be [..., channels, height, width], got {format_shape(x.shape)}")
    return x.shape


def _divided(size: Size, divisor: int, words: str) -> Size:
    found = divide(size, divisor)
    if found is None:
        raise ShapeError(f"{words}: it does not divide for every size")
    return found
