"""Sines and cosines of positions, in ONNX."""

from __future__ import annotations

import onnx_ir as ir

from netspec_onnx.tape import Tape


def sin_cos(tape: Tape, positions: ir.Value, x: ir.Value, *, count: int, base: float) -> tuple[ir.Value, ir.Value]:
    frequencies = tape.constant([base ** (-k / count) for k in range(count)], "float")
    numbers = tape.op("Unsqueeze", positions, tape.integers([-1]))
    angles = tape.op("Mul", tape.op("Cast", numbers, to=int(tape.element_type("float")), saturate=1), frequencies)
    return tape.op("Sin", angles), tape.op("Cos", angles)
