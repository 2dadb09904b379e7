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
from netspec.layers.convolution import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from netspec.layers.linear import Embedding, Linear
from netspec.layers.multi_head_attention import MultiHeadAttention
from netspec.layers.pooling import (
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    AvgPooling,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
    MaxPooling,
)
from netspec.layers.regularization import AlphaDropout, Dropout, Dropout2d
from netspec_torch.activations import ACTIVATIONS
from netspec_torch.arithmetic import ARITHMETIC_FUSED
from netspec_torch.attention import attention, multi_head_attention
from netspec_torch.fused_movement import MOVEMENT
from netspec_torch.lowerings import AVERAGE_POOLS, convolution, transposed_convolution
from netspec_torch.normalization import NORMALIZATION
from netspec_torch.recurrent import RECURRENT


def linear(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    assert isinstance(call.layer, Linear)
    return F.linear(x, weight if call.layer.weight_layout == "out_in" else weight.t(), bias)


def conv(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    attributes = next(vars(node.op) for node in call.body if isinstance(node.op, Convolution))
    return convolution(x, weight, bias, **attributes)


def conv_transpose(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    attributes = next(vars(node.op) for node in call.body if isinstance(node.op, TransposedConvolution))
    return transposed_convolution(x, weight, bias, **attributes)


def max_pool(call: Call, x: Tensor) -> Any:
    """The body pads first, as no primitive has `ceil_mode`."""
    layer = call.layer
    assert isinstance(layer, MaxPooling)
    if not layer.ceil_mode:
        return NotImplemented
    kernel, stride, padding = layer.window()
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[layer.spatial - 1]
    return pool(x, kernel, stride, [side for side, _ in padding], ceil_mode=True)


def avg_pool(call: Call, x: Tensor) -> Any:
    """As max_pool, but that F.avg_pool3d refuses a kernel above the size of x."""
    layer = call.layer
    assert isinstance(layer, AvgPooling)
    if not layer.ceil_mode:
        return NotImplemented
    kernel, stride, padding = layer.window()
    room = zip(call.inputs[0].shape[2:], kernel, strict=True)
    if layer.spatial == 3 and not all(isinstance(size, int) and size >= k for size, k in room):
        return NotImplemented
    pool = AVERAGE_POOLS[layer.spatial]
    return pool(x, kernel, stride, [side for side, _ in padding], True, layer.count_include_pad)


def embedding(call: Call, x: Tensor, weight: Tensor) -> Tensor:
    assert isinstance(call.layer, Embedding)
    return F.embedding(x, weight, call.layer.padding_idx)


FUSED: Fused = {
    **ARITHMETIC_FUSED,
    Linear: linear,
    Embedding: embedding,
    **dict.fromkeys((Conv1d, Conv2d, Conv3d), conv),
    **dict.fromkeys((ConvTranspose1d, ConvTranspose2d, ConvTranspose3d), conv_transpose),
    **dict.fromkeys((MaxPool1d, MaxPool2d, MaxPool3d), max_pool),
    **dict.fromkeys((AvgPool1d, AvgPool2d, AvgPool3d), avg_pool),
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
