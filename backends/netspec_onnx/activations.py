"""Activations that ONNX has whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx_ir as ir

from netspec.backend import Fused
from netspec.layers import activation as layers
from netspec_onnx.tape import Tape

Call = Any  # a netspec.graph.graph.Call whose layer is of the class that the form stands for


def _operator(op_type: str, **fixed: Any) -> Callable[..., Any]:
    """An operator with attributes that do not depend on the layer."""
    return lambda tape, call, x: tape.op(op_type, x, **fixed)


def _configured(op_type: str, attributes: Callable[[Any], dict[str, Any]]) -> Callable[..., Any]:
    """An operator with attributes that are read off the layer."""
    return lambda tape, call, x: tape.op(op_type, x, **attributes(call.layer))


def _clip(tape: Tape, call: Call, x: ir.Value) -> Any:
    low, high = (0, 6) if isinstance(call.layer, layers.Relu6) else (call.layer.min_val, call.layer.max_val)
    return tape.op("Clip", x, tape.constant(low, "float"), tape.constant(high, "float"))


def _prelu(tape: Tape, call: Call, x: ir.Value, weight: ir.Value) -> Any:
    """The slope broadcasts from the last axis: one of channels needs axes of 1 behind it."""
    behind = call.inputs[0].type.rank - 2
    if call.layer.shape == "channel" and behind > 0:
        weight = tape.op("Reshape", weight, tape.integers([-1, *[1] * behind]), allowzero=0)
    return tape.op("PRelu", x, weight) if call.inputs[0].type.rank else NotImplemented


def _softplus(tape: Tape, call: Call, x: ir.Value) -> Any:
    return tape.op("Softplus", x) if call.layer.beta == 1 else NotImplemented


def _softmax(tape: Tape, call: Call, x: ir.Value) -> Any:
    return tape.op("Softmax", x, axis=call.layer.dim)


def _log_softmax(tape: Tape, call: Call, x: ir.Value) -> Any:
    return tape.op("LogSoftmax", x, axis=call.layer.dim)


ACTIVATIONS: Fused = {
    layers.Relu6: _clip,
    layers.LeakyRelu: _configured("LeakyRelu", lambda layer: {"alpha": layer.negative_slope}),
    layers.PRelu: _prelu,
    layers.Elu: _configured("Elu", lambda layer: {"alpha": layer.alpha}),
    layers.Selu: _operator("Selu", alpha=layers.SELU_ALPHA, gamma=layers.SELU_SCALE),
    layers.Celu: _configured("Celu", lambda layer: {"alpha": layer.alpha}),
    layers.Gelu: _operator("Gelu", approximate="none"),
    layers.GeluTanh: _operator("Gelu", approximate="tanh"),
    layers.Mish: _operator("Mish"),
    layers.Softplus: _softplus,
    layers.Softsign: _operator("Softsign"),
    layers.HardSigmoid: _operator("HardSigmoid", alpha=1 / 6, beta=0.5),
    layers.HardSwish: _operator("HardSwish"),
    layers.HardTanh: _clip,
    layers.Softmax: _softmax,
    layers.LogSoftmax: _log_softmax,
}
