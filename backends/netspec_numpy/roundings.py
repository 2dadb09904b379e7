"""Tables whose results carry random roundings of a narrower arithmetic (Monte Carlo arithmetic, Parker 1997).

The float64 result of every inexact primitive, and everything that flows back from one, is multiplied by 1 + unit * z,
z standard normal. Several such runs show how far the roundings of a float32 program move each tensor. Numbers below the
smallest normal one of float32 have few digits there or none (XLA makes them 0), so each is also moved by z times that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from netspec_numpy.interpreter import Table
from netspec_numpy.windows import Array

SINGLE = 2.0**-24  # the unit of float32
SMALLEST = 2.0**-126  # its smallest normal number


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
            op: lowering if op.exact or op.selects else self._of_lowering(lowering)
            for op, lowering in lowerings.items()
        }

    def of_vjps(self, vjps: Table) -> Table:
        """The same products with roundings in what flows back."""
        return {op: vjp if op.exact else self._of_vjp(vjp) for op, vjp in vjps.items()}

    def _of_lowering(self, lowering: Callable[..., Any]) -> Callable[..., Any]:
        def rounded(*inputs: Any, **attributes: Any) -> Any:
            result = lowering(*inputs, **attributes)
            return tuple(map(self.of, result)) if isinstance(result, tuple) else self.of(np.asarray(result))

        return rounded

    def _of_vjp(self, vjp: Callable[..., Any]) -> Callable[..., Any]:
        def rounded(*given: Any, **attributes: Any) -> tuple[Array | None, ...]:
            flows = vjp(*given, **attributes)
            return tuple(None if flow is None else self.of(np.asarray(flow)) for flow in flows)

        return rounded
