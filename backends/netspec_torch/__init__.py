"""The PyTorch backend: a graph becomes a torch.nn.Module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from netspec.backend import Backend, FloatType, Fused, Lowerings
from netspec.graph.graph import GraphPair

if TYPE_CHECKING:
    from netspec_torch.model import TorchModel


class TorchBackend(Backend):
    """PyTorch. Tables other than the package's own may be given, as the tests do to plant a mistake."""

    name = "torch"
    extra = "torch"
    requires = ("torch",)
    distributions = ("torch",)

    def own_lowerings(self) -> Lowerings:
        from netspec_torch.lowerings import LOWERINGS

        return LOWERINGS

    def own_fused(self) -> Fused:
        from netspec_torch.fused import FUSED

        return FUSED

    def compile(
        self, graphs: GraphPair, weights: Mapping[str, Any], dtype: FloatType = "float32", device: str | None = None
    ) -> TorchModel:
        """The model on `device` (`cpu` unless given), its torch.nn.Module in eval mode.

        Raises BackendError for a device that torch does not know or this machine does not have.
        """
        from netspec_torch.model import TorchModel

        return TorchModel(graphs, weights, dtype, device or "cpu", self.lowerings, self.fused)


backend = TorchBackend()
