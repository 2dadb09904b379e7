"""One declarative model in YAML or JSON becomes PyTorch, TensorFlow, JAX and ONNX, which are proved to agree."""

from netspec.api import build, count_params, export_onnx, load, loads, verify
from netspec.errors import NetspecError

__version__ = "0.1.0"

__all__ = ["NetspecError", "build", "count_params", "export_onnx", "load", "loads", "verify"]
