"""Layers that cut, move and interpolate which ONNX has as one operator."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import onnx_ir as ir

from netspec.backend import Fused
from netspec.graph.types import normal_axis
from netspec.layers.interpolation import Interpolate
from netspec.layers.padding import Pad
from netspec.layers.parts import Chunk, Split
from netspec.layers.resampling import AxisPlan
from netspec.layers.turns import PixelShuffle
from netspec_onnx.tape import Tape

Call = Any  # a netspec.graph.graph.Call whose layer is of the class that the form stands for


def _split(tape: Tape, call: Call, x: ir.Value) -> Any:
    axis = normal_axis(call.layer.dim, call.inputs[0].type.rank)
    sizes = [output.shape[axis] for output in call.outputs]
    if not all(isinstance(size, int) for size in sizes):
        return NotImplemented
    return tape.ops("Split", len(sizes), x, tape.integers(sizes), axis=axis)


def _pad(tape: Tape, call: Call, x: ir.Value) -> Any:
    """The modes that take elements of x; ONNX has no symmetric."""
    layer: Pad = call.layer
    if layer.mode not in ("reflect", "edge", "wrap") or call.inputs[0].type.dtype != "float":
        return NotImplemented
    pairs = layer.pairs(call.inputs[0].type.rank)
    axes = [axis for axis, pair in enumerate(pairs) if any(pair)]
    sides = [pairs[axis][side] for side in (0, 1) for axis in axes]
    return tape.op("Pad", x, tape.integers(sides), None, tape.integers(axes), mode=layer.mode)


def _pixel_shuffle(tape: Tape, call: Call, x: ir.Value) -> Any:
    if call.inputs[0].type.rank != 4 or call.inputs[0].type.dtype != "float":  # onnxruntime has no kernel of integers
        return NotImplemented
    return tape.op("DepthToSpace", x, blocksize=call.layer.upscale_factor, mode="CRD")


def _interpolate(tape: Tape, call: Call, x: ir.Value) -> Any:
    """Resize of images, whose positions are float32: where that is exact for nearest."""
    layer: Interpolate = call.layer
    plans = layer.plans(call.inputs[0].shape)
    if call.inputs[0].type.dtype != "float" or len(plans) != 2:
        return NotImplemented
    if any(plan.size == plan.new_size and plan.step != 1 for plan in plans):
        return NotImplemented
    nearest = layer.mode.startswith("nearest")
    if nearest and not all(_power_of_2(plan.step) for plan in plans):
        return NotImplemented
    scales, sizes = None, None
    if all(_by_size(plan) for plan in plans):
        sizes = tape.integers([int(plan.new_size) for plan in plans])  # type: ignore[arg-type]
    elif all(_exact(1 / plan.step) for plan in plans):
        numbers = np.array([float(1 / plan.step) for plan in plans], np.float32)
        scales = tape.op("Constant", value=ir.tensor(numbers))
    else:
        return NotImplemented
    coords = {"nearest": "asymmetric", "nearest_exact": "half_pixel"}.get(layer.mode, layer.coords)
    return tape.op(
        "Resize",
        x,
        None,
        scales,
        sizes,
        antialias=0,
        axes=(2, 3),
        coordinate_transformation_mode=coords,
        cubic_coeff_a=layer.a,
        exclude_outside=0,
        extrapolation_value=0.0,
        keep_aspect_ratio_policy="stretch",
        mode="nearest" if nearest else layer.mode,
        nearest_mode="floor" if layer.mode == "nearest" else "round_prefer_ceil",
    )


def _by_size(plan: AxisPlan) -> bool:
    """Whether the sizes are known, and say alone how far apart the outputs are."""
    size, new_size, step = plan
    return isinstance(size, int) and isinstance(new_size, int) and Fraction(size, new_size) == step


def _power_of_2(number: Fraction) -> bool:
    return number.numerator.bit_count() == 1 and number.denominator.bit_count() == 1


def _exact(number: Fraction) -> bool:
    """Whether float32 holds the number, and its products with sizes."""
    return number.denominator.bit_count() == 1 and number.numerator < 2**8 and number.denominator < 2**8


MOVEMENT: Fused = {
    Split: _split,
    Chunk: _split,
    Pad: _pad,
    PixelShuffle: _pixel_shuffle,
    Interpolate: _interpolate,
}
