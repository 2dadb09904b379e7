"""Layers that take one number over whole dimensions: sum, mean, max, norm and others; and cumsum."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import format_shape, product
from netspec.graph.graph import Value
from netspec.graph.types import normal_axis
from netspec.layers.base import Layer, require_floats
from netspec.layers.fields import Axes, Axis, Expected, Flag, NonNegativeInt


class _Reduction(Layer):
    """One number over `dim`, over all dimensions unless given; they are dropped, or kept with size 1 by `keepdim`."""

    dim: Axes | None = None
    keepdim: Flag = False


class Sum(_Reduction):
    """The sum over `dim`, over all dimensions unless given; they are dropped, or kept with size 1 by `keepdim`.

    Integers sum to int64, which wraps around (torch.sum). Without 64-bit numbers JAX holds it as int32.
    """

    type: Literal["sum"] = "sum"

    def expand(self, b: Builder, x: Value) -> Value:
        return b.sum(_wide(b, x), axes_of(self.dim, x), self.keepdim)


class Mean(_Reduction):
    """The mean over `dim`, over all dimensions unless given; they are dropped, or kept with size 1 by `keepdim`."""

    type: Literal["mean"] = "mean"

    def expand(self, b: Builder, x: Value) -> Value:
        return b.mean(x, axes_of(self.dim, x), self.keepdim)


class Prod(_Reduction):
    """The product over `dim`, over all dimensions unless given; they are dropped, or kept with size 1 by `keepdim`.

    The derivative by a factor is the product of the others, also where some are 0. Integers give int64, which wraps
    around (torch.prod). Without 64-bit numbers JAX holds it as int32.
    """

    type: Literal["prod"] = "prod"

    def expand(self, b: Builder, x: Value) -> Value:
        return b.prod(_wide(b, x), axes_of(self.dim, x), self.keepdim)


class Max(_Reduction):
    """The largest number over `dim`, over all dimensions unless given; they are dropped, or kept with size 1.

    `keepdim` keeps them. Equals share the gradient evenly (torch.amax; torch.max with a `dim` gives it to one of them).
    The larger of two tensors is `maximum`, and the index of the largest number `argmax`.
    """

    type: Literal["max"] = "max"

    def expand(self, b: Builder, x: Value) -> Value:
        return b.max(x, axes_of(self.dim, x), self.keepdim)


class Min(_Reduction):
    """The smallest number over `dim`, over all dimensions unless given; they are dropped, or kept with size 1.

    `keepdim` keeps them. Equals share the gradient evenly (torch.amin). The smaller of two tensors is `minimum`.
    """

    type: Literal["min"] = "min"

    def expand(self, b: Builder, x: Value) -> Value:
        return b.min(x, axes_of(self.dim, x), self.keepdim)


class ArgMax(Layer):
    """The index, int64, of the largest number along `dim`, which is dropped, or kept with size 1 by `keepdim`.

    Of equals it is the lowest index (torch.argmax). Without `dim` it is the position among all elements in row-major
    order. There is no gradient.
    """

    type: Literal["argmax"] = "argmax"
    dim: Axis | None = None
    keepdim: Flag = False

    def expand(self, b: Builder, x: Value) -> Value:
        if self.dim is not None:
            return b.argmax(x, self.dim, self.keepdim)
        if x.type.dtype == "bool":
            raise ShapeError(f"numbers are needed here, not {x.type}")
        index = b.argmax(b.reshape(x, (x.type.size,)), 0)
        return b.reshape(index, (1,) * x.type.rank) if self.keepdim else index


class Cumsum(Layer):
    """`y[k] = x[0] + ... + x[k]` along `dim` (torch.cumsum). Integers sum to int64, which wraps around."""

    type: Literal["cumsum"] = "cumsum"
    dim: Axis

    def expand(self, b: Builder, x: Value) -> Value:
        return b.cumsum(_wide(b, x), self.dim)


class LogSumExp(_Reduction):
    """`ln(sum(exp(x)))` over `dim`, over all dimensions unless given, taken of `x - max(x)`: nothing overflows.

    The dimensions are dropped, or kept with size 1 by `keepdim`. Where all numbers are -inf it is -inf with the
    gradient 0 (torch.logsumexp, whose gradient is NaN there).
    """

    type: Literal["logsumexp"] = "logsumexp"

    def expand(self, b: Builder, x: Value) -> Value:
        axes = axes_of(self.dim, x)
        require_floats(x)
        largest = b.max(b.stop_gradient(x), axes, keepdims=True)
        shift = b.where(b.equal(b.abs(largest), math.inf), 0.0, largest)
        total = b.sum(b.exp(x - shift), axes, self.keepdim)
        nothing = b.equal(total, 0.0)
        shift = shift if self.keepdim else b.reshape(shift, total.shape)
        return b.where(nothing, -math.inf, b.log(b.where(nothing, 1.0, total)) + shift)


class Norm(_Reduction):
    """The vector norm over `dim`, over all dimensions unless given; they are dropped, or kept with size 1.

    `keepdim` keeps them. `p: 1` is `sum |x|`, `p: 2` `sqrt(sum x^2)`, `p: inf` `max |x|`, whose equals share the
    gradient evenly. The gradient at x = 0 is 0 (torch.linalg.vector_norm).
    """

    type: Literal["norm"] = "norm"
    p: Annotated[Literal[1, 2, "inf"], Expected("1, 2 or inf")] = 2

    def expand(self, b: Builder, x: Value) -> Value:
        axes = axes_of(self.dim, x)
        require_floats(x)
        if self.p == 1:
            return b.sum(b.abs(x), axes, self.keepdim)
        if self.p == "inf":
            return b.max(b.abs(x), axes, self.keepdim)
        wide = b.widen(x)
        squares = b.sum(wide * wide, axes, self.keepdim)
        zero = b.equal(squares, 0.0)
        return b.narrow(b.where(zero, 0.0, b.sqrt(b.where(zero, 1.0, squares))), x)


class Var(_Reduction):
    """`sum((x - mean)^2) / (n - ddof)` over the n numbers of `dim`, over all dimensions unless given.

    The dimensions are dropped, or kept with size 1 by `keepdim`. `ddof: 0` is the variance of a population, as in NumPy
    and JAX; `ddof: 1` that of a sample, torch.var's default. It is taken in two passes; n must be above `ddof`.
    """

    type: Literal["var"] = "var"
    ddof: NonNegativeInt = 0

    refused: ClassVar = {
        "correction": "the field is ddof, and its default 0 where torch.var's is 1",
        "unbiased": "write ddof: 1 for the unbiased variance, torch.var's default; ddof: 0 is that of a population",
    }

    def expand(self, b: Builder, x: Value) -> Value:
        axes = axes_of(self.dim, x)
        n = product(x.shape[axis] for axis in axes)
        if isinstance(n, int) and n <= self.ddof:
            raise ShapeError(f"ddof {self.ddof} needs more numbers than that, got {n} in {format_shape(x.shape)}")
        b.require(n, self.ddof + 1, f"ddof {self.ddof} needs more numbers than that, got {{size}}")
        wide = b.widen(x)
        centred = wide - b.mean(wide, axes, keepdims=True)
        if self.ddof == 0:
            return b.narrow(b.mean(centred * centred, axes, self.keepdim), x)
        divisor = float(n - self.ddof) if isinstance(n, int) else b.element_count(wide, axes) - float(self.ddof)
        return b.narrow(b.sum(centred * centred, axes, self.keepdim) / divisor, x)


def axes_of(dim: int | tuple[int, ...] | None, x: Value) -> tuple[int, ...]:
    """The dimensions that `dim` names, counted from the front; all where it is None, each once or a ShapeError."""
    rank = x.type.rank
    if dim is None:
        return tuple(range(rank))
    axes = [normal_axis(each, rank) for each in ((dim,) if isinstance(dim, int) else dim)]
    if len(set(axes)) < len(axes):
        raise ShapeError(f"dim names a dimension of {format_shape(x.shape)} twice, got {list(axes)}")
    return tuple(axes)


def _wide(b: Builder, x: Value) -> Value:
    """Integers as int64, in which they are summed and multiplied."""
    return b.cast(x, "int64") if x.type.dtype == "int32" else x
