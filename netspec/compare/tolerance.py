"""When two tensors agree: norm-wise, against a float64 reference, by a limit that the model itself sets in float32.

float64: `max|a - b| <= 1e-10 * scale`, scale = max|reference|, for a gradient at least 1e-3 of the largest gradient
of the model: one that is zero in exact arithmetic (a bias before batch_norm) is rounding noise. Outputs, buffers and
whole sets of gradients can be so too: the mean of a layer_norm over its own axes is 0, and two right programs give
1e-17 and -3e-17. So where the plain limit is missed, the scale is at least 1e-3 of the numbers that cancel: of s / u, s
the norm-wise change of the float64 tensor under relative noise u on all that is computed, as float32 has it. That is
above max|reference| only where the tensor moves by more than 1000 roundings, so it changes no other verdict, and what
it lets through is 1e-13 of the terms, some 1000 roundings of float64. The report counts the tensors judged so.

float32: u = 2^-24, s = the largest change of the float64 tensor, over the same scale, in 8 runs with relative noise u
on inputs, weights, cotangents and every number that is computed, forwards and backwards: accept `16 * sqrt(max(1, n /
1024)) * s + 32 * u`, n the longest reduction. Noise on inputs and weights alone is not enough: it misses what a program
must lose that subtracts a mean of 1e4 (error 1.6e-3 in torch, limit 5e-6), the rounding noise that is the gradient of a
bias before batch_norm, and that a sum of cotangents may cancel (2e-5, limit 3e-6). One rounding for a whole sum is not
either: what partial sums lose one after another has a rule of its own (netspec_numpy/roundings.py). Below 2^-126, where
float32 runs out of digits, the noise has that size: a product of 150 numbers may be 1e-40, which ONNX Runtime gives to
3e-3. A tensor with s > 1000 u is ill-conditioned: its float32 error says little, and the report lists it; unless it is
zero in exact arithmetic, at most 1e-13 s / u in float64, which is counted with those that cancel.

float16 and bfloat16: the same runs with their own u, 2^-11 and 2^-8, on inputs, weights and cotangents that the type
holds exactly: accept `4 * sqrt(max(1, n / 1024)) * s + 4 * u`. Not 16 times the change that a float32 makes, scaled:
roundings of this size also turn a maximum or a kink over to the other side. A limit above 1 would accept anything, so
that a tensor with s > 1 / 4 is ill-conditioned, unless it is a gradient of 1e-3 of the largest or less.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.backend import FloatType
from netspec.compare.report import TensorError
from netspec.compare.roundings import UNIT_ROUNDOFFS, held_dtype, round_to
from netspec.graph.dims import evaluate
from netspec.graph.graph import Graph
from netspec.graph.ops import Control
from netspec.model import Evaluation

FLOAT64_LIMIT = 1e-10
GRADIENT_FLOOR = 1e-3
TERMS_FLOOR = 1e-3
UNIT_ROUNDOFF = UNIT_ROUNDOFFS["float32"]
DRAWS = 8
# Calibrated on the conformance cases, 131 to 628 tensors a backend: the largest (error - SLACK) / s was 7.0 on
# TensorFlow (its fused batch norm), 1.3 on PyTorch, 0.7 on JAX and 0.2 in onnxruntime.
FACTOR = 16.0
SLACK = 32 * UNIT_ROUNDOFF
ILL_CONDITIONED = 1e3 * UNIT_ROUNDOFF
REDUCTION = 1024
# Of float16 and bfloat16; the largest (error - SLACK) / s on 1444 tensors was 1.2 on PyTorch.
FACTOR_HALF = 4.0
SLACK_HALF = 4.0
ILL_CONDITIONED_HALF = 1 / FACTOR_HALF

Key = tuple[str, str]  # kind (output, gradient, buffer) and name


def _no_terms() -> Mapping[Key, float]:
    return {}


@dataclass(frozen=True)
class Reference:
    """The float64 tensors of one pass, with the scale of each, and its sensitivity s where float32 is judged.

    `terms` tells how large the numbers are that each tensor is the sum of; it costs eight more passes, and is asked for
    where a float64 tensor misses the plain limit.
    """

    tensors: Mapping[Key, NDArray[Any]]
    scales: Mapping[Key, float]
    floored: frozenset[Key]
    sensitivity: Mapping[Key, float]
    longest_reduction: int
    terms: Callable[[], Mapping[Key, float]] = _no_terms

    def limit(self, key: Key, dtype: FloatType) -> float:
        """The largest error, over the scale, that agrees."""
        if dtype == "float64":
            return FLOAT64_LIMIT
        moved = math.sqrt(max(1.0, self.longest_reduction / REDUCTION)) * self.sensitivity[key]
        if dtype == "float32":
            return FACTOR * moved + SLACK
        return FACTOR_HALF * moved + SLACK_HALF * UNIT_ROUNDOFFS[dtype]

    def judge(self, key: Key, found: NDArray[Any] | None, dtype: FloatType) -> TensorError | str:
        """The error of a tensor, or in words what is wrong with it that is no number. None is one that is not there."""
        kind, name = key
        if found is None:
            return f"{kind} {name}: missing"
        if key not in self.tensors:
            return f"{kind} {name}: should not be there"
        expected, found = self.tensors[key], np.asarray(found)
        wanted = held_dtype(dtype) if expected.dtype.kind == "f" else expected.dtype.name
        # An integer may be narrower: JAX has 32 bits unless the user asks for more.
        if found.dtype.kind != expected.dtype.kind or (expected.dtype.kind == "f" and found.dtype != wanted):
            return f"{kind} {name}: dtype {found.dtype}, expected {wanted}"
        if found.shape != expected.shape:
            return f"{kind} {name}: shape {list(found.shape)}, expected {list(expected.shape)}"
        if expected.dtype.kind != "f":
            same = bool(np.array_equal(found, expected))
            return TensorError(name, kind, 0.0, 0.0) if same else f"{kind} {name}: other values than the reference"
        if dtype == "bfloat16" and not np.array_equal(round_to(found, dtype), found, equal_nan=True):
            return f"{kind} {name}: dtype float32, expected bfloat16"
        if not _same_specials(found, expected):
            return f"{kind} {name}: NaN or infinity in other places than in the reference"
        difference, scale, limit = max_difference(found, expected), self.scales[key], self.limit(key, dtype)
        if dtype == "float64" and not difference <= limit * scale:
            terms = TERMS_FLOOR * self.terms().get(key, 0.0)
            if terms > scale:
                return TensorError(name, kind, difference / terms, limit, cancelled=True)
        moves = self._moves(key, dtype)
        terms = TERMS_FLOOR * self.sensitivity[key] * scale / UNIT_ROUNDOFFS[dtype]
        zero = moves and _largest(expected) <= FLOAT64_LIMIT * terms
        ill = moves and not zero
        return TensorError(name, kind, difference / scale, limit, key in self.floored, ill, cancelled=zero)

    def _moves(self, key: Key, dtype: FloatType) -> bool:
        """Whether roundings move a tensor so far that its error says little."""
        if dtype == "float64":
            return False
        if dtype == "float32":
            return self.sensitivity[key] > ILL_CONDITIONED
        return self.sensitivity[key] > ILL_CONDITIONED_HALF and key not in self.floored


def tensors_of(evaluation: Evaluation) -> dict[Key, NDArray[Any]]:
    """All tensors of a pass, by kind and name."""
    kinds = {"output": evaluation.outputs, "gradient": evaluation.gradients, "buffer": evaluation.updates}
    return {(kind, name): array for kind, arrays in kinds.items() for name, array in arrays.items()}


def reference(
    graph: Graph,
    sizes: Mapping[str, int],
    exact: Evaluation,
    perturbed: Callable[[], Iterable[Evaluation]],
    dtype: FloatType = "float32",
) -> Reference:
    """The reference for a pass; `perturbed` makes the same pass several times with relative noise u in all of it.

    u is that of `dtype`, of float32 where that is float64.
    """
    tensors = tensors_of(exact)
    scales, floored = _scales(tensors)
    longest = longest_reduction(graph, sizes)
    changes = cache(lambda: _changes(tensors, perturbed()))
    if dtype == "float64":
        terms = cache(lambda: {key: change / UNIT_ROUNDOFF for key, change in changes().items()})
        return Reference(tensors, scales, floored, dict.fromkeys(tensors, 0.0), longest, terms)
    sensitivity = {key: change / scales[key] for key, change in changes().items()}
    # What is nothing but rounding noise may be as large as any gradient's noise: its own depends on the formula used.
    noise = max((change for (kind, _), change in changes().items() if kind == "gradient"), default=0.0)
    sensitivity.update({key: noise / scales[key] for key in floored if _largest(tensors[key]) < noise})
    return Reference(tensors, scales, floored, sensitivity, longest)


def _changes(tensors: Mapping[Key, NDArray[Any]], perturbed: Iterable[Evaluation]) -> dict[Key, float]:
    """The largest change of each tensor: max |a - b| over all the passes, where both are finite."""
    changes = dict.fromkeys(tensors, 0.0)
    for evaluation in perturbed:
        for key, array in tensors_of(evaluation).items():
            if array.dtype.kind == "f":
                expected = np.where(np.isfinite(array), tensors[key], np.nan)
                changes[key] = max(changes[key], max_difference(array, expected))
    return changes


def _scales(tensors: Mapping[Key, NDArray[Any]]) -> tuple[dict[Key, float], frozenset[Key]]:
    largest = {key: _largest(array) for key, array in tensors.items()}
    floor = GRADIENT_FLOOR * max((size for (kind, _), size in largest.items() if kind == "gradient"), default=0.0)
    floored = frozenset(key for key, size in largest.items() if key[0] == "gradient" and size < floor)
    # A tensor of zeros alone has no scale of its own: then errors are taken as they are.
    return {key: (floor if key in floored else size) or 1.0 for key, size in largest.items()}, floored


def _largest(array: NDArray[Any]) -> float:
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    return float(np.abs(finite).max()) if finite.size else 0.0


def max_difference(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """max |found - expected| in float64, over the places where the reference is finite."""
    places = np.isfinite(expected)
    with np.errstate(over="ignore"):  # numbers of both signs near the largest: the difference is infinite, and counts
        difference = np.asarray(found, np.float64)[places] - np.asarray(expected, np.float64)[places]
    return float(np.abs(difference).max(initial=0.0))


def _same_specials(found: NDArray[Any], expected: NDArray[Any]) -> bool:
    """Whether NaNs and infinities, with their signs, stand in the same places."""
    places = ~(np.isfinite(found) & np.isfinite(expected))
    return bool(np.array_equal(found[places].astype(np.float64), expected[places].astype(np.float64), equal_nan=True))


def longest_reduction(graph: Graph, sizes: Mapping[str, int]) -> int:
    """How many terms are summed into one number, at most: in the outputs, and in the gradients going back.

    An element of an input of a primitive gets as many terms as there are multiply-adds (or, without any, elements of
    the output) for each element of that input.
    """
    longest = 1
    for node in graph.all_primitives():
        inputs = tuple(value.type for value in node.inputs)
        outputs = tuple(value.type for value in node.outputs)
        longest = max(longest, int(evaluate(node.op.reduction_length(inputs), sizes)))
        if isinstance(node.op, Control):  # the primitives of its bodies come next
            continue
        terms = evaluate(node.op.macs(inputs, outputs), sizes) or evaluate(outputs[0].size, sizes)
        # Scalars are the constants of a formula, which no gradient is taken of.
        longest = max([longest, *(int(terms) // int(evaluate(type.size, sizes)) for type in inputs if type.rank)])
    return longest
