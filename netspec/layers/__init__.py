"""All layer types of the language: the closed union `LAYERS`, one class each."""

from netspec.layers.activation import (
    Celu,
    Elu,
    Gelu,
    GeluTanh,
    Glu,
    HardSigmoid,
    HardSwish,
    HardTanh,
    LeakyRelu,
    LogSigmoid,
    LogSoftmax,
    Mish,
    PRelu,
    QuickGelu,
    Relu,
    Relu6,
    Selu,
    Sigmoid,
    Silu,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
    Threshold,
)
from netspec.layers.attention import ScaledDotProductAttention
from netspec.layers.axes import Identity, Permute, Squeeze, Stack, Unsqueeze
from netspec.layers.base import Layer
from netspec.layers.constants import Arange, Buffer, Constant, Ones, Parameter, Zeros
from netspec.layers.convolution import Conv2d, ConvTranspose2d
from netspec.layers.formula import Formula
from netspec.layers.indexing import OneHot, Select, TopK
from netspec.layers.linear import Embedding, Linear
from netspec.layers.multi_head_attention import MultiHeadAttention
from netspec.layers.normalization import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    L2Normalize,
    LayerNorm,
    LocalResponseNorm,
    RMSNorm,
)
from netspec.layers.pooling import AdaptiveAvgPool2d, AvgPool2d, GlobalAvgPool, MaxPool2d
from netspec.layers.positions import LearnedPositions, RotaryEmbedding, SinusoidalPositions
from netspec.layers.products import Einsum, Matmul
from netspec.layers.rearrange import Rearrange
from netspec.layers.reductions import Mean, Sum
from netspec.layers.regularization import AlphaDropout, Dropout, Dropout2d, StochasticDepth
from netspec.layers.selection import ByMode
from netspec.layers.tensor import Add, Concat, Flatten, Mul, Reshape

LAYERS: tuple[type[Layer], ...] = (
    *(Linear, Embedding, Conv2d, ConvTranspose2d),
    *(MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, GlobalAvgPool),
    *(BatchNorm, LayerNorm, RMSNorm, GroupNorm, InstanceNorm, LocalResponseNorm, L2Normalize),
    *(Dropout, Dropout2d, AlphaDropout, StochasticDepth),
    *(Relu, Relu6, LeakyRelu, PRelu, Elu, Selu, Celu),
    *(Gelu, GeluTanh, QuickGelu, Silu, Mish, Softplus, Softsign),
    *(Sigmoid, LogSigmoid, HardSigmoid, HardSwish, HardTanh, Tanh, Threshold),
    *(Softmax, LogSoftmax, Glu),
    *(ScaledDotProductAttention, MultiHeadAttention),
    *(SinusoidalPositions, LearnedPositions, RotaryEmbedding),
    *(Add, Mul, Concat, Flatten, Reshape),
    *(Matmul, Einsum, Sum, Mean),
    *(Identity, Permute, Rearrange, Unsqueeze, Squeeze, Stack),
    *(Select, OneHot, TopK),
    *(Parameter, Buffer, Constant, Arange, Zeros, Ones),
    *(Formula, ByMode),
)

LAYER_TYPES: dict[str, type[Layer]] = {layer.model_fields["type"].default: layer for layer in LAYERS}

__all__ = [
    "LAYERS",
    "LAYER_TYPES",
    "AdaptiveAvgPool2d",
    "Add",
    "AlphaDropout",
    "Arange",
    "AvgPool2d",
    "BatchNorm",
    "Buffer",
    "ByMode",
    "Celu",
    "Concat",
    "Constant",
    "Conv2d",
    "ConvTranspose2d",
    "Dropout",
    "Dropout2d",
    "Einsum",
    "Elu",
    "Embedding",
    "Flatten",
    "Formula",
    "Gelu",
    "GeluTanh",
    "GlobalAvgPool",
    "Glu",
    "GroupNorm",
    "HardSigmoid",
    "HardSwish",
    "HardTanh",
    "Identity",
    "InstanceNorm",
    "L2Normalize",
    "Layer",
    "LayerNorm",
    "LeakyRelu",
    "LearnedPositions",
    "Linear",
    "LocalResponseNorm",
    "LogSigmoid",
    "LogSoftmax",
    "Matmul",
    "MaxPool2d",
    "Mean",
    "Mish",
    "Mul",
    "MultiHeadAttention",
    "OneHot",
    "Ones",
    "PRelu",
    "Parameter",
    "Permute",
    "QuickGelu",
    "RMSNorm",
    "Rearrange",
    "Relu",
    "Relu6",
    "Reshape",
    "RotaryEmbedding",
    "ScaledDotProductAttention",
    "Select",
    "Selu",
    "Sigmoid",
    "Silu",
    "SinusoidalPositions",
    "Softmax",
    "Softplus",
    "Softsign",
    "Squeeze",
    "Stack",
    "StochasticDepth",
    "Sum",
    "Tanh",
    "Threshold",
    "TopK",
    "Unsqueeze",
    "Zeros",
]
