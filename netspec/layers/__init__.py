"""All layer types of the language: the closed union `LAYERS`, one class each."""

from netspec.layers.activation import Gelu, LeakyRelu, Relu, Sigmoid, Silu, Softmax, Tanh
from netspec.layers.attention import ScaledDotProductAttention
from netspec.layers.axes import Identity, Permute, Squeeze, Stack, Transpose, Unsqueeze
from netspec.layers.base import Layer
from netspec.layers.constants import Arange, Buffer, Constant, Ones, Parameter, Zeros
from netspec.layers.convolution import Conv2d, ConvTranspose2d
from netspec.layers.formula import Formula
from netspec.layers.indexing import Gather, OneHot, Select, Take, TopK
from netspec.layers.interpolation import Interpolate
from netspec.layers.linear import Embedding, Linear
from netspec.layers.normalization import BatchNorm, LayerNorm
from netspec.layers.padding import Pad
from netspec.layers.parts import Chunk, Slice, Split, Unbind
from netspec.layers.pooling import AdaptiveAvgPool2d, AvgPool2d, GlobalAvgPool, MaxPool2d
from netspec.layers.products import Einsum, Matmul
from netspec.layers.rearrange import Rearrange
from netspec.layers.reductions import Mean, Sum
from netspec.layers.regularization import Dropout
from netspec.layers.selection import ByMode
from netspec.layers.tensor import Add, Concat, Expand, Flatten, Mul, Reshape, Unflatten
from netspec.layers.turns import ChannelShuffle, Flip, PixelShuffle, PixelUnshuffle, Roll

LAYERS: tuple[type[Layer], ...] = (
    *(Linear, Embedding, Conv2d, ConvTranspose2d),
    *(MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, GlobalAvgPool),
    *(BatchNorm, LayerNorm, Dropout),
    *(Relu, LeakyRelu, Gelu, Silu, Sigmoid, Tanh, Softmax),
    ScaledDotProductAttention,
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
    "Arange",
    "AvgPool2d",
    "BatchNorm",
    "Buffer",
    "ByMode",
    "ChannelShuffle",
    "Chunk",
    "Concat",
    "Constant",
    "Conv2d",
    "ConvTranspose2d",
    "Dropout",
    "Einsum",
    "Embedding",
    "Expand",
    "Flatten",
    "Flip",
    "Formula",
    "Gather",
    "Gelu",
    "GlobalAvgPool",
    "Identity",
    "Interpolate",
    "Layer",
    "LayerNorm",
    "LeakyRelu",
    "Linear",
    "Matmul",
    "MaxPool2d",
    "Mean",
    "Mul",
    "OneHot",
    "Ones",
    "Pad",
    "Parameter",
    "Permute",
    "PixelShuffle",
    "PixelUnshuffle",
    "Rearrange",
    "Relu",
    "Reshape",
    "Roll",
    "ScaledDotProductAttention",
    "Select",
    "Sigmoid",
    "Silu",
    "Slice",
    "Softmax",
    "Split",
    "Squeeze",
    "Stack",
    "Sum",
    "Take",
    "Tanh",
    "TopK",
    "Transpose",
    "Unbind",
    "Unflatten",
    "Unsqueeze",
    "Zeros",
]
