"""Tables whose results carry random roundings of a narrower arithmetic (Monte Carlo arithmetic, Parker 1997).

The float64 result of every inexact primitive, and everything that flows back from one, is multiplied by 1 + unit * z,
z standard normal. Several such runs show how far the roundings of a float32 program move each tensor. Numbers below the
smallest normal one of float32 have few digits there or none (XLA makes them 0), so each is also moved by z times that.

A sum is not one rounding: where many like numbers are added one after another, as XLA does on a CPU, those of the
partial sums all go one way (1.3e-5 in the variance of 825 zeros and ones). So a sum of more than 64, and what flows
back into something that was repeated as often, is moved by z times what a sum in that order is off in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from netspec.graph import ops
from netspec_numpy.arithmetic import repeated_axes, unbroadcast
from netspec_numpy.interpreter import Table
from netspec_numpy.windows import Array

SINGLE = 2.0**-24  # the unit of float32
SMALLEST = 2.0**-126  # its smallest normal number
LONG = 64  # terms of a sum; what so many lose at most, half a unit each, is within what is allowed to every tensor
SUMS: tuple[type[ops.Op], ...] = (ops.Sum, ops.Mean)
# What flows back through these is summed where an operand was repeated.
REPEATING: tuple[type[ops.Op], ...] = (ops.Add, ops.Sub, ops.Mul, ops.Div, ops.Expand)


class Roundings:
    """One stream of roundings: two runs with one seed err alike."""

    def __init__(self, seed: int, unit: float) -> None:
        self._random = np.random.Generator(np.random.Philox(seed))
        self._unit = unit
        self._smallest = SMALLEST if unit >= SINGLE else 0.0

    def of(self, array: Array) -> Array:
        """The array with an error of its own in every float of it that is not 0."""
        if array.dtype.kind != "f":
            return array
        noise = self._random.standard_normal(array.shape)
        return np.asarray(array * (1 + self._unit * noise) + np.where(array != 0, self._smallest * noise, 0))

    def of_lowerings(self, lowerings: Table) -> Table:
        """The same primitives with roundings in their results."""
        return {
            op: lowering if op.exact or op.selects else self._of_lowering(op, lowering)
            for op, lowering in lowerings.items()
        }

    def of_vjps(self, vjps: Table) -> Table:
        """The same products with roundings in what flows back."""
        return {op: vjp if op.exact else self._of_vjp(op, vjp) for op, vjp in vjps.items()}

    def _of_lowering(self, op: type[ops.Op], lowering: Callable[..., Any]) -> Callable[..., Any]:
        def rounded(*inputs: Any, **attributes: Any) -> Any:
            result = lowering(*inputs, **attributes)
            return tuple(map(self.of, result)) if isinstance(result, tuple) else self.of(np.asarray(result))

        def summed(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
            return self._drifted(rounded(x, axes=axes, keepdims=keepdims), x, axes, mean=op is ops.Mean)

        return summed if op in SUMS else rounded

    def _of_vjp(self, op: type[ops.Op], vjp: Callable[..., Any]) -> Callable[..., Any]:
        def rounded(*given: Any, **attributes: Any) -> tuple[Array | None, ...]:
            flows = vjp(*given, **attributes)
            return tuple(None if flow is None else self.of(np.asarray(flow)) for flow in flows)

        def repeated(dys: Any, xs: Any, ys: Any, **attributes: Any) -> tuple[Array | None, ...]:
            whole = dys[0].shape
            if all(dys[0].size <= LONG * x.size for x in xs):
                return rounded(dys, xs, ys, **attributes)
            # Of operands of the whole shape: what is summed into each of them, term by term.
            terms = vjp(dys, [np.broadcast_to(x, whole) for x in xs], ys, **attributes)
            flows = [self.of(unbroadcast(each, x.shape)) for each, x in zip(terms, xs, strict=True)]
            return tuple(
                self._drifted(flow, each, repeated_axes(whole, flow.shape))
                for flow, each in zip(flows, terms, strict=True)
            )

        return repeated if op in REPEATING else rounded

    def _drifted(self, result: Array, terms: Array, axes: tuple[int, ...], mean: bool = False) -> Array:
        """The sum (or mean) of `terms` over `axes`, moved as far as one in order is off in float32."""
        if result.dtype.kind != "f" or self._unit != SINGLE or terms.size <= LONG * result.size:
            return result
        kept = [axis for axis in range(terms.ndim) if axis not in axes]
        held = np.transpose(terms, (*kept, *axes)).reshape(*(terms.shape[axis] for axis in kept), -1).astype("float32")
        in_order = np.add.accumulate(held, axis=-1, dtype="float32")[..., -1].astype("float64")
        off = (in_order - held.sum(axis=-1, dtype="float64")).reshape(result.shape)
        off = off * (result.size / terms.size) if mean else off
        return result + self._random.standard_normal(result.shape) * np.where(np.isfinite(off), off, 0)
