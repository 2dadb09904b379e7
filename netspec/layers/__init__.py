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
from netspec.layers.axes import Identity, Permute, Squeeze, Stack, Transpose, Unsqueeze
from netspec.layers.base import Layer
from netspec.layers.constants import Arange, Buffer, Constant, Ones, Parameter, Zeros
from netspec.layers.convolution import Conv2d, ConvTranspose2d
from netspec.layers.formula import Formula
from netspec.layers.indexing import Gather, OneHot, Select, Take, TopK
from netspec.layers.interpolation import Interpolate
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
from netspec.layers.normalization import BatchNorm, LayerNorm
from netspec.layers.padding import Pad
from netspec.layers.parts import Chunk, Slice, Split, Unbind
from netspec.layers.pooling import AdaptiveAvgPool2d, AvgPool2d, GlobalAvgPool, MaxPool2d
from netspec.layers.positions import LearnedPositions, RotaryEmbedding, SinusoidalPositions
from netspec.layers.products import Einsum, Matmul
from netspec.layers.rearrange import Rearrange
from netspec.layers.reductions import Mean, Sum
from netspec.layers.regularization import AlphaDropout, Dropout, Dropout2d, StochasticDepth
from netspec.layers.selection import ByMode
from netspec.layers.tensor import Add, Concat, Expand, Flatten, Mul, Reshape, Unflatten
from netspec.layers.turns import ChannelShuffle, Flip, PixelShuffle, PixelUnshuffle, Roll

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
    *(Identity, Permute, Transpose, Rearrange, Unsqueeze, Squeeze, Stack),
    *(Unflatten, Expand, Slice, Split, Chunk, Unbind, Pad, Flip, Roll),
    *(PixelShuffle, PixelUnshuffle, ChannelShuffle, Interpolate),
    *(Select, Gather, Take, OneHot, TopK),
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
    "ChannelShuffle",
    "Chunk",
    "Concat",
    "Constant",
    "Conv2d",
    "ConvTranspose2d",
    "Dropout",
    "Dropout2d",
    "Einsum",
    "Elu",
    "Embedding",
    "Expand",
    "Flatten",
    "Flip",
    "Formula",
    "Gather",
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
    "Interpolate",
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
    "Pad",
    "PixelShuffle",
    "PixelUnshuffle",
    "Rearrange",
    "Relu",
    "Relu6",
    "Reshape",
    "RotaryEmbedding",
    "Roll",
    "ScaledDotProductAttention",
    "Select",
    "Selu",
    "Sigmoid",
    "Silu",
    "SinusoidalPositions",
    "Softmax",
    "Softplus",
    "Softsign",
    "Slice",
    "Split",
    "Squeeze",
    "Stack",
    "StochasticDepth",
    "Sum",
    "Take",
    "Tanh",
    "Threshold",
    "TopK",
    "Transpose",
    "Unbind",
    "Unflatten",
    "Unsqueeze",
    "Zeros",
]
