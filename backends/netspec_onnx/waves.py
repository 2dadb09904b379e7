"""Sines and cosines of positions, in ONNX."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from netspec_onnx.tape import FLOAT_TYPES, Tape


def sin_cos(tape: Tape, positions: ir.Value, x: ir.Value, *, count: int, base: float) -> tuple[ir.Value, ir.Value]:
    """Angles in float32 at least, so that a float16 model has them right too."""
    wide = FLOAT_TYPES["float64" if tape.dtype == "float64" else "float32"]
    frequencies = np.array([base ** (-k / count) for k in range(count)], wide.numpy())
    numbers = tape.op("Cast", tape.op("Unsqueeze", positions, tape.integers([-1])), to=int(wide), saturate=1)
    angles = tape.op("Mul", numbers, tape.op("Constant", value=ir.tensor(frequencies)))
    waves = (tape.op("Sin", angles), tape.op("Cos", angles))
    if tape.dtype in ("float32", "float64"):
        return waves
    sine, cosine = (tape.op("Cast", wave, to=int(tape.element_type("float")), saturate=1) for wave in waves)
    return sine, cosine
