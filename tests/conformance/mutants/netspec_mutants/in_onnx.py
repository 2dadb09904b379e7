"""Mistakes in ONNX's tables."""

from __future__ import annotations

from typing import Any

from netspec.graph import ops
from netspec.layers.activation import Gelu, LeakyRelu, Softmax
from netspec.layers.convolution import Conv1d, Conv2d, Conv3d
from netspec.layers.linear import Embedding, Linear
from netspec.layers.normalization import BatchNorm, LayerNorm
from netspec.layers.tensor import Flatten
from netspec_onnx.fused import FUSED
from netspec_onnx.lowerings import LOWERINGS

from .configured import with_fields
from .onnx_forms import FORM_MISTAKES
from .shared import shared_mistakes
from .tables import Tables, fused


def flatten_channels_last(tape: Any, call: Any, x: Any) -> Any:
    return tape.op("Flatten", tape.op("Transpose", x, perm=(0, 2, 3, 1)), axis=1)


def linear_transposed(tape: Any, call: Any, x: Any, weight: Any, bias: Any = None) -> Any:
    square = call.inputs[0].shape[-1] == call.layer.out_features
    inputs = (x, weight) if bias is None else (x, weight, bias)
    return tape.op("Gemm", *inputs, alpha=1.0, beta=1.0, transA=0, transB=0 if square else 1)


def conv_without_bias(tape: Any, call: Any, x: Any, weight: Any, bias: Any = None) -> Any:
    return FUSED[Conv2d](tape, call, x, weight, None if call.layer.groups > 1 else bias)


def embedding_shifted(tape: Any, call: Any, x: Any, weight: Any) -> Any:
    before = tape.op("Max", tape.op("Sub", x, tape.constant(1, "int64")), tape.constant(0, "int64"))
    return tape.op("Gather", weight, before, axis=0)


def softmax_naive(tape: Any, call: Any, x: Any) -> Any:
    e = tape.op("Exp", x)
    total = tape.op("ReduceSum", e, tape.integers([call.layer.dim]), keepdims=1, noop_with_empty_axes=1)
    return tape.op("Div", e, total)


MISTAKES: dict[str, Tables] = (
    shared_mistakes(LOWERINGS)
    | FORM_MISTAKES
    | {
        "gelu_tanh": fused(Gelu, lambda tape, call, x: tape.op("Gelu", x, approximate="tanh")),
        "leaky_slope": with_fields(FUSED, LeakyRelu, negative_slope=0.2),
        "softmax_axis": with_fields(FUSED, Softmax, dim=-1),
        "softmax_naive": fused(Softmax, softmax_naive),
        "flatten_channels_last": fused(Flatten, flatten_channels_last),
        "linear_transposed": fused(Linear, linear_transposed),
        "conv_without_bias": Tables(fused=dict.fromkeys((Conv1d, Conv2d, Conv3d), conv_without_bias)),
        "layer_norm_eps": with_fields(FUSED, LayerNorm, eps=1e-3),
        "batch_norm_eps": with_fields(FUSED, BatchNorm, eps=1e-3),
        "embedding_shifted": fused(Embedding, embedding_shifted),
        "concat_reversed": Tables({ops.Concat: lambda tape, *xs, axis: tape.op("Concat", *xs[::-1], axis=axis)}),
    }
)
