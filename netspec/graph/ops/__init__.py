"""All primitive operations. A backend's table has an entry for each class of `PRIMITIVES`, or a named gap."""

from netspec.graph.ops.base import Op
from netspec.graph.ops.elementwise import (
    Add,
    Bernoulli,
    Constant,
    Div,
    Equal,
    Erf,
    Exp,
    Greater,
    Mul,
    Relu,
    Rsqrt,
    Sigmoid,
    StopGradient,
    Sub,
    Tanh,
    Where,
)
from netspec.graph.ops.pooling import AveragePool, MaxPool
from netspec.graph.ops.products import Convolution, Matmul
from netspec.graph.ops.reductions import ElementCount, Max, Mean, Sum
from netspec.graph.ops.shaping import Concat, Gather, Permute, Reshape

PRIMITIVES: tuple[type[Op], ...] = (
    *(Constant, Exp, Rsqrt, Tanh, Sigmoid, Erf, Relu, StopGradient),
    *(Add, Sub, Mul, Div, Greater, Equal, Where, Bernoulli),
    *(Matmul, Convolution, MaxPool, AveragePool),
    *(Sum, Mean, Max, ElementCount),
    *(Reshape, Permute, Concat, Gather),
)

__all__ = [
    "PRIMITIVES",
    "Add",
    "AveragePool",
    "Bernoulli",
    "Concat",
    "Constant",
    "Convolution",
    "Div",
    "ElementCount",
    "Equal",
    "Erf",
    "Exp",
    "Gather",
    "Greater",
    "Matmul",
    "Max",
    "MaxPool",
    "Mean",
    "Mul",
    "Op",
    "Permute",
    "Relu",
    "Reshape",
    "Rsqrt",
    "Sigmoid",
    "StopGradient",
    "Sub",
    "Sum",
    "Tanh",
    "Where",
]
