"""Activations and norms for test_onnx: the shape, the layers, and the ONNX operators that they are to become."""

from __future__ import annotations

import netspec.layers as L
from netspec.graph.dims import Size
from netspec.layers.base import Layer
from tests.backends.graphs import BATCH, HEIGHT, IMAGE, TIME

ROW = (BATCH, 6)
GROUPED = (BATCH, 4, HEIGHT, 3)

NORM_CASES: dict[str, tuple[tuple[Size, ...], tuple[Layer, ...], str]] = {
    "relu6, hardtanh": (ROW, (L.Relu6(), L.HardTanh(min_val=0.5, max_val=2)), "Clip Clip"),
    "elu, celu, selu": (ROW, (L.Elu(alpha=0.3), L.Celu(alpha=2.5), L.Selu()), "Elu Celu Selu"),
    "gelu_tanh, mish": (ROW, (L.GeluTanh(), L.Mish()), "Gelu Mish"),
    "softplus, softsign": (ROW, (L.Softplus(), L.Softsign()), "Softplus Softsign"),
    "softplus with beta": (
        ROW,
        (L.Softplus(beta=0.4),),
        "Mul Greater Mul Where Where Exp Add Div Atanh Add Log Less Add Where Add Mul",
    ),
    "hardsigmoid, hardswish": (ROW, (L.HardSigmoid(), L.HardSwish()), "HardSigmoid HardSwish"),
    "prelu": (IMAGE, (L.PRelu(),), "PRelu"),
    "prelu of channels": (IMAGE, (L.PRelu(shape="channel"),), "Reshape PRelu"),
    "prelu of columns": (ROW, (L.PRelu(shape="channel"),), "PRelu"),
    "log_softmax": ((BATCH, TIME, 6), (L.LogSoftmax(dim=1),), "LogSoftmax"),
    "glu": ((BATCH, TIME, 6), (L.Glu(),), "Shape Concat Reshape Gather Gather Sigmoid Mul"),
    "group norm": (
        GROUPED,
        (L.GroupNorm(num_groups=2, eps=0.1),),
        "Reshape InstanceNormalization Shape Reshape Reshape Reshape Mul Add",
    ),
    "group norm, not affine": (
        (BATCH, 6, TIME),
        (L.GroupNorm(num_groups=3, affine=False),),
        "Reshape InstanceNormalization Shape Reshape",
    ),
    "instance norm": (GROUPED, (L.InstanceNorm(eps=0.1),), "InstanceNormalization"),
    "instance norm, affine": (GROUPED, (L.InstanceNorm(affine=True),), "InstanceNormalization"),
    "local response norm": (GROUPED, (L.LocalResponseNorm(size=3, alpha=0.7, beta=0.6, k=1.5),), "LRN"),
    "dropouts": (GROUPED, (L.Dropout2d(), L.AlphaDropout(), L.StochasticDepth(p=0.2), L.Relu()), "Relu"),
}
