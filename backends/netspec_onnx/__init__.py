"""The ONNX backend: the inference graph becomes an ONNX model, which onnxruntime runs and any program can load."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from netspec.backend import Backend, FloatType, Fused, Lowerings
from netspec.graph.graph import GraphPair
from netspec.graph.ops.base import Op

if TYPE_CHECKING:
    from netspec_onnx.model import OnnxModel


class OnnxBackend(Backend):
    """ONNX, for inference. Tables given here replace the package's own.

    A lowering is called with the tape first: `lowering(tape, *inputs, **attributes)`, and a fused form likewise:
    `form(tape, call, *inputs, **state)`.
    """

    name = "onnx"
    extra = "onnx"
    requires = ("onnx", "onnx_ir", "onnxruntime")
    distributions = ("onnxruntime", "onnxruntime-gpu")
    inference_only = True
    float_types = ("float32",)  # onnxruntime has no float64 kernels for convolution, average pooling and erf

    def own_lowerings(self) -> Lowerings:
        from netspec_onnx.lowerings import LOWERINGS

        return LOWERINGS

    def own_fused(self) -> Fused:
        from netspec_onnx.fused import FUSED

        return FUSED

    @property
    def gaps(self) -> Mapping[type[Op], str]:
        from netspec_onnx.lowerings import GAPS

        return GAPS

    def compile(
        self, graphs: GraphPair, weights: Mapping[str, Any], dtype: FloatType = "float32", device: str | None = None
    ) -> OnnxModel:
        """The model of the inference graph, run by onnxruntime on `device`: `cpu` (the default) or `cuda`.

        Raises BackendError for another float type than float32, a device that onnxruntime does not have, a primitive
        that ONNX does not have, and names that one ONNX file cannot hold.
        """
        from netspec_onnx.model import OnnxModel

        self.require_float_type(dtype)
        return OnnxModel(graphs, weights, self.lowerings, self.fused, device)

    def export(
        self,
        graphs: GraphPair,
        weights: Mapping[str, Any],
        path: str | os.PathLike[str],
        *,
        external_data: bool = False,
    ) -> None:
        """Write the inference graph as one ONNX file, in float32; see `netspec_onnx.export.export`."""
        from netspec_onnx.export import export

        export(graphs, weights, path, external_data=external_data, lowerings=self.lowerings, fused=self.fused)


backend = OnnxBackend()
