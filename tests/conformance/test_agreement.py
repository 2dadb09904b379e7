"""Every case on every backend against the float64 reference: outputs, gradients, updated buffers, counts, names.

Each backend runs in one process of its own, once with its fused forms and once with the layers' bodies alone, so that
a fused form is compared with the body it stands for, and no lowering hides behind a fused form.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netspec.backend import Backend, FloatType, find_backend
from netspec.compare.report import BackendReport
from netspec.compare.session import Task
from netspec.compare.verify import compare
from netspec.compare.worker import Worker
from netspec.errors import BackendError
from tests.conformance.table import Row, rows

TARGETS: list[tuple[str, FloatType]] = [
    ("torch", "float64"),
    ("torch", "float32"),
    ("tensorflow", "float64"),
    ("tensorflow", "float32"),
    ("jax", "float64"),
    ("jax", "float32"),
    ("onnx", "float32"),
]

# Backends without any fused form.
BODIES_ONLY = {"jax"}


@pytest.fixture(
    scope="module",
    # One process of the test run for each: it starts the backend once.
    params=[pytest.param(target, marks=pytest.mark.xdist_group("-".join(target))) for target in TARGETS],
    ids="-".join,
)
def worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    name, dtype = request.param
    with Worker(find_backend(name), dtype) as started:
        yield started


@pytest.fixture(scope="module", params=rows(), ids=lambda row: row.name)
def row(request: pytest.FixtureRequest) -> Row:
    found: Row = request.param
    return found


def run(worker: Worker, row: Row, backend: Backend) -> BackendReport:
    gradients = not backend.inference_only
    case = row.case(worker.dtype, gradients)
    cotangents = case.cotangents if gradients else None
    task = Task(backend, case.graphs, case.weights, case.inputs, cotangents, case.training, worker.dtype)
    return compare(case, row.reference(worker.dtype, gradients), worker.evaluate(task), worker.dtype)


def assert_agrees(report: BackendReport) -> None:
    assert not report.problems
    differing = [(t.kind, t.name, t.error, t.limit) for t in report.tensors if not t.agrees]
    assert not differing
    assert report.agree


def test_agrees_with_the_reference(worker: Worker, row: Row) -> None:
    if worker.backend.inference_only and row.training:
        with pytest.raises(BackendError, match="inference only"):
            run(worker, row, worker.backend)
    else:
        assert_agrees(run(worker, row, worker.backend))


def test_bodies_agree_with_the_reference(worker: Worker, row: Row) -> None:
    if worker.backend.name in BODIES_ONLY:  # then the test above has run them; test_tables holds the list to that
        return
    bodies = type(worker.backend)(fused={})
    if worker.backend.inference_only and row.training:
        with pytest.raises(BackendError, match="inference only"):
            run(worker, row, bodies)
    else:
        assert_agrees(run(worker, row, bodies))
