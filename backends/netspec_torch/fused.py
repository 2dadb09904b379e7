"""Layers that torch has whole. Those whose body is one native function already need no entry."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from netspec.backend import Fused
from netspec.graph.graph import Call
from netspec.graph.ops import Convolution, TransposedConvolution
from netspec.layers.attention import ScaledDotProductAttention
from netspec.layers.convolution import Conv2d, ConvTranspose2d
from netspec.layers.linear import Embedding, Linear
from netspec.layers.multi_head_attention import MultiHeadAttention
from netspec.layers.pooling import AvgPool2d, MaxPool2d
from netspec.layers.regularization import AlphaDropout, Dropout, Dropout2d
from netspec_torch.activations import ACTIVATIONS
from netspec_torch.arithmetic import ARITHMETIC_FUSED
from netspec_torch.attention import attention, multi_head_attention
from netspec_torch.fused_movement import MOVEMENT
from netspec_torch.lowerings import convolution, transposed_convolution
from netspec_torch.normalization import NORMALIZATION
from netspec_torch.recurrent import RECURRENT


def linear(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    assert isinstance(call.layer, Linear)
    return F.linear(x, weight if call.layer.weight_layout == "out_in" else weight.t(), bias)


def conv2d(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    attributes = next(vars(node.op) for node in call.body if isinstance(node.op, Convolution))
    return convolution(x, weight, bias, **attributes)


def conv_transpose2d(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    attributes = next(vars(node.op) for node in call.body if isinstance(node.op, TransposedConvolution))
    return transposed_convolution(x, weight, bias, **attributes)


def max_pool2d(call: Call, x: Tensor) -> Any:
    """The body pads first, as no primitive has `ceil_mode`."""
    layer = call.layer
    assert isinstance(layer, MaxPool2d)
    if not layer.ceil_mode:
        return NotImplemented
    return F.max_pool2d(x, layer.kernel_size, layer.stride, layer.padding, ceil_mode=True)


def avg_pool2d(call: Call, x: Tensor) -> Any:
    """As max_pool2d."""
    layer = call.layer
    assert isinstance(layer, AvgPool2d)
    if not layer.ceil_mode:
        return NotImplemented
    return F.avg_pool2d(x, layer.kernel_size, layer.stride, layer.padding, True, layer.count_include_pad)


def embedding(call: Call, x: Tensor, weight: Tensor) -> Tensor:
    assert isinstance(call.layer, Embedding)
    return F.embedding(x, weight, call.layer.padding_idx)


FUSED: Fused = {
    **ARITHMETIC_FUSED,
    Linear: linear,
    Embedding: embedding,
    Conv2d: conv2d,
    ConvTranspose2d: conv_transpose2d,
    MaxPool2d: max_pool2d,
    AvgPool2d: avg_pool2d,
    **NORMALIZATION,
    **ACTIVATIONS,
    Dropout: lambda call, x: torch.dropout(x, call.layer.p, True),
    Dropout2d: lambda call, x: torch.feature_dropout(x, call.layer.p, True),
    AlphaDropout: lambda call, x: torch.alpha_dropout(x, call.layer.p, True),
    ScaledDotProductAttention: attention,
    **RECURRENT,
    MultiHeadAttention: multi_head_attention,
    **MOVEMENT,
}
