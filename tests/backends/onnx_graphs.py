"""Inputs for small graphs and their outputs in float64, and what an ONNX file is checked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

import netspec_numpy
import netspec_onnx
from netspec.graph.dims import evaluate
from netspec.graph.graph import GraphPair
from netspec_onnx.model import OnnxModel
from tests.backends.graphs import Arrays, draw_weights

SIZES = ({"batch": 1, "time": 4, "height": 9, "width": 12}, {"batch": 5, "time": 3, "height": 10, "width": 7})


def draw_inputs(pair: GraphPair, sizes: Mapping[str, int]) -> Arrays:
    rng = np.random.default_rng(11)
    drawn: Arrays = {}
    for entry in pair.inference.inputs:
        shape = [evaluate(size, sizes) for size in entry.value.shape]
        if entry.value.type.dtype == "float":
            drawn[entry.name] = rng.normal(0.2, 2, shape).astype(np.float32)
        elif entry.value.type.dtype == "bool":
            drawn[entry.name] = rng.random(shape) < 0.5
        else:
            drawn[entry.name] = rng.integers(0, 5, shape).astype(entry.value.type.dtype)
    return drawn


def reference(pair: GraphPair, weights: Arrays, inputs: Arrays) -> Arrays:
    """The outputs in float64."""
    return netspec_numpy.backend.compile(pair, weights).evaluate(inputs).outputs


def compile_model(pair: GraphPair) -> tuple[OnnxModel, Arrays]:
    weights = draw_weights(pair)
    return netspec_onnx.backend.compile(pair, weights), weights


def check(model: onnx.ModelProto) -> None:
    """The checker in full, and shape inference that refuses what does not fit together."""
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def shape_of(value: Any) -> list[int | str]:
    return [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
