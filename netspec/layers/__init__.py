"""All layer types of the language: the closed union `LAYERS`, one class each."""

from netspec.layers.activation import Gelu, LeakyRelu, Relu, Sigmoid, Silu, Softmax, Tanh
from netspec.layers.attention import ScaledDotProductAttention
from netspec.layers.axes import Identity, Permute, Squeeze, Stack, Unsqueeze
from netspec.layers.base import Layer
from netspec.layers.constants import Arange, Buffer, Constant, Ones, Parameter, Zeros
from netspec.layers.convolution import Conv2d, ConvTranspose2d
from netspec.layers.formula import Formula
from netspec.layers.indexing import OneHot, Select, TopK
from netspec.layers.linear import Embedding, Linear
from netspec.layers.normalization import BatchNorm, LayerNorm
from netspec.layers.pooling import AdaptiveAvgPool2d, AvgPool2d, GlobalAvgPool, MaxPool2d
from netspec.layers.products import Einsum, Matmul
from netspec.layers.rearrange import Rearrange
from netspec.layers.recurrent import Gru, GruCell, Lstm, LstmCell, Rnn, RnnCell
from netspec.layers.reductions import Mean, Sum
from netspec.layers.regularization import Dropout
from netspec.layers.selection import ByMode
from netspec.layers.tensor import Add, Concat, Flatten, Mul, Reshape

LAYERS: tuple[type[Layer], ...] = (
    *(Linear, Embedding, Conv2d, ConvTranspose2d),
    *(MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, GlobalAvgPool),
    *(BatchNorm, LayerNorm, Dropout),
    *(Relu, LeakyRelu, Gelu, Silu, Sigmoid, Tanh, Softmax),
    *(RnnCell, LstmCell, GruCell, Rnn, Lstm, Gru),
    ScaledDotProductAttention,
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
    "Arange",
    "AvgPool2d",
    "BatchNorm",
    "Buffer",
    "ByMode",
    "Concat",
    "Constant",
    "Conv2d",
    "ConvTranspose2d",
    "Dropout",
    "Einsum",
    "Embedding",
    "Flatten",
    "Formula",
    "Gelu",
    "GlobalAvgPool",
    "Gru",
    "GruCell",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyRelu",
    "Linear",
    "Lstm",
    "LstmCell",
    "Matmul",
    "MaxPool2d",
    "Mean",
    "Mul",
    "OneHot",
    "Ones",
    "Parameter",
    "Permute",
    "Rearrange",
    "Relu",
    "Reshape",
    "Rnn",
    "RnnCell",
    "ScaledDotProductAttention",
    "Select",
    "Sigmoid",
    "Silu",
    "Softmax",
    "Squeeze",
    "Stack",
    "Sum",
    "Tanh",
    "TopK",
    "Unsqueeze",
    "Zeros",
]
