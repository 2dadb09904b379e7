"""Each planted mistake is caught by the fuzzer within 200 graphs. The table of tests/README.md lists them.

A mutant runs only graphs that have a layer it hits, on the framework it is planted in, until one disagrees; graphs and
their references are made once for all mutants.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from netspec.backend import Backend, FloatType, find_backend
from netspec.compare.verify import ask
from netspec.compare.worker import BackendProcessError, Worker
from netspec.errors import NetspecError
from netspec.fuzz.generator import generate
from netspec.fuzz.judging import Mode, judge, modes
from netspec.fuzz.targets import Target
from tests.conformance.command import MUTANTS
from tests.fuzzer.planted import PLANTED, Planted

GRAPHS = 200
SEED = 0
README = Path(__file__).parents[1] / "README.md"


@cache
def modes_of(number: int) -> list[Mode]:
    """A graph in its modes; those that nothing can be given are left out."""
    graph = generate(SEED, number)
    found = []
    with np.errstate(all="ignore"):
        for mode in modes(graph, graph.load()):
            try:
                _ = mode.case
            except NetspecError:
                continue
            found.append(mode)
    return found


@cache
def types_of(number: int) -> frozenset[str]:
    return frozenset(call.layer.type for mode in modes_of(number) for call in mode.case.graph.all_calls())


def dtype_of(base: str) -> FloatType:
    return "float32" if base == "onnx" else "float64"


@pytest.fixture(scope="module")
def run_on() -> Iterator[Callable[[str], Worker]]:
    """A process for each framework, started when first needed."""
    workers: dict[str, Worker] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(MUTANTS)

        def worker(base: str) -> Worker:
            if base not in workers:
                workers[base] = Worker(find_backend(base), dtype_of(base))
            return workers[base]

        yield worker
        for each in workers.values():
            each.close()


def caught_at(backend: Backend, hits: tuple[str, ...], worker: Worker, graphs: int = GRAPHS) -> int | None:
    """The first graph that disagrees. A mutant may break down on fields it was not written for: that is no catch."""
    target = Target(backend, worker.dtype)
    for number in range(graphs):
        if not types_of(number) & set(hits):
            continue
        for mode in modes_of(number):
            if backend.inference_only and mode.training:
                continue
            with np.errstate(all="ignore"):
                try:
                    verdict = judge(mode, target, ask(worker, mode.case_for(target), worker.dtype, backend))
                except (NetspecError, BackendProcessError):
                    continue
            if verdict.outcome == "differs":
                return number
    return None


def cases(speed: str) -> list[tuple[Planted, str]]:
    return [(planted, base) for planted in PLANTED for base in getattr(planted, speed)]


def mutant(base: str, name: str) -> Backend:
    planted: Backend = importlib.import_module("netspec_mutants").Mutant(base, name)
    return planted


@pytest.mark.parametrize(
    ("planted", "base"),
    [*cases("quick"), *(pytest.param(*case, marks=pytest.mark.thorough) for case in cases("thorough"))],
    ids=lambda part: part if isinstance(part, str) else part.name,
)
def test_mistake_is_caught(planted: Planted, base: str, run_on: Callable[[str], Worker]) -> None:
    assert caught_at(mutant_in(run_on, base, planted.name), planted.hits, run_on(base)) is not None


def mutant_in(run_on: Callable[[str], Worker], base: str, name: str) -> Backend:
    run_on(base)  # only then can the module of the mutants be found
    return mutant(base, name)


def test_the_same_wrapper_without_a_mistake_is_never_caught(run_on: Callable[[str], Worker]) -> None:
    clean = mutant_in(run_on, "torch", "nothing")
    hits = ("batch_norm", "gelu")
    worker = run_on("torch")
    assert worker.dtype == "float64"
    assert caught_at(clean, hits, worker, graphs=30) is None


def test_the_readme_lists_them_all() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \| (.*) \|$", README.read_text(), re.MULTILINE)
    expected = [
        (each.name, each.words, ", ".join(each.hits), ", ".join((*each.quick, *each.thorough))) for each in PLANTED
    ]
    assert rows == expected
    assert sum(len(each.quick) + len(each.thorough) for each in PLANTED) >= 40
