"""The float types and optimisers that a count of memory knows, and what each costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

FloatType = Literal["float64", "float32", "bfloat16", "float16"]
FLOAT_BYTES: Mapping[FloatType, int] = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}

Optimizer = Literal["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "lion", "adadelta", "adam", "adamw", "amsgrad"]
# How many tensors of its size each trainable parameter has beside its gradient: momenta, means of squares.
OPTIMIZER_STATE: Mapping[Optimizer, int] = {
    "sgd": 0,
    "momentum": 1,
    "nesterov": 1,
    "adagrad": 1,
    "rmsprop": 1,
    "lion": 1,
    "adadelta": 2,
    "adam": 2,
    "adamw": 2,
    "amsgrad": 3,
}
