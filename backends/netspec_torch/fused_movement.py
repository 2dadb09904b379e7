"""Layers that cut, move and interpolate which torch has whole."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from netspec.backend import Fused
from netspec.graph.graph import Call
from netspec.graph.types import normal_axis
from netspec.layers.interpolation import Interpolate
from netspec.layers.padding import Pad
from netspec.layers.parts import Chunk, Split, Unbind
from netspec.layers.resampling import AxisPlan, Rule
from netspec.layers.turns import ChannelShuffle, PixelShuffle, PixelUnshuffle, Roll

_PAD_MODES = {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}
_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def split(call: Call, x: Tensor) -> Any:
    """Views of x at once, where all sizes are known; a list, since a proxy cannot be unpacked."""
    assert isinstance(call.layer, Split | Chunk)
    axis = normal_axis(call.layer.dim, call.inputs[0].type.rank)
    sizes = [output.shape[axis] for output in call.outputs]
    if not all(isinstance(size, int) for size in sizes):
        return NotImplemented
    parts = torch.split(x, sizes, axis)
    return [parts[number] for number in range(len(sizes))]


def unbind(call: Call, x: Tensor) -> Any:
    assert isinstance(call.layer, Unbind)
    parts = torch.unbind(x, call.layer.dim)
    return parts[0] if len(call.outputs) == 1 else [parts[number] for number in range(len(call.outputs))]


def pad(call: Call, x: Tensor) -> Any:
    """torch's kernels are for as many last dimensions as there are behind batch and channels, of floats."""
    assert isinstance(call.layer, Pad)
    count = len(call.layer.pad) // 2
    if call.layer.mode not in _PAD_MODES or count > 3 or call.inputs[0].type.rank != count + 2:
        return NotImplemented
    if call.inputs[0].type.dtype != "float":
        return NotImplemented
    return F.pad(x, call.layer.pad, _PAD_MODES[call.layer.mode])


def roll(call: Call, x: Tensor) -> Tensor:
    assert isinstance(call.layer, Roll)
    return torch.roll(x, call.layer.shifts, call.layer.dims)  # type: ignore[arg-type]


def interpolate(call: Call, x: Tensor) -> Any:
    """F.interpolate where it has the mode and the coordinates, and finds the same sizes and elements."""
    layer, (given,) = call.layer, call.inputs
    assert isinstance(layer, Interpolate)
    plans = layer.plans(given.shape)
    if layer.coords == "asymmetric" or given.type.dtype != "float":
        return NotImplemented
    if layer.mode == "cubic" and (len(plans) != 2 or layer.a != -0.75):
        return NotImplemented
    if not all(_same(plan, layer) for plan in plans):
        return NotImplemented
    mode = {"linear": _LINEAR[len(plans)], "cubic": "bicubic", "nearest_exact": "nearest-exact"}.get(
        layer.mode, "nearest"
    )
    corners = layer.coords == "align_corners" if layer.mode in ("linear", "cubic") else None
    if all(_by_size(plan) for plan in plans):
        sizes = [_new_size(x, axis, plan) for axis, plan in enumerate(plans, 2)]
        return F.interpolate(x, sizes, mode=mode, align_corners=corners)
    if not all(isinstance(plan.size, int) for plan in plans):
        return NotImplemented
    return F.interpolate(x, scale_factor=_scales(layer, len(plans)), mode=mode, align_corners=corners)


def _by_size(plan: AxisPlan) -> bool:
    """Whether the sizes alone say how far apart the outputs are."""
    if isinstance(plan.size, int):
        return Fraction(plan.size, int(plan.new_size)) == plan.step  # type: ignore[arg-type]
    return plan.step.numerator == 1


def _new_size(x: Tensor, axis: int, plan: AxisPlan) -> Any:
    return plan.new_size if isinstance(plan.new_size, int) else x.size(axis) * plan.step.denominator


def _scales(layer: Interpolate, count: int) -> list[float]:
    given = layer.scale_factor
    assert given is not None
    return [float(scale) for scale in (given if isinstance(given, tuple) else (given,) * count)]


def _same(plan: AxisPlan, layer: Interpolate) -> bool:
    """Whether torch, which computes with floats, finds the sizes and the elements of this axis that the layer means."""
    size, new_size, step = plan
    if not isinstance(size, int):
        # A power of 2 is exact.
        return not layer.mode.startswith("nearest") or (step.numerator == 1 and step.denominator.bit_count() == 1)
    assert isinstance(new_size, int)
    if not _by_size(plan) and (floor(size * float(1 / step)) != new_size or size == new_size):
        return False
    if not layer.mode.startswith("nearest"):
        return True
    row = torch.arange(size, dtype=torch.float64).reshape(1, 1, size)
    mode = layer.mode.replace("_", "-")
    if _by_size(plan):
        found = F.interpolate(row, new_size, mode=mode)
    else:
        found = F.interpolate(row, scale_factor=float(1 / step), mode=mode)
    rule = Rule(layer.mode, layer.coords, layer.a)
    meant = [min(rule.taps(position, step)[0][0], size - 1) for position in range(new_size)]
    return found.flatten().tolist() == meant


MOVEMENT: Fused = {
    Split: split,
    Chunk: split,
    Unbind: unbind,
    Pad: pad,
    Roll: roll,
    PixelShuffle: lambda call, x: F.pixel_shuffle(x, call.layer.upscale_factor),
    PixelUnshuffle: lambda call, x: F.pixel_unshuffle(x, call.layer.downscale_factor),
    ChannelShuffle: lambda call, x: F.channel_shuffle(x, call.layer.groups),
    Interpolate: interpolate,
}
