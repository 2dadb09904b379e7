"""All layer types of the language: the closed union `LAYERS`, one class each."""

from netspec.layers.activation import Gelu, LeakyRelu, Relu, Sigmoid, Silu, Softmax, Tanh
from netspec.layers.attention import ScaledDotProductAttention
from netspec.layers.base import Layer
from netspec.layers.convolution import Conv2d, ConvTranspose2d
from netspec.layers.formula import Formula
from netspec.layers.linear import Embedding, Linear
from netspec.layers.normalization import BatchNorm, LayerNorm
from netspec.layers.pooling import AdaptiveAvgPool2d, AvgPool2d, GlobalAvgPool, MaxPool2d
from netspec.layers.regularization import Dropout
from netspec.layers.selection import ByMode
from netspec.layers.tensor import Add, Concat, Flatten, Mul, Reshape

LAYERS: tuple[type[Layer], ...] = (
    *(Linear, Embedding, Conv2d, ConvTranspose2d),
    *(MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, GlobalAvgPool),
    *(BatchNorm, LayerNorm, Dropout),
    *(Relu, LeakyRelu, Gelu, Silu, Sigmoid, Tanh, Softmax),
    ScaledDotProductAttention,
    *(Add, Mul, Concat, Flatten, Reshape),
    *(Formula, ByMode),
)

LAYER_TYPES: dict[str, type[Layer]] = {layer.model_fields["type"].default: layer for layer in LAYERS}

__all__ = [
    "LAYERS",
    "LAYER_TYPES",
    "AdaptiveAvgPool2d",
    "Add",
    "AvgPool2d",
    "BatchNorm",
    "ByMode",
    "Concat",
    "Conv2d",
    "ConvTranspose2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "Formula",
    "Gelu",
    "GlobalAvgPool",
    "Layer",
    "LayerNorm",
    "LeakyRelu",
    "Linear",
    "MaxPool2d",
    "Mul",
    "Relu",
    "Reshape",
    "ScaledDotProductAttention",
    "Sigmoid",
    "Silu",
    "Softmax",
    "Tanh",
]
