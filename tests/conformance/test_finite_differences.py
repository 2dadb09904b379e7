"""The reference's gradients of every case, each against a directional finite difference in float64.

Every backend is compared with these gradients, and no derivation of our own is trusted with that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from netspec.compare.case import Case, reference_backend
from netspec.model import Arrays
from netspec.weights.generator import draw_normal
from tests.conformance.table import CASES, ROUNDED, Row, rows

# Long steps cross kinks, short ones leave roundings: one of them must agree, which no wrong gradient does by chance.
STEPS = (1e-5, 1e-6, 1e-7, 1e-8)
LIMIT = 1e-6
PADDING = "the row of padding_idx is read, and never trained"
# Gradients that are not derivatives of the outputs, all of a row or those that are named, each with the reason.
EXCEPTED: dict[str, tuple[set[str] | None, str]] = {
    "custom_gradients": (None, "the blocks say themselves what flows back"),
    **dict.fromkeys(ROUNDED, (None, "at kinks and ties there is no derivative")),
    "arithmetic": ({"input:x", "input:y"}, "stop_gradient and cast hold some of it back"),
    "embedding": ({"padded.weight"}, PADDING),
    "bert_base_uncased": ({"embeddings.word_embeddings.weight"}, PADDING),
}


def smooth_rows() -> list[Any]:
    """The cases; the specs, which are made of the same layers, are `thorough`."""
    found = [row for row in rows() if EXCEPTED.get(row.path.stem, ({}, ""))[0] is not None]
    return [pytest.param(row, id=row.name, marks=[] if row.path in CASES else [pytest.mark.thorough]) for row in found]


@pytest.mark.parametrize("row", smooth_rows())
def test_gradients_are_those_of_finite_differences(row: Row) -> None:
    case = row.case("float64")
    tensors = row.reference("float64").tensors
    gradients = {name: array for (kind, name), array in tensors.items() if kind == "gradient"}
    excepted, _ = EXCEPTED.get(row.path.stem, (set(), ""))
    assert excepted is not None and excepted < gradients.keys()
    largest = max(float(np.abs(array).max()) for array in gradients.values())
    wrong = {}
    for name in gradients.keys() - excepted:
        direction = draw_normal(0, f"direction:{name}", gradients[name].shape).astype("float64")
        expected = float((gradients[name] * direction).sum())
        limit = LIMIT * max(abs(expected), largest)
        found = [difference(case, name, direction, STEPS[0])]
        while abs(found[-1] - expected) > limit and len(found) < len(STEPS):
            found.append(difference(case, name, direction, STEPS[len(found)]))
        if abs(found[-1] - expected) > limit:
            wrong[name] = (found, expected, limit)
    assert not wrong


def difference(case: Case, name: str, direction: NDArray[np.float64], step: float) -> float:
    """How the outputs, each multiplied by its cotangent, change along a direction of one weight or input."""
    ahead, behind = (value(case, name, sign * step * direction) for sign in (1, -1))
    return sum(float(((ahead[key] - behind[key]) * case.cotangents[key]).sum()) for key in case.cotangents) / (2 * step)


def value(case: Case, name: str, change: NDArray[np.float64]) -> Arrays:
    """The outputs with one weight or input (`input:name`) changed."""
    inputs = dict(case.inputs)
    weights = dict(case.weights)
    held, key = (inputs, name.removeprefix("input:")) if name.startswith("input:") else (weights, name)
    held[key] = np.asarray(held[key], "float64") + change
    return reference_backend().compile(case.graphs, weights, "float64").evaluate(inputs, None, case.training).outputs
