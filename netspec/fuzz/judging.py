"""Judges one graph on one target: agrees, differs, is ill-conditioned, is refused, or the backend breaks down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from netspec.backend import FloatType
from netspec.compare.case import Case, evaluate_reference, make_case, rounded
from netspec.compare.report import BackendReport
from netspec.compare.session import Answer
from netspec.compare.tolerance import FLOAT64_LIMIT, UNIT_ROUNDOFF, Key, Reference, max_difference, tensors_of
from netspec.compare.verify import compare
from netspec.compare.worker import BackendProcessError
from netspec.errors import NetspecError
from netspec.fuzz.generator import FuzzedGraph
from netspec.fuzz.targets import Target
from netspec.graph.printer import print_graph
from netspec.spec import Spec

Outcome = Literal["agrees", "differs", "ill-conditioned", "refused", "breaks down"]
# A few roundings of float64: what moves a right program of float64 must not decide.
FLOAT64_ROUNDINGS = 2.0**-50


@dataclass(frozen=True)
class Verdict:
    """What one target gave for one mode of a graph; `words` say what is wrong, `cancelled` how many tensors cancel."""

    outcome: Outcome
    target: str
    training: bool
    words: tuple[str, ...] = ()
    cancelled: int = 0

    @property
    def failed(self) -> bool:
        return self.outcome in ("differs", "breaks down")


class Mode:
    """One graph in one mode, with its reference, which is taken once for all targets."""

    def __init__(self, graph: FuzzedGraph, spec: Spec, training: bool) -> None:
        self.training = training
        self.spec = spec
        self._graph = graph
        self._references: dict[tuple[FloatType, bool], Reference] = {}

    @cached_property
    def case(self) -> Case:
        """What is run. Raises NetspecError where no sizes or inputs will do."""
        graphs = self.spec.graphs
        symbols = graphs.of(self.training).symbols()
        dims = {name: size for name, size in self._graph.dims.items() if name in symbols}
        try:
            case = make_case(graphs, self.training, "float64", None, dims)
        except NetspecError:  # sizes of 1 are refused in places, as in the training of batch_norm
            case = make_case(graphs, self.training, "float64")
        if not self._graph.whole:
            return case
        whole = {name: np.round(array) if array.dtype.kind == "f" else array for name, array in case.inputs.items()}
        return replace(case, inputs=whole)

    def case_for(self, target: Target) -> Case:
        """The case as a target takes it: without cotangents where it has no gradients."""
        return replace(self.case, cotangents={}) if target.backend.inference_only else self.case

    def reference_for(self, target: Target) -> Reference:
        """The float64 tensors, and for float32 how far roundings move them."""
        key = (target.dtype, target.backend.inference_only)
        if key not in self._references:
            self._references[key] = evaluate_reference(self.case_for(target), target.dtype)
        return self._references[key]


def modes(graph: FuzzedGraph, spec: Spec) -> Iterator[Mode]:
    """Inference, and training where its graph is another one."""
    yield Mode(graph, spec, training=False)
    pair = spec.graphs
    first, second = (print_graph(each).partition("\n")[2] for each in (pair.inference, pair.training))
    if first != second:
        yield Mode(graph, spec, training=True)


def judge(mode: Mode, target: Target, answer: Answer | Exception) -> Verdict:
    """The verdict on what a target answered, or raised."""
    case, training = mode.case_for(target), mode.training
    if isinstance(answer, BackendProcessError):
        return Verdict("breaks down", target.name, training, tuple(str(answer).splitlines()[-3:]))
    if isinstance(answer, NetspecError):
        return Verdict("refused", target.name, training, (str(answer),))
    if isinstance(answer, Exception):
        raise answer
    expected = mode.reference_for(target)
    report = compare(case, expected, answer, target.dtype)
    words = (*report.problems, *_differences(report))
    if words:
        outcome: Outcome = "ill-conditioned" if unsteady(case, expected, report, target.dtype) else "differs"
        return Verdict(outcome, target.name, training, words)
    if report.ill_conditioned:
        moved = tuple(f"{name} moves by more than 1000 roundings" for name in report.ill_conditioned)
        return Verdict("ill-conditioned", target.name, training, moved, report.cancelled)
    return Verdict("agrees", target.name, training, cancelled=report.cancelled)


def _differences(report: BackendReport) -> list[str]:
    return [
        f"{tensor.kind} {tensor.name}: differs by {tensor.error:.1e}, allowed is {tensor.limit:.1e}"
        for tensor in report.tensors
        if not tensor.agrees
    ]


def unsteady(case: Case, expected: Reference, report: BackendReport, dtype: FloatType) -> bool:
    """Whether all that differs is decided by roundings: the reference itself changes by as much under its own.

    So is a comparison of two numbers that are equal in exact arithmetic. In float32 the limit of a float knows of it
    already; integers, flags and the places of NaN do not. What is given has no roundings: a whole number that stands on
    a kink stands there for everybody.
    """
    failed = {(tensor.kind, tensor.name) for tensor in report.tensors if not tensor.agrees}
    for words in report.problems:  # `gradient input:x: missing`
        kind, _, rest = words.partition(" ")
        failed.add((kind, rest.rpartition(": ")[0]))
    left = {key for key in failed if key in expected.tensors}
    if left != failed:
        return False
    unit = FLOAT64_ROUNDINGS if dtype == "float64" else UNIT_ROUNDOFF
    for evaluation in rounded(case, unit, given=False):
        tensors = tensors_of(evaluation)
        left -= {key for key in left if _moves(key, tensors[key], expected, dtype)}
        if not left:
            return True
    return False


def _moves(key: Key, found: NDArray[Any], expected: Reference, dtype: FloatType) -> bool:
    wanted = expected.tensors[key]
    if wanted.dtype.kind != "f":
        return not np.array_equal(found, wanted)
    if not np.array_equal(np.isfinite(found), np.isfinite(wanted)):
        return True
    return dtype == "float64" and max_difference(found, wanted) > FLOAT64_LIMIT * expected.scales[key]
