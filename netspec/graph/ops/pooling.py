"""Primitives that slide a window and give one number for it: maximum, average."""

from __future__ import annotations

from dataclasses import dataclass, field

from netspec.graph.dims import Size, product
from netspec.graph.ops.base import Op, Types, require_float
from netspec.graph.ops.products import Pairs, window_count
from netspec.graph.types import TensorType


@dataclass(frozen=True)
class Pool(Op):
    """A window over each spatial dimension of x `[batch, channels, *spatial]` (channels last: as in Convolution)."""

    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Pairs
    channels_last: bool = False

    def infer(self, *inputs: TensorType) -> Types:
        (x,) = inputs
        require_float(self, x)
        spatial = x.shape[1:-1] if self.channels_last else x.shape[2:]
        sizes = [
            window_count(size, window, stride, *pads)
            for size, window, stride, pads in zip(spatial, self.kernel_size, self.stride, self.padding, strict=True)
        ]
        return (_with_spatial(x, sizes, self.channels_last),)

    def elementwise(self, inputs: Types, outputs: Types) -> Size:
        return outputs[0].size * product(self.kernel_size)


@dataclass(frozen=True)
class MaxPool(Pool):
    """The largest number of each window; padding never wins (-inf); the gradient goes to the first of equals."""

    selects = True


@dataclass(frozen=True)
class AveragePool(Pool):
    """The sum of each window over its size; without `count_include_pad` over the number of elements inside x.

    `uncounted` is how much of the padding at the end of each dimension does not count in either case.
    """

    uncounted: tuple[int, ...] = field(kw_only=True)
    count_include_pad: bool = True

    def reduction_length(self, inputs: Types) -> Size:
        return product(self.kernel_size)


@dataclass(frozen=True)
class AdaptiveAveragePool(Op):
    """The mean of each of `output_size` bins along each spatial dimension of x, which is `input_size` (see `bins`)."""

    input_size: tuple[int, ...]
    output_size: tuple[int, ...]
    channels_last: bool = False

    def infer(self, *inputs: TensorType) -> Types:
        (x,) = inputs
        require_float(self, x)
        assert self.input_size == (x.shape[1:-1] if self.channels_last else x.shape[2:])
        return (_with_spatial(x, self.output_size, self.channels_last),)

    def elementwise(self, inputs: Types, outputs: Types) -> Size:
        (x,) = inputs
        return x.shape[0] * x.shape[-1 if self.channels_last else 1] * product(map(sum, self._lengths()))

    def reduction_length(self, inputs: Types) -> Size:
        return product(map(max, self._lengths()))

    def _lengths(self) -> list[list[int]]:
        """How many elements each bin has, along each dimension."""
        sizes = zip(self.input_size, self.output_size, strict=True)
        return [[end - start for start, end in bins(size, count)] for size, count in sizes]


@dataclass(frozen=True)
class AdaptiveMaxPool(Op):
    """The largest number of each bin of AdaptiveAveragePool; the gradient goes to the first of equals, row by row.

    `input_size` is None where only the call knows the size; one bin holds all of that. The first of equals is also
    found one dimension after the other, if the last one goes first.
    """

    input_size: tuple[int | None, ...]
    output_size: tuple[int, ...]
    channels_last: bool = False
    selects = True

    def infer(self, *inputs: TensorType) -> Types:
        (x,) = inputs
        require_float(self, x)
        spatial = x.shape[1:-1] if self.channels_last else x.shape[2:]
        for size, held, count in zip(spatial, self.input_size, self.output_size, strict=True):
            assert size == held or (held is None and count == 1), (x, self)
        return (_with_spatial(x, self.output_size, self.channels_last),)

    def elementwise(self, inputs: Types, outputs: Types) -> Size:
        (x,) = inputs
        spatial = x.shape[1:-1] if self.channels_last else x.shape[2:]
        lengths = [
            size if held is None else sum(end - start for start, end in bins(held, count))
            for size, held, count in zip(spatial, self.input_size, self.output_size, strict=True)
        ]
        return x.shape[0] * x.shape[-1 if self.channels_last else 1] * product(lengths)


def bins(size: int, count: int) -> list[tuple[int, int]]:
    """Where each of `count` bins starts and ends: floor(i size / count) to ceil((i + 1) size / count), as in torch."""
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def borders(size: int, count: int) -> list[int]:
    """Where some bin starts or ends, in order: each bin is a row of the segments between two neighbours."""
    return sorted({border for each in bins(size, count) for border in each})


def _with_spatial(x: TensorType, sizes: list[Size] | tuple[int, ...], channels_last: bool) -> TensorType:
    if channels_last:
        return x.with_shape((x.shape[0], *sizes, x.shape[-1]))
    return x.with_shape((*x.shape[:2], *sizes))
