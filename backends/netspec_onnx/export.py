"""Writing an ONNX file: what `netspec export onnx` and `netspec.export_onnx` call."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from netspec.backend import Fused, Lowerings
from netspec.graph.graph import GraphPair
from netspec_onnx.build import build
from netspec_onnx.file import write_model
from netspec_onnx.fused import FUSED
from netspec_onnx.lowerings import LOWERINGS


def export(
    graphs: GraphPair,
    weights: Mapping[str, Any],
    path: str | os.PathLike[str],
    *,
    external_data: bool = False,
    lowerings: Lowerings = LOWERINGS,
    fused: Fused = FUSED,
) -> None:
    """Write the inference graph of a spec as one ONNX file (opset 21), atomically.

    Inputs and outputs carry the spec's names, initializers their paths, symbolic dimensions their symbols. `weights`
    are NumPy arrays by path in the canonical layout; they are written as float32 from where they lie.
    With `external_data` they go to PATH.data, which belongs beside the file. Raises BackendError above 2 GiB without
    it, or for what ONNX cannot hold, and NetspecError where the file cannot be written.
    """
    write_model(build(graphs.inference, weights, lowerings, fused), path, external_data)
