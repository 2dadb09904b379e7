"""Finds the first node, in the order of running, where a backend leaves the reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from netspec.backend import FloatType
from netspec.compare.case import Case
from netspec.compare.report import BackendReport, FirstDifference, TensorError
from netspec.compare.tolerance import Key, Reference, tensors_of
from netspec.graph.dims import evaluate
from netspec.graph.flow import path_of
from netspec.graph.graph import Call, Graph, Node, Origin
from netspec.model import Evaluation
from netspec.passes.expose import (
    NO_STATE,
    NODE,
    PROBE,
    call_names,
    expose_outputs,
    node_names,
    parameters,
    probe,
    probe_names,
)

Rerun = Callable[[Case], tuple[Reference, Evaluation]]
WITHOUT_BOUND = float("inf")


def first_difference(case: Case, report: BackendReport, rerun: Rerun, dtype: FloatType) -> FirstDifference | None:
    """The node to blame: the first whose outputs differ; else whose buffers; else the last whose gradients do.

    Gradients run from the end: the first layer on that way whose own parameters, or the cotangents it hands on, differ
    is where the mistake is, since what it was given still agreed.
    """
    forward = _forward(case, rerun, dtype)
    if forward is not None:
        return forward
    paths = {held.value: held.path for held in case.graph.state}
    for call in case.graph.all_calls():
        # All that it holds: a call in training may move what it should leave alone.
        for value in (*call.buffers.values(), *call.params.values()):
            error = _reported(report, "buffer", paths[value]) if value in paths else None
            if error is not None:
                return _difference(call, error)
    if case.cotangents:
        return _backward(case, rerun, dtype)
    return None


def _forward(case: Case, rerun: Rerun, dtype: FloatType) -> FirstDifference | None:
    exposed = _changed(case, expose_outputs(case.graph))
    expected, found = rerun(exposed)
    tensors = tensors_of(found)
    for call, _, name in node_names(case.graph):
        error = _error(expected, tensors, ("output", NODE + name), dtype)
        if error is not None:
            return _difference(call, error)
    return None


def _backward(case: Case, rerun: Rerun, dtype: FloatType) -> FirstDifference | None:
    graph = probe(case.graph)
    probes = {entry.name: entry for entry in graph.inputs if entry.name.startswith(PROBE)}
    zeros = {
        name: np.zeros([evaluate(size, case.sizes) for size in entry.value.shape], "float32")
        for name, entry in probes.items()
    }
    expected, found = rerun(replace(_changed(case, graph), inputs={**case.inputs, **zeros}))
    tensors = tensors_of(found)
    for call, name in reversed(call_names(case.graph)):
        for key in _gradient_keys(call, name, case.graph):
            error = _error(expected, tensors, key, dtype)
            if error is not None:
                return _difference(call, error)
    for entry in case.graph.inputs:
        error = _error(expected, tensors, ("gradient", f"input:{entry.name}"), dtype)
        if error is not None:
            return FirstDifference(f"input:{entry.name}", _place(entry.value.origin), error)
    return None


def _gradient_keys(part: Node | Call, name: str, graph: Graph) -> Iterator[Key]:
    paths = {param.value: param.path for param in graph.params}
    held = part.params.values() if isinstance(part, Call) else [value for value in part.inputs if value in paths]
    state = parameters(graph) if isinstance(part, Node) else NO_STATE
    yield from (("gradient", paths[value]) for value in held)
    yield from (("gradient", f"input:{probed}") for probed in probe_names(part, name, state))


def _changed(case: Case, graph: Graph) -> Case:
    pair = replace(case.graphs, training=graph) if case.training else replace(case.graphs, inference=graph)
    return replace(case, graphs=pair)


def _error(expected: Reference, found: Mapping[Key, Any], key: Key, dtype: FloatType) -> float | None:
    """By how much a tensor differs; None where it agrees, or is on neither side, as the gradient of a frozen weight."""
    if key not in found and key not in expected.tensors:
        return None
    judged = expected.judge(key, found.get(key), dtype)
    if isinstance(judged, TensorError):
        return None if judged.agrees else judged.error
    return WITHOUT_BOUND


def _reported(report: BackendReport, kind: str, name: str) -> float | None:
    if any(problem.startswith(f"{kind} {name}:") for problem in report.problems):
        return WITHOUT_BOUND
    return next((t.error for t in report.tensors if t.kind == kind and t.name == name and not t.agrees), None)


def _difference(part: Node | Call, error: float) -> FirstDifference:
    origin = part.origin if isinstance(part, Call) else part.outputs[0].origin
    return FirstDifference(path_of(part), _place(origin), error)


def _place(origin: Origin | None) -> str:
    return str(origin.location) if origin and origin.location else ""
