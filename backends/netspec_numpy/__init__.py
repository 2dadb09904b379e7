"""The NumPy backend: the float64 reference that every other backend is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from netspec.backend import Backend, FloatType, Fused, Lowerings
from netspec.errors import BackendError
from netspec.graph.graph import GraphPair
from netspec.graph.ops.base import Op

if TYPE_CHECKING:
    from netspec_numpy.model import NumpyModel

Vjps = Mapping[type[Op], Callable[..., Any]]


class NumpyBackend(Backend):
    """Runs a graph primitive by primitive, and its gradients by one vector-Jacobian product for each primitive.

    It has no fused forms: the bodies of the layers are what the other backends are compared with.
    """

    name = "numpy"
    float_types = ("float64", "float32")
    extra = ""  # NumPy comes with netspec itself
    requires: tuple[str, ...] = ("numpy",)
    distributions = ("numpy",)

    def __init__(self, lowerings: Lowerings | None = None, vjps: Vjps | None = None) -> None:
        super().__init__(lowerings)
        self._vjps = vjps

    def own_lowerings(self) -> Lowerings:
        from netspec_numpy.lowerings import LOWERINGS

        return LOWERINGS

    def own_fused(self) -> Fused:
        return {}

    @property
    def vjps(self) -> Vjps:
        if self._vjps is None:
            from netspec_numpy.vjps import VJPS

            return VJPS
        return self._vjps

    def rounding(self, seed: int, unit: float) -> NumpyBackend:
        """A backend whose inexact primitives err, forwards and backwards, as in an arithmetic of that unit roundoff."""
        from netspec_numpy.roundings import Roundings

        roundings = Roundings(seed, unit)
        return NumpyBackend(roundings.of_lowerings(self.lowerings), roundings.of_vjps(self.vjps))

    def compile(
        self, graphs: GraphPair, weights: Mapping[str, Any], dtype: FloatType = "float64", device: str | None = None
    ) -> NumpyModel:
        """The model that runs `graphs`, in float64 unless told otherwise.

        Raises BackendError for another float type than float64 and float32, and for another device than the CPU.
        """
        from netspec_numpy.model import NumpyModel

        self.require_float_type(dtype)
        if device not in (None, "cpu"):
            raise BackendError(f"backend numpy computes on the cpu, not on {device}")
        return NumpyModel(graphs, weights, dtype, self.lowerings, self.vjps)


backend = NumpyBackend()
