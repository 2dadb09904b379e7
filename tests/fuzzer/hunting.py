"""Runs the fuzzer's graphs on a backend with a planted mistake, until one of them shows it.

A mistake runs only graphs that have a layer or a primitive it hits, on the framework it is planted in. Graphs and their
references are made once for all mistakes; those of a wrong body, of which the reference is wrong, anew.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, cached_property

import numpy as np
import pytest

from netspec.backend import Backend
from netspec.compare.verify import ask
from netspec.compare.worker import BackendProcessError, Worker
from netspec.errors import NetspecError
from netspec.fuzz.generator import FuzzedGraph, generate
from netspec.fuzz.judging import Mode, Verdict, judge, modes
from netspec.fuzz.run import meets
from netspec.fuzz.targets import Target
from tests.conformance.kept import KeptWorkers
from tests.fuzzer.bodies import BODIES
from tests.fuzzer.planted import Planted

GRAPHS = 200
SEED = 0


class Met:
    """One graph, and what it has."""

    def __init__(self, graph: FuzzedGraph) -> None:
        self.graph = graph
        pair = graph.load().graphs
        both = (pair.inference, pair.training)
        self.layers = {call.layer.type for each in both for call in each.all_calls()}
        self.primitives = {node.op.name for each in both for node in each.all_primitives()}

    def has(self, names: tuple[str, ...]) -> bool:
        return not (self.layers | self.primitives).isdisjoint(names)

    @cached_property
    def modes(self) -> list[Mode]:
        return modes_of(self.graph)


def modes_of(graph: FuzzedGraph) -> list[Mode]:
    """A graph in its modes, with their references to come; those that nothing can be given are left out."""
    found = []
    for mode in modes(graph, graph.load()):
        try:
            _ = mode.case
        except NetspecError:
            continue
        found.append(mode)
    return found


@cache
def meet(number: int, wanted: tuple[str, ...] = ()) -> Met:
    """Graph `number`, of those that have some of the layers that are wanted."""
    return Met(generate(SEED, number, wanted=wanted))


class Hunt:
    """Looks for graphs that betray a mistake."""

    def __init__(self, workers: KeptWorkers) -> None:
        self._workers = workers

    def worker(self, base: str) -> Worker:
        return self._workers.worker(base, "float32" if base == "onnx" else "float64")

    def caught_at(self, planted: Planted, base: str, graphs: int = GRAPHS) -> int | None:
        """The first graph that disagrees; a breakdown does not count, as a mutant may not know of all fields."""
        return next(self.catches(planted, base, graphs), None)

    def catches(self, planted: Planted, base: str, graphs: int = GRAPHS) -> Iterator[int]:
        """The graphs that disagree."""
        for number in range(graphs):
            with np.errstate(all="ignore"):
                met = meet(number, planted.hits if planted.asked else ())
                if met.has(planted.hits) and self._shows(planted, base, met):
                    yield number

    def _shows(self, planted: Planted, base: str, met: Met) -> bool:
        worker = self.worker(base)
        target = Target(self._backend(planted, base), worker.dtype)
        changed = {mode.training: mode for mode in self._modes(planted, met)}
        return any(
            _verdict(right, changed[right.training], target, worker, planted.where) == "differs"
            for right in met.modes
            if right.training in changed and meets(met.graph, right, target)
        )

    def _backend(self, planted: Planted, base: str) -> Backend:
        name = planted.name if planted.where == "tables" else "nothing"
        backend: Backend = importlib.import_module("netspec_mutants").Mutant(base, name)
        return backend

    def _modes(self, planted: Planted, met: Met) -> list[Mode]:
        if planted.where == "tables":
            return met.modes
        with pytest.MonkeyPatch.context() as patch:
            BODIES[planted.name].plant(patch)
            return modes_of(met.graph)


def _verdict(right: Mode, wrong: Mode, target: Target, worker: Worker, where: str) -> str:
    """The outcome on one mode. A wrong body is everybody's, the reference's too, or the backend's alone."""
    judged = wrong if where == "shared body" else right
    case = replace(judged.case_for(target), graphs=wrong.case.graphs)
    try:
        verdict: Verdict = judge(judged, target, ask(worker, case, worker.dtype, target.backend))
    except (NetspecError, BackendProcessError):
        return "none"
    return verdict.outcome
