"""Mistakes in ONNX's forms of whole layers, and in its operators' attributes."""

from __future__ import annotations

from typing import Any

from netspec.graph import ops
from netspec.layers import activation
from netspec.layers.interpolation import Interpolate
from netspec.layers.normalization import GroupNorm, InstanceNorm, LocalResponseNorm
from netspec.layers.padding import Pad
from netspec_onnx.fused import FUSED

from .configured import with_fields
from .tables import Tables, fused


def cumsum_exclusive(tape: Any, x: Any, *, axis: int) -> Any:
    return tape.op("CumSum", x, tape.constant(axis, "int64"), exclusive=1, reverse=0)


FORM_MISTAKES: dict[str, Tables] = {
    "elu_alpha": with_fields(FUSED, activation.Elu, alpha=1.0),
    "celu_alpha": with_fields(FUSED, activation.Celu, alpha=1.0),
    "hardsigmoid_slope": fused(
        activation.HardSigmoid, lambda tape, call, x: tape.op("HardSigmoid", x, alpha=0.2, beta=0.5)
    ),
    "log_softmax_axis": with_fields(FUSED, activation.LogSoftmax, dim=-1),
    "group_norm_eps": with_fields(FUSED, GroupNorm, eps=1e-2),
    "instance_norm_eps": with_fields(FUSED, InstanceNorm, eps=1e-2),
    "response_alpha": with_fields(FUSED, LocalResponseNorm, lambda call: {"alpha": call.layer.alpha * call.layer.size}),
    "pad_edge": with_fields(FUSED, Pad, lambda call: {"mode": "edge"} if call.layer.mode == "reflect" else {}),
    "interpolate_coords": with_fields(FUSED, Interpolate, coords="asymmetric"),
    "cumsum_exclusive": Tables({ops.Cumsum: cumsum_exclusive}),
}
