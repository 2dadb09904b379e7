"""Activations that torch has whole. Those whose body is one native function already need no entry."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import handle_torch_function, has_torch_function_unary

from netspec.backend import Fused
from netspec.graph.graph import Call
from netspec.layers import activation as layers


def hard_sigmoid(x: Tensor) -> Tensor:
    """F.hardsigmoid, whose gradient is 1 / 6 in float32 also where x is float64 (2.13): 3e-8 off, so not there."""
    if has_torch_function_unary(x):
        return handle_torch_function(hard_sigmoid, (x,), x)
    return F.relu6(x + 3) * (1 / 6) if x.dtype == torch.float64 else F.hardsigmoid(x)


def softplus(call: Call, x: Tensor) -> Tensor:
    """Not F.softplus, which is x itself above a threshold."""
    assert isinstance(call.layer, layers.Softplus)
    beta = call.layer.beta
    return -F.logsigmoid(-x) if beta == 1 else F.logsigmoid(x * -beta) * (-1 / beta)


def celu(call: Call, x: Tensor) -> Tensor:
    """The gradient of F.celu takes alpha as a float32, whatever the type of x (2.13): 4e-8 off for 0.3."""
    assert isinstance(call.layer, layers.Celu)
    alpha = call.layer.alpha
    return F.celu(x) if alpha == 1 else F.elu(x * (1 / alpha)) * alpha


ACTIVATIONS: Fused = {
    layers.Relu6: lambda call, x: F.relu6(x),
    layers.LeakyRelu: lambda call, x: F.leaky_relu(x, call.layer.negative_slope),
    layers.PRelu: lambda call, x, weight: F.prelu(x, weight),
    layers.Elu: lambda call, x: F.elu(x, call.layer.alpha),
    layers.Selu: lambda call, x: F.selu(x),
    layers.Celu: celu,
    layers.Gelu: lambda call, x: F.gelu(x),
    layers.GeluTanh: lambda call, x: F.gelu(x, approximate="tanh"),
    layers.Silu: lambda call, x: F.silu(x),
    layers.Mish: lambda call, x: F.mish(x),
    layers.Softplus: softplus,
    layers.LogSigmoid: lambda call, x: F.logsigmoid(x),
    layers.HardSigmoid: lambda call, x: hard_sigmoid(x),
    layers.HardSwish: lambda call, x: F.hardswish(x),
    layers.HardTanh: lambda call, x: F.hardtanh(x, call.layer.min_val, call.layer.max_val),
    layers.Threshold: lambda call, x: F.threshold(x, call.layer.threshold, call.layer.value),
    layers.Softmax: lambda call, x: torch.softmax(x, call.layer.dim),
    layers.LogSoftmax: lambda call, x: torch.log_softmax(x, call.layer.dim),
    layers.Glu: lambda call, x: F.glu(x, call.layer.dim),
}
