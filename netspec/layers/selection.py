"""Layers that hand on one of their inputs."""

from __future__ import annotations

from typing import Literal

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.graph import Value
from netspec.layers.base import Layer


class ByMode(Layer):
    """`training` in training, `inference` in inference: two values of one type. What the other needs is not run."""

    type: Literal["by_mode"] = "by_mode"

    def expand(self, b: Builder, training: Value, inference: Value) -> Value:
        if training.type != inference.type:
            raise ShapeError(f"both inputs must have one type, got {training.type} and {inference.type}")
        return training if b.training else inference
