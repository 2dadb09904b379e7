"""The TensorFlow backend: a graph becomes a tf.Module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from netspec.backend import Backend, FloatType, Fused, Lowerings
from netspec.branches import Branches
from netspec.graph.graph import GraphPair
from netspec_tensorflow.branches import BRANCHES
from netspec_tensorflow.start_up import import_tensorflow

if TYPE_CHECKING:
    from netspec_tensorflow.model import TensorFlowModel


class TensorFlowBackend(Backend):
    """TensorFlow 2, with the package's tables unless others are given."""

    name = "tensorflow"
    extra = "tensorflow"
    requires = ("tensorflow",)
    distributions = ("tensorflow", "tensorflow-cpu")

    def own_lowerings(self) -> Lowerings:
        import_tensorflow()
        from netspec_tensorflow.lowerings import LOWERINGS

        return LOWERINGS

    def own_fused(self) -> Fused:
        import_tensorflow()
        from netspec_tensorflow.fused import FUSED

        return FUSED

    @property
    def branches(self) -> Branches:
        return BRANCHES

    def compile(
        self, graphs: GraphPair, weights: Mapping[str, Any], dtype: FloatType = "float32", device: str | None = None
    ) -> TensorFlowModel:
        """The model of `graphs` as a tf.Module; `device` as in `cpu`, `/GPU:0`. See Backend.compile."""
        import_tensorflow()
        from netspec_tensorflow.model import TensorFlowModel

        return TensorFlowModel(graphs, weights, self.lowerings, self.fused, dtype, device)


backend = TensorFlowBackend()
