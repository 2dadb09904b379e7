"""The JAX backend: a graph becomes a pure, jitted function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from netspec.backend import Backend, FloatType, Fused, Lowerings
from netspec.graph.graph import GraphPair

if TYPE_CHECKING:
    from netspec_jax.model import JaxModel


class JaxBackend(Backend):
    """JAX. Tables other than the package's own may be given, as the tests do to plant a mistake."""

    name = "jax"
    extra = "jax"
    requires = ("jax",)
    distributions = ("jax",)

    def own_lowerings(self) -> Lowerings:
        from netspec_jax.lowerings import LOWERINGS

        return LOWERINGS

    def own_fused(self) -> Fused:
        from netspec_jax.fused import FUSED

        return FUSED

    def compile(
        self, graphs: GraphPair, weights: Mapping[str, Any], dtype: FloatType = "float32", device: str | None = None
    ) -> JaxModel:
        """The model on `device`, as in `cpu`, `gpu`, `gpu:1`; without one where JAX puts arrays by itself.

        Raises BackendError for a device that JAX does not have, and for float64 while `jax_enable_x64` is off.
        """
        from netspec_jax.model import JaxModel

        return JaxModel(graphs, weights, self.lowerings, self.fused, dtype, device)

    def environment(self, dtype: FloatType) -> Mapping[str, str]:
        """On the CPU, products in full precision, and 64 bits only where they are compared."""
        return {
            "JAX_PLATFORMS": "cpu",
            "JAX_DEFAULT_MATMUL_PRECISION": "highest",
            "JAX_ENABLE_X64": "1" if dtype == "float64" else "0",
        }


backend = JaxBackend()
