"""Sliding windows over spatial axes: where each one reads its input, and the way back for gradients."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.graph.ops.products import Pairs, SamePadding, same_pairs, window_count, window_size

Array = NDArray[Any]
Index = tuple[EllipsisType | slice, ...]


@dataclass(frozen=True)
class Windows:
    """The windows of one convolution or pooling over the last axes of an array; window p starts at p * stride.

    `sizes` are the spatial sizes of the input, `counts` how many windows there are along each.
    """

    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: Pairs
    counts: tuple[int, ...]

    @staticmethod
    def over(
        sizes: Sequence[int],
        kernel: Sequence[int],
        stride: tuple[int, ...],
        padding: Pairs | SamePadding,
        dilation: tuple[int, ...] | None = None,
    ) -> Windows:
        """The windows over an input of these spatial sizes; the words `same` and `same_lower` become numbers."""
        dilation = dilation or (1,) * len(kernel)
        reach = [window_size(k, d) for k, d in zip(kernel, dilation, strict=True)]
        if isinstance(padding, str):
            lower = padding == "same_lower"
            padding = tuple(same_pairs(n, r, s, lower) for n, r, s in zip(sizes, reach, stride, strict=True))
        counts = []
        for n, r, s, pads in zip(sizes, reach, stride, padding, strict=True):
            count = window_count(n, r, s, *pads)
            assert isinstance(count, int)
            counts.append(count)
        return Windows(tuple(sizes), tuple(kernel), stride, dilation, padding, tuple(counts))

    def pad(self, x: Array, value: float = 0.0) -> Array:
        """`x` inside a border of `value`."""
        if not any(map(any, self.padding)):
            return x
        leading = x.shape[: x.ndim - len(self.sizes)]
        padded = np.full((*leading, *self._padded_sizes()), value, x.dtype)
        padded[self._inside()] = x
        return padded

    def zeros(self, leading: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Where the gradient of a padded input is summed."""
        return np.zeros((*leading, *self._padded_sizes()), dtype)

    def crop(self, padded: Array) -> Array:
        """What is inside the border: the transpose of `pad` with zeros."""
        return padded[self._inside()]

    def offsets(self) -> Iterator[Index]:
        """For each kernel position, in row-major order, where all windows read a padded input at it: `counts` numbers.

        `padded[offset]` is a view, so that gradients can be added to it.
        """
        for position in itertools.product(*map(range, self.kernel)):
            yield (
                ...,
                *(
                    slice(k * d, k * d + (count - 1) * s + 1, s)
                    for k, d, s, count in zip(position, self.dilation, self.stride, self.counts, strict=True)
                ),
            )

    def _padded_sizes(self) -> list[int]:
        return [begin + size + end for size, (begin, end) in zip(self.sizes, self.padding, strict=True)]

    def _inside(self) -> Index:
        return (..., *(slice(begin, begin + size) for size, (begin, _) in zip(self.sizes, self.padding, strict=True)))
