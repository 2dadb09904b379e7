"""Mistakes in what a model hands over, whatever the framework: keys, shapes, types, numbers that are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from netspec.model import Evaluation


def _changed(kind: str, name: str, change: Callable[[Any], Any]) -> Callable[[Evaluation], Evaluation]:
    """Change one tensor of `outputs`, `gradients` or `updates`, where there is one of that name."""

    def alter(evaluation: Evaluation) -> Evaluation:
        tensors = getattr(evaluation, kind)
        if name not in tensors:
            return evaluation
        return replace(evaluation, **{kind: {**tensors, name: change(tensors[name])}})

    return alter


def _missing(kind: str, name: str) -> Callable[[Evaluation], Evaluation]:
    def alter(evaluation: Evaluation) -> Evaluation:
        kept = {key: array for key, array in getattr(evaluation, kind).items() if key != name}
        return replace(evaluation, **{kind: kept})

    return alter


def _frozen_gradient(evaluation: Evaluation) -> Evaluation:
    return replace(evaluation, gradients={**evaluation.gradients, "valid.weight": np.ones((4, 4, 3, 3))})


def _first_is_nan(array: Any) -> Any:
    wrong = np.array(array)
    wrong.flat[0] = np.nan
    return wrong


RESULTS: dict[str, Callable[[Evaluation], Evaluation]] = {
    "missing_gradient": _missing("gradients", "grouped.weight"),
    "missing_input_gradient": _missing("gradients", "input:row"),
    "frozen_gradient": _frozen_gradient,
    "gradient_transposed": _changed("gradients", "square.weight", np.transpose),
    "gradient_shape": _changed("gradients", "wide.bias", np.atleast_2d),
    "gradient_nan": _changed("gradients", "norm.weight", _first_is_nan),
    "gradient_sign": _changed("gradients", "feature.bias", np.negative),
    "missing_buffer": _missing("updates", "moving.running_var"),
    "buffer_nan": _changed("updates", "moving.running_mean", _first_is_nan),
}
