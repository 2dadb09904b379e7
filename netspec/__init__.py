"""One declarative model in YAML or JSON becomes PyTorch, TensorFlow, JAX and ONNX, which are proved to agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netspec.api import (
    build,
    count_params,
    export_onnx,
    load,
    load_weights,
    loads,
    verify,
    weights_from_flax,
    weights_from_keras,
)
from netspec.errors import NetspecError

if TYPE_CHECKING:
    from netspec.model import Model
    from netspec.spec import Spec

__version__ = "0.1.0"

__all__ = [
    "Model",
    "NetspecError",
    "Spec",
    "build",
    "count_params",
    "export_onnx",
    "load",
    "load_weights",
    "loads",
    "verify",
    "weights_from_flax",
    "weights_from_keras",
]


def __getattr__(name: str) -> Any:
    """`netspec.Spec` and `netspec.Model`, for annotations: imported when they are asked for, as they cost 0.2 s."""
    if name == "Spec":
        from netspec.spec import Spec

        return Spec
    if name == "Model":
        from netspec.model import Model

        return Model
    raise AttributeError(f"module 'netspec' has no attribute {name!r}")
