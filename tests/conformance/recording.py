"""Backends that write down which of their lowerings and fused forms were run, in whichever process that was."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from netspec.backend import Backend, FloatType
from netspec.graph.graph import GraphPair
from netspec_jax import JaxBackend
from netspec_onnx import OnnxBackend
from netspec_tensorflow import TensorFlowBackend
from netspec_torch import TorchBackend

if TYPE_CHECKING:
    from netspec_tensorflow.model import TensorFlowModel

Table = Mapping[type, Callable[..., Any]]
Target = tuple[str, FloatType]  # a key of RECORDING, and the type


class Seen(NamedTuple):
    """An entry of a table that was called, or a branch of one.

    `form` is `lowering`, `fused`, or `body` where it left that to the body; `branch` of a way within a lowering.
    """

    name: str
    form: str


class Recording(Backend):
    """Mixed into a backend: its tables note each entry that is called in the file `record`."""

    record: Path
    target: Target

    def own_lowerings(self) -> Table:
        self.branches.listener = self._note_branch
        return self._noting(super().own_lowerings(), lambda result: "lowering")  # type: ignore[safe-super]

    def own_fused(self) -> Table:
        fused = super().own_fused()  # type: ignore[safe-super]
        return self._noting(fused, lambda result: "body" if result is NotImplemented else "fused")

    def _note_branch(self, name: str) -> None:
        with self.record.open("a") as file:
            file.write(f"{name} branch\n")

    def _noting(self, table: Table, form_of: Callable[[Any], str]) -> Table:
        known: set[Seen] = set()

        def noting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
            def noted(*inputs: Any, **attributes: Any) -> Any:
                result = function(*inputs, **attributes)
                seen = Seen(name, form_of(result))
                if seen not in known:
                    known.add(seen)
                    with self.record.open("a") as file:
                        file.write(f"{' '.join(seen)}\n")
                return result

            return noted

        return {key: noting(key.__name__, function) for key, function in table.items()}


class RecordingTorch(Recording, TorchBackend):
    pass


class RecordingTensorFlow(Recording, TensorFlowBackend):
    """TensorFlow, in float64 without what rewrites its graphs, in float32 as users run it."""

    def compile(
        self, graphs: GraphPair, weights: Mapping[str, Any], dtype: FloatType = "float32", device: str | None = None
    ) -> TensorFlowModel:
        import tensorflow as tf

        if dtype == "float64":  # a third of the time of a model with loops
            tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
        return super().compile(graphs, weights, dtype, device)


class RecordingPlainTensorFlow(RecordingTensorFlow):
    """TensorFlow without oneDNN's kernels, as where they are not built in."""

    def environment(self, dtype: FloatType) -> Mapping[str, str]:
        return {**super().environment(dtype), "TF_ENABLE_ONEDNN_OPTS": "0"}


class RecordingJax(Recording, JaxBackend):
    """JAX, compiled as in the other tests; by `make layers`, which takes its time, as users have it in float32."""

    def environment(self, dtype: FloatType) -> Mapping[str, str]:
        as_users = dtype == "float32" and bool(os.environ.get("NETSPEC_WRITE_SUPPORT"))
        return {**super().environment(dtype), **({"XLA_FLAGS": ""} if as_users else {})}


class RecordingOnnx(Recording, OnnxBackend):
    pass


RECORDING: dict[str, type[Recording]] = {
    "torch": RecordingTorch,
    "tensorflow": RecordingTensorFlow,
    "tensorflow_without_onednn": RecordingPlainTensorFlow,
    "jax": RecordingJax,
    "onnx": RecordingOnnx,
}


def recording(name: str, dtype: FloatType, folder: Path) -> Recording:
    """The backend `name`, a key of RECORDING, which notes what it runs in a file of `folder`."""
    backend = RECORDING[name]()
    backend.record = folder / f"{name}-{dtype}"
    backend.record.touch()
    backend.target = (name, dtype)
    return backend


def without_fused(backend: Recording) -> Recording:
    """The same, with the layers' bodies alone."""
    bodies = type(backend)(fused={})
    bodies.record, bodies.target = backend.record, backend.target
    return bodies


def seen_by(backend: Recording) -> set[Seen]:
    """What has been noted so far."""
    return {Seen(*line.split()) for line in backend.record.read_text().splitlines()}
