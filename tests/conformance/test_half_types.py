"""The cases in bfloat16 and float16, inference and its gradients, against the float64 reference on the same numbers.

torch runs both types in every `make test`; TensorFlow and JAX, which compile each case for minutes, and the specs are
`thorough`. What does not agree, or is judged by a limit that says nothing, stands in a table here with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

import netspec
from netspec.backend import FloatType, find_backend
from netspec.compare.case import evaluate_reference, make_case
from netspec.compare.report import BackendReport
from netspec.compare.session import Task
from netspec.compare.verify import compare
from netspec.compare.worker import Worker
from tests.conformance.table import CASES, Row, rows

EVERY_TIME: list[tuple[str, FloatType]] = [
    ("torch", "bfloat16"),
    ("torch", "float16"),
]
THOROUGH: list[tuple[str, FloatType]] = [
    ("tensorflow", "float16"),
    ("tensorflow", "bfloat16"),
    ("jax", "float16"),
    ("jax", "bfloat16"),
]
HALF: tuple[FloatType, ...] = ("bfloat16", "float16")

MEAN = "it adds 10,000, where the next number of the type is 8 (float16) or 64 (bfloat16) away: nothing is left of x"
WHOLE = "a rounding of the type carries a number over to the next whole one"
# Tensors that need not agree: by case and type.
EXCEPTED: dict[str, tuple[tuple[FloatType, ...], set[str], str]] = {
    "layer_norm": (HALF, {"far", "far.weight", "shifted.weight", "shifted.bias", "input:row"}, MEAN),
    "norms": (HALF, {"groups_far", "groups_far.weight", "instances_far", "input:image"}, MEAN),
    "arithmetic": (HALF, {"whole", "whole_product", "conv_whole", "weighted"}, WHOLE),
    "activations": (("float16",), {"input:row"}, "10,000 times what flows back is above 65,504, the largest float16"),
    "reductions": (("float16",), {"prod_all"}, "a product of 36 numbers is below 6e-8, the smallest float16"),
}
KINKS = "a rounding turns a maximum, a comparison or a kink over to the other side"
# Cases with tensors that move by a quarter or more under roundings of the type.
ILL_CONDITIONED: dict[str, str] = {
    "activations": "what flows back to input:row comes from numbers of 10,000",
    "ceil_mode": KINKS,
    "conv2d_sizes": KINKS,
    "control": "a rounding changes after how many steps a loop ends",
    "formula": KINKS,
    "kinks": KINKS,
    "layer_norm": MEAN,
    "lines": KINKS,
    "norms": MEAN,
    "reductions": KINKS,
    "volumes": KINKS,
    "cnn_mnist": KINKS,
    "hyperspectral": KINKS,
    "lenet": KINKS,
    "residual": KINKS,
    "unet": KINKS,
}


def inference_rows() -> list[Row]:
    return [row for row in rows() if not row.training]


every_row = pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=row.path.stem, marks=[] if row.path in CASES else [pytest.mark.thorough])
        for row in inference_rows()
    ],
)
every_target = pytest.mark.parametrize(
    "worker",
    [*EVERY_TIME, *(pytest.param(target, marks=pytest.mark.thorough) for target in THOROUGH)],
    indirect=True,
    scope="module",
    ids="-".join,
)


@pytest.fixture(scope="module")
def worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    name, dtype = request.param
    with Worker(find_backend(name), dtype) as started:
        yield started


def run(worker: Worker, row: Row) -> BackendReport:
    dtype = worker.dtype
    case = row.case(dtype)
    task = Task(worker.backend, case.graphs, case.weights, case.inputs, case.cotangents, False, dtype)
    return compare(case, row.reference(dtype), worker.evaluate(task), dtype)


@every_target
@every_row
def test_agrees_with_the_reference(worker: Worker, row: Row) -> None:
    report = run(worker, row)
    types, names, _ = EXCEPTED.get(row.path.stem, ((), set(), ""))
    excepted = names if worker.dtype in types else set()
    problems = [words for words in report.problems if words.partition(": ")[0].partition(" ")[2] not in excepted]
    assert not problems
    differing = [(t.kind, t.name, t.error, t.limit) for t in report.tensors if not t.agrees and t.name not in excepted]
    assert not differing
    assert row.path.stem in ILL_CONDITIONED or not set(report.ill_conditioned) - excepted


FAR = """
netspec: 1
inputs: {x: {shape: [batch, 6]}}
layers:
  - {name: far, type: formula, expr: 300 * x}
  - {name: y, type: gelu_tanh}
"""


@every_target
def test_gelu_tanh_has_a_gradient_where_a_square_overflows(worker: Worker) -> None:
    case = make_case(netspec.loads(FAR).graphs, False, worker.dtype)
    task = Task(worker.backend, case.graphs, case.weights, case.inputs, case.cotangents, False, worker.dtype)
    assert float(abs(case.inputs["x"]).max()) * 300 > 256
    for backend in (worker.backend, type(worker.backend)(fused={})):
        answer = worker.evaluate(replace(task, backend=backend))
        assert compare(case, evaluate_reference(case, worker.dtype), answer, worker.dtype).agree


def test_the_tables_name_what_there_is() -> None:
    found = {row.path.stem: row for row in inference_rows()}
    assert ILL_CONDITIONED.keys() | EXCEPTED.keys() <= found.keys()
    for stem, (_, names, _) in EXCEPTED.items():
        case = found[stem].case("bfloat16")
        known = {output.name for output in case.graph.outputs} | {held.path for held in case.graph.params}
        assert names <= known | {f"input:{name}" for name in case.inputs}
