"""Primitives that slide a window and take one number of it: maximum, average."""

from __future__ import annotations

from dataclasses import dataclass

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
        if self.channels_last:
            return (x.with_shape((x.shape[0], *sizes, x.shape[-1])),)
        return (x.with_shape((*x.shape[:2], *sizes)),)

    def elementwise(self, inputs: Types, outputs: Types) -> Size:
        return outputs[0].size * product(self.kernel_size)


@dataclass(frozen=True)
class MaxPool(Pool):
    """The largest number of each window; padding never wins (-inf); the gradient goes to the first of equals."""


@dataclass(frozen=True)
class AveragePool(Pool):
    """The sum of each window over its size; without `count_include_pad` over the number of elements inside x."""

    count_include_pad: bool = True

    def reduction_length(self, inputs: Types) -> Size:
        return product(self.kernel_size)
