"""All layer types of the language: the closed union `LAYERS`, one class each."""

from netspec.layers.activation import Gelu, LeakyRelu, Relu, Sigmoid, Silu, Softmax, Tanh
from netspec.layers.arithmetic import Abs, Cos, Div, Exp, Log, Maximum, Minimum, Neg, Pow, Sin, Sqrt, Sub
from netspec.layers.attention import ScaledDotProductAttention
from netspec.layers.axes import Identity, Permute, Squeeze, Stack, Unsqueeze
from netspec.layers.base import Layer
from netspec.layers.comparison import Cast, Compare, StopGradient, Where
from netspec.layers.constants import Arange, Buffer, Constant, Ones, Parameter, Zeros
from netspec.layers.convolution import Conv2d, ConvTranspose2d
from netspec.layers.formula import Formula
from netspec.layers.indexing import OneHot, Select, TopK
from netspec.layers.linear import Embedding, Linear
from netspec.layers.normalization import BatchNorm, LayerNorm
from netspec.layers.pooling import AdaptiveAvgPool2d, AvgPool2d, GlobalAvgPool, MaxPool2d
from netspec.layers.products import Einsum, Matmul
from netspec.layers.random import RandomNormal, RandomUniform
from netspec.layers.rearrange import Rearrange
from netspec.layers.reductions import ArgMax, Cumsum, LogSumExp, Max, Mean, Min, Norm, Prod, Sum, Var
from netspec.layers.regularization import Dropout
from netspec.layers.selection import ByMode
from netspec.layers.tensor import Add, Concat, Flatten, Mul, Reshape

LAYERS: tuple[type[Layer], ...] = (
    *(Linear, Embedding, Conv2d, ConvTranspose2d),
    *(MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, GlobalAvgPool),
    *(BatchNorm, LayerNorm, Dropout),
    *(Relu, LeakyRelu, Gelu, Silu, Sigmoid, Tanh, Softmax),
    ScaledDotProductAttention,
    *(Add, Sub, Mul, Div, Neg, Abs, Exp, Log, Sqrt, Sin, Cos, Pow, Maximum, Minimum),
    *(Compare, Where, Cast, StopGradient),
    *(Concat, Flatten, Reshape),
    *(Matmul, Einsum),
    *(Sum, Mean, Prod, Max, Min, ArgMax, Cumsum, LogSumExp, Norm, Var),
    *(Identity, Permute, Rearrange, Unsqueeze, Squeeze, Stack),
    *(Select, OneHot, TopK),
    *(Parameter, Buffer, Constant, Arange, Zeros, Ones),
    *(RandomNormal, RandomUniform),
    *(Formula, ByMode),
)

LAYER_TYPES: dict[str, type[Layer]] = {layer.model_fields["type"].default: layer for layer in LAYERS}

__all__ = [
    "LAYERS",
    "LAYER_TYPES",
    "Abs",
    "AdaptiveAvgPool2d",
    "Add",
    "Arange",
    "ArgMax",
    "AvgPool2d",
    "BatchNorm",
    "Buffer",
    "ByMode",
    "Cast",
    "Compare",
    "Concat",
    "Constant",
    "Conv2d",
    "ConvTranspose2d",
    "Cos",
    "Cumsum",
    "Div",
    "Dropout",
    "Einsum",
    "Embedding",
    "Exp",
    "Flatten",
    "Formula",
    "Gelu",
    "GlobalAvgPool",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyRelu",
    "Linear",
    "Log",
    "LogSumExp",
    "Matmul",
    "Max",
    "MaxPool2d",
    "Maximum",
    "Mean",
    "Min",
    "Minimum",
    "Mul",
    "Neg",
    "Norm",
    "OneHot",
    "Ones",
    "Parameter",
    "Permute",
    "Pow",
    "Prod",
    "RandomNormal",
    "RandomUniform",
    "Rearrange",
    "Relu",
    "Reshape",
    "ScaledDotProductAttention",
    "Select",
    "Sigmoid",
    "Silu",
    "Sin",
    "Softmax",
    "Sqrt",
    "Squeeze",
    "Stack",
    "StopGradient",
    "Sub",
    "Sum",
    "Tanh",
    "TopK",
    "Unsqueeze",
    "Var",
    "Where",
    "Zeros",
]
