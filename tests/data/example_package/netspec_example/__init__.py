"""A backend for netspec: PyTorch, one primitive after another, without a module; light to import, as all are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from netspec.backend import Backend, FloatType, Fused, Lowerings
from netspec.graph.graph import GraphPair

if TYPE_CHECKING:
    from netspec_example.model import EagerModel


class EagerBackend(Backend):
    """Runs netspec's interpreter on tensors: slow, and handy to look at what a layer computes."""

    name = "eager"
    extra = "torch"
    requires = ("torch",)
    distributions = ("torch",)

    def own_lowerings(self) -> Lowerings:
        from netspec_torch.lowerings import LOWERINGS

        return LOWERINGS

    def own_fused(self) -> Fused:
        return {}

    def compile(
        self, graphs: GraphPair, weights: Mapping[str, Any], dtype: FloatType = "float32", device: str | None = None
    ) -> EagerModel:
        from netspec_example.model import EagerModel

        return EagerModel(graphs, weights, dtype, self.lowerings, self.fused)


backend = EagerBackend()
