"""The torch model: netspec's face over the native module."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from netspec.backend import Fused, Lowerings
from netspec.errors import BackendError, InputError
from netspec.graph.graph import GraphPair
from netspec.graph.types import TensorType
from netspec.model import Arrays, Evaluation, Model, numpy_input
from netspec_torch.module import SourceModule, build_module
from netspec_torch.translate import translate


class TorchModel(Model):
    """A spec as a torch.nn.Module."""

    def __init__(
        self,
        graphs: GraphPair,
        weights: Mapping[str, np.ndarray[Any, Any]],
        dtype: str,
        device: str,
        lowerings: Lowerings,
        fused: Fused,
    ) -> None:
        super().__init__(graphs, dtype, "torch")
        self._dtype: torch.dtype = getattr(torch, dtype)
        self._device = _find_device(device)
        translation = translate(graphs, lowerings, fused)
        self._arguments = translation.arguments
        tensors = {
            held.path: torch.tensor(weights[held.path], dtype=self._type_of(held.value.type), device=self._device)
            for held in graphs.inference.state
        }
        self._native = build_module(graphs.inference, translation, tensors, self._placed)

    @property
    def native(self) -> SourceModule:
        """The torch.nn.Module: `state_dict` has the spec's paths, `train()` and `eval()` choose the graph."""
        return self._native

    def run(self, inputs: Mapping[str, Any], training: bool) -> dict[str, Any]:
        with _mode(self._native, training):
            result = self._native(**{self._arguments[name]: value for name, value in inputs.items()})
        outputs = self.graphs.of(training).outputs
        return result if len(outputs) > 1 else {outputs[0].name: result}

    def evaluate(
        self, inputs: Mapping[str, Any], cotangents: Mapping[str, Any] | None = None, training: bool = False
    ) -> Evaluation:
        graph = self.graphs.of(training)
        native = {
            entry.name: self.to_native(entry.name, inputs[entry.name], entry.value.type) for entry in graph.inputs
        }
        held = self._native.state_dict(keep_vars=True)
        sources = {param.path: held[param.path] for param in graph.params if param.trainable}
        for entry in graph.inputs:
            if entry.value.type.dtype == "float" and cotangents is not None:
                native[entry.name] = native[entry.name].detach().requires_grad_()
                sources[f"input:{entry.name}"] = native[entry.name]
        with _buffers_aside(self._native), torch.set_grad_enabled(cotangents is not None):
            outputs = self.run(native, training)
            moved = self._native.state_dict(keep_vars=True)
        gradients = self._gradients(outputs, sources, cotangents or {})
        return Evaluation(
            {name: self.to_numpy(value) for name, value in outputs.items()},
            {} if cotangents is None else gradients,
            {path: self.to_numpy(moved[path]) for path in graph.updates},
        )

    def _gradients(
        self, outputs: Mapping[str, torch.Tensor], sources: Mapping[str, torch.Tensor], cotangents: Mapping[str, Any]
    ) -> Arrays:
        """The gradient of every source; zeros where nothing depends on it."""
        reached = [name for name in cotangents if outputs[name].requires_grad]
        if not reached:
            return {name: self.to_numpy(torch.zeros_like(source)) for name, source in sources.items()}
        found = torch.autograd.grad(
            [outputs[name] for name in reached],
            list(sources.values()),
            [_as_tensor(cotangents[name]).to(outputs[name]) for name in reached],
            allow_unused=True,
            materialize_grads=True,
        )
        return {name: self.to_numpy(gradient) for name, gradient in zip(sources, found, strict=True)}

    def weights(self) -> Arrays:
        held = self._native.state_dict()
        return {entry.path: self.to_numpy(held[entry.path]).copy() for entry in self.graphs.inference.state}

    def load_weights(self, weights: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Replace the values of all parameters and buffers, in place."""
        held = self._native.state_dict()
        for entry in self.graphs.inference.state:
            value = torch.tensor(weights[entry.path])
            assert value.shape == held[entry.path].shape, entry.path  # copy_ would broadcast
            held[entry.path].copy_(value)

    def to_native(self, name: str, value: Any, type: TensorType) -> torch.Tensor:
        wanted = self._type_of(type)
        if isinstance(value, torch.Tensor):
            if value.dtype != wanted:
                expected, got = (str(dtype).removeprefix("torch.") for dtype in (wanted, value.dtype))
                raise InputError(f"input {name}: expected {expected}, got {got}")
            return value
        array = numpy_input(name, value, type, self.dtype)
        # torch takes no negative strides, and warns of memory that it must not write to.
        if not (array.flags.c_contiguous and array.flags.writeable):
            array = array.copy()
        return torch.from_numpy(array).to(self._device, wanted)

    def to_numpy(self, value: torch.Tensor) -> np.ndarray[Any, Any]:
        value = value.detach().cpu()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()

    def _type_of(self, type: TensorType) -> torch.dtype:
        found: torch.dtype = self._dtype if type.dtype == "float" else getattr(torch, type.dtype)
        return found

    def _placed(self, constant: torch.Tensor) -> torch.Tensor:
        """On the device, floats in the model's type; always a tensor of its own."""
        dtype = self._dtype if constant.is_floating_point() else constant.dtype
        return constant.to(self._device, dtype, copy=True)


def _as_tensor(value: Any) -> torch.Tensor:
    # torch.as_tensor would share memory, and warn where it may not be written to.
    return value if isinstance(value, torch.Tensor) else torch.tensor(np.asarray(value))


def _find_device(device: str) -> torch.device:
    """The device, or a BackendError where torch does not know it or cannot reach it."""
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise BackendError(f"device {device} is not there for torch: {reason}") from None
    return found


@contextlib.contextmanager
def _mode(module: nn.Module, training: bool) -> Iterator[None]:
    """Every module in one mode for a while; the user's own choices come back."""
    others = [each for each in module.modules() if each.training is not training]
    for each in others:
        each.training = training
    try:
        yield
    finally:
        for each in others:
            each.training = not training


@contextlib.contextmanager
def _buffers_aside(module: nn.Module) -> Iterator[None]:
    """Copies in the place of all buffers for a while, as torch.func.functional_call would have them.

    Not that function itself, since it finds no submodule that is called like a method of a module.
    """
    kept = [(each, dict(each._buffers)) for each in module.modules() if each._buffers]
    for each, buffers in kept:
        each._buffers.update({name: None if value is None else value.clone() for name, value in buffers.items()})
    try:
        yield
    finally:
        for each, buffers in kept:
            each._buffers.update(buffers)
