"""Layers that draw random numbers: random_normal, random_uniform."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from netspec.graph.builder import Builder
from netspec.graph.graph import Value
from netspec.layers.base import Layer
from netspec.layers.fields import PositiveFloat, Real


class RandomNormal(Layer):
    """Normal noise, `mean + std * N(0, 1)`, of the shape and type of x, a float; no gradient flows to x (torch.normal).

    It is drawn in every call anew, in training and in inference, by the framework's own generator: torch.manual_seed,
    tf.random.set_seed, the key of JAX's apply, and in an ONNX file the runtime's own (RandomNormalLike without a seed).
    `by_mode` keeps it out of inference. Under `netspec verify` the numbers come from the core, the same for all.
    """

    type: Literal["random_normal"] = "random_normal"
    mean: Real = 0.0
    std: PositiveFloat = 1.0

    def expand(self, b: Builder, x: Value) -> Value:
        noise = b.normal(x)
        noise = noise if self.std == 1 else noise * float(self.std)
        return noise if self.mean == 0 else noise + float(self.mean)


class RandomUniform(Layer):
    """Noise uniform in `[low, high)`, of the shape and type of x, a float; no gradient flows to x (torch.rand).

    Drawn as `random_normal` is. In float16 and bfloat16 rounding may give `high` itself.
    """

    type: Literal["random_uniform"] = "random_uniform"
    low: Real = 0.0
    high: Real = 1.0

    @model_validator(mode="after")
    def _interval(self) -> RandomUniform:
        if not self.low < self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        return self

    def expand(self, b: Builder, x: Value) -> Value:
        noise = b.uniform(x)
        width = float(self.high) - float(self.low)
        noise = noise if width == 1 else noise * width
        return noise if self.low == 0 else noise + float(self.low)
