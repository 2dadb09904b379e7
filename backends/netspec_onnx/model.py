"""A spec as an ONNX model that onnxruntime runs: inference only."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from netspec.backend import Fused, Lowerings
from netspec.errors import BackendError
from netspec.graph.graph import GraphPair
from netspec.graph.types import TensorType
from netspec.model import Arrays, Evaluation, Model, numpy_input
from netspec_onnx.build import build
from netspec_onnx.file import MAX_MESSAGE, WeightedModel, total_size, write_model

PROVIDERS = {"cpu": ["CPUExecutionProvider"], "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"]}


class OnnxModel(Model):
    """The inference graph in onnxruntime; NumPy arrays in and out, always float32.

    The session starts with the first call. A call in training mode, and gradients, raise BackendError.
    """

    def __init__(
        self,
        graphs: GraphPair,
        weights: Mapping[str, Any],
        lowerings: Lowerings,
        fused: Fused,
        device: str | None = None,
    ) -> None:
        super().__init__(graphs, "float32", "onnx")
        self._providers = _providers(device)
        self._tables = lowerings, fused
        self._outputs = [output.name for output in graphs.inference.outputs]
        self.load_weights(weights)

    @cached_property
    def native(self) -> onnx.ModelProto:
        """The whole model, weights included, as it is when first asked for; changing it does not change this model."""
        return self._model.proto()

    @cached_property
    def session(self) -> Any:
        """The onnxruntime.InferenceSession that runs the model."""
        return _session(self._model, self._providers)

    def run(self, inputs: Mapping[str, Any], training: bool) -> dict[str, Any]:
        _require_inference(training)
        return dict(zip(self._outputs, self.session.run(self._outputs, dict(inputs)), strict=True))

    def evaluate(
        self, inputs: Mapping[str, Any], cotangents: Mapping[str, Any] | None = None, training: bool = False
    ) -> Evaluation:
        """Outputs of inference; cotangents raise BackendError, as there are no gradients."""
        _require_inference(training)
        if cotangents is not None:
            raise BackendError("onnx is inference only: it has no gradients")
        types = {entry.name: entry.value.type for entry in self.graphs.inference.inputs}
        return Evaluation(
            self.run({name: self.to_native(name, value, types[name]) for name, value in inputs.items()}, training),
            {},
            {},
        )

    def weights(self) -> Arrays:
        return {path: array.copy() for path, array in self._weights.items()}

    def load_weights(self, weights: Mapping[str, Any]) -> None:
        """Take all values anew, NumPy by path in the canonical layout; `native` and `session` are made again."""
        # One copy, so that nobody changes them from outside.
        self._weights = {
            held.path: np.array(weights[held.path], _dtype(held.value.type), order="C")
            for held in self.graphs.inference.state
        }
        self._model = build(self.graphs.inference, self._weights, *self._tables)
        for made in ("native", "session"):
            self.__dict__.pop(made, None)

    def to_native(self, name: str, value: Any, type: TensorType) -> NDArray[Any]:
        return numpy_input(name, value, type, self.dtype)

    def to_numpy(self, value: Any) -> NDArray[Any]:
        return np.asarray(value)


def _dtype(type: TensorType) -> str:
    return "float32" if type.dtype == "float" else type.dtype


def _require_inference(training: bool) -> None:
    if training:
        raise BackendError("onnx is inference only: it has no training mode")


def _providers(device: str | None) -> list[str]:
    """Where onnxruntime is to run, or a BackendError."""
    wanted = PROVIDERS.get(device or "cpu")
    here = [name for name, needed in PROVIDERS.items() if needed[0] in onnxruntime.get_available_providers()]
    if wanted is None or device not in (None, *here):
        raise BackendError(f"onnx: there is no device {device}: this onnxruntime has {', '.join(here)}")
    return wanted


def _session(model: WeightedModel, providers: list[str]) -> Any:
    """A session of `model`. One that is too large for a message comes from files, which onnxruntime keeps mapped."""
    pieces = model.pieces()
    if total_size(pieces) <= MAX_MESSAGE:
        return onnxruntime.InferenceSession(b"".join(pieces), providers=providers)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_model(model, path, external_data=True)
        return onnxruntime.InferenceSession(path, providers=providers)
