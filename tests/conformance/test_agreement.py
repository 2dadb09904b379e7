"""Every case on every backend against the float64 reference: outputs, gradients, updated buffers, counts, names.

Each backend runs in one process of its own, once with its fused forms and once with the layers' bodies alone, so that
a fused form is compared with the body it stands for, and no lowering hides behind a fused form.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from netspec.backend import Backend
from netspec.compare.report import BackendReport
from netspec.compare.session import Task
from netspec.compare.verify import compare
from netspec.compare.worker import Worker
from netspec.errors import BackendError
from tests.conformance.recording import Recording, Target, recording, seen_by, without_fused
from tests.conformance.support import check_support
from tests.conformance.table import CASES, Row, rows

TARGETS: list[Target] = [
    ("torch", "float64"),
    ("torch", "float32"),
    ("tensorflow", "float64"),
    ("tensorflow", "float32"),
    ("tensorflow_without_onednn", "float32"),
    ("jax", "float64"),
    ("jax", "float32"),
    ("onnx", "float32"),
]
# Backends without any fused form: test_tables holds them to that.
BODIES_ONLY = {"jax"}
# Where bodies are run apart: in float64, which looks closest, and in ONNX in what it has.
BODIES = [
    (name, dtype) for name, dtype in TARGETS if name not in BODIES_ONLY and (dtype == "float64" or name == "onnx")
]


# What notes the forms that each target runs, and how many rows it has been through.
RECORDED: dict[Target, Recording] = {}
RAN: Counter[Target] = Counter()


def on(targets: list[Target]) -> pytest.MarkDecorator:
    """Run a test on each target, all of its rows one after another: the backend starts once."""
    return pytest.mark.parametrize("worker", targets, indirect=True, scope="module", ids="-".join)


@pytest.fixture(scope="module")
def worker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    name, dtype = request.param
    backend = recording(name, dtype, tmp_path_factory.mktemp("seen"))
    RECORDED[name, dtype] = backend
    with Worker(backend, dtype) as started:
        yield started


# The specs that come with netspec are made of layers that the cases look at one by one: they run in float32, as users
# run them, and in float64 on torch; with TensorFlow's and JAX's float64, and bodies, they would take 4 minutes more.
CASE_ROWS = [row for row in rows() if row.path in CASES]
SPEC_ROWS = [row for row in rows() if row.path not in CASES]
SPEC_TARGETS: list[Target] = [
    ("torch", "float64"),
    ("torch", "float32"),
    ("tensorflow", "float32"),
    ("jax", "float64"),
    ("onnx", "float32"),
]


def each(rows: list[Row]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", rows, ids=lambda row: row.name)


def run(worker: Worker, row: Row, backend: Backend) -> BackendReport:
    assert isinstance(backend, Recording)
    RAN[backend.target] += 1
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


@on(TARGETS)
@each(CASE_ROWS)
def test_agrees_with_the_reference(worker: Worker, row: Row) -> None:
    check(worker, row)


@on(SPEC_TARGETS)
@each(SPEC_ROWS)
def test_a_spec_agrees_with_the_reference(worker: Worker, row: Row) -> None:
    check(worker, row)


def check(worker: Worker, row: Row) -> None:
    if worker.backend.inference_only and row.training:
        with pytest.raises(BackendError, match="inference only"):
            run(worker, row, worker.backend)
    else:
        assert_agrees(run(worker, row, worker.backend))


@on(BODIES)
@each(CASE_ROWS)
def test_bodies_agree_with_the_reference(worker: Worker, row: Row) -> None:
    assert isinstance(worker.backend, Recording)
    bodies = without_fused(worker.backend)
    if worker.backend.inference_only and row.training:
        with pytest.raises(BackendError, match="inference only"):
            run(worker, row, bodies)
    else:
        assert_agrees(run(worker, row, bodies))


def test_what_was_run_is_what_the_tables_hold_and_the_catalogue_says() -> None:
    """A lowering or a fused form that no case reaches is not tested; a form that changes is news for users."""
    whole = {
        target: len(CASE_ROWS) * (2 if target in BODIES else 1) + len(SPEC_ROWS) * (target in SPEC_TARGETS)
        for target in TARGETS
    }
    if whole != RAN:
        pytest.skip(f"needs the whole table on {len(TARGETS)} targets: run the file")
    check_support({target: seen_by(backend) for target, backend in RECORDED.items()})
