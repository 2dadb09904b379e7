"""Runs a spec on every backend and compares with the float64 reference, tensor by tensor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from netspec.backend import FLOAT_TYPES, Backend, FloatType, backends, find_backend
from netspec.compare.case import REFERENCE, Case, evaluate_reference, make_case
from netspec.compare.locate import WITHOUT_BOUND, first_difference
from netspec.compare.report import BackendReport, Report, TensorError
from netspec.compare.session import Answer, Task
from netspec.compare.tolerance import Key, Reference, tensors_of
from netspec.compare.worker import Worker, Workers
from netspec.errors import BackendError
from netspec.graph.graph import Graph, GraphPair
from netspec.model import Arrays, Evaluation
from netspec.spec import Spec

INFERENCE_ONLY = "inference only"
# Processes at a time: a framework's start is mostly one thread's work, and its memory is large.
PROCESSES = 2


@dataclass(frozen=True)
class Job:
    """One backend to be judged on a case."""

    backend: Backend
    case: Case
    dtype: FloatType
    note: str | None = None


def verify(
    spec: Spec,
    chosen: Sequence[str | Backend] | None = None,
    dtype: FloatType = "float32",
    train: bool = False,
    data: Mapping[str, Any] | None = None,
    dims: Mapping[str, int] | None = None,
    weights: Arrays | None = None,
) -> Report:
    """Compare `spec` on the chosen backends (all that are installed where None); see `netspec.verify`."""
    if dtype not in FLOAT_TYPES:
        raise BackendError(f"a comparison is made in {' or '.join(FLOAT_TYPES)}, not in {dtype}")
    jobs = _jobs(chosen_backends(chosen), spec.graphs, dtype, train, data, dims, weights)
    expected: dict[int, Future[Reference]] = {id(job.case): Future() for job in jobs}
    workers = Workers()
    with ThreadPoolExecutor(PROCESSES) as threads:
        try:
            judged = {job.backend.name: threads.submit(_judge, job, expected[id(job.case)], workers) for job in jobs}
            # Beside the backends' start, once for all that are judged by it; in this thread, which can be interrupted.
            for job in _first_of_case(jobs):
                expected[id(job.case)].set_result(evaluate_reference(job.case, job.dtype))
            return Report(dtype, train, {name: future.result() for name, future in judged.items()})
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            for future in expected.values():
                future.cancel()
            workers.kill()
            raise


def _jobs(
    backends: Sequence[Backend],
    graphs: GraphPair,
    dtype: FloatType,
    train: bool,
    data: Mapping[str, Any] | None,
    dims: Mapping[str, int] | None,
    weights: Arrays | None,
) -> list[Job]:
    """One job for each backend, in a type that it computes in; those of inference only have no gradients."""
    cases: dict[tuple[bool, FloatType], Case] = {}
    jobs: list[Job] = []
    for backend in backends:
        own = dtype if dtype in backend.float_types else backend.float_types[0]
        key = backend.inference_only, own
        if key not in cases:
            case = make_case(graphs, train and not backend.inference_only, own, data, dims, weights)
            cases[key] = replace(case, cotangents={}) if backend.inference_only else case
        note = INFERENCE_ONLY if train and backend.inference_only else None
        jobs.append(Job(backend, cases[key], own, note))
    return jobs


def _first_of_case(jobs: Sequence[Job]) -> list[Job]:
    return list({id(job.case): job for job in jobs}.values())


def chosen_backends(chosen: Sequence[str | Backend] | None) -> list[Backend]:
    """The backends that are named or given, installed; all that are installed, but the reference, where None."""
    if chosen is None:
        found = [backend for name, backend in backends().items() if name != REFERENCE and not backend.missing]
        if not found:
            raise BackendError("no backend is installed: pip install 'netspec-nn[all]'")
        return found
    found = [find_backend(each) if isinstance(each, str) else each.require_installed() for each in chosen]
    names = [backend.name for backend in found]
    if not names or len(set(names)) < len(names):
        raise BackendError(f"backends must be one or more, of different names, got {', '.join(names) or 'none'}")
    return found


def _judge(job: Job, expected: Future[Reference], workers: Workers) -> BackendReport:
    """One backend's report, with the first node that differs where something does."""
    with workers.start(job.backend, job.dtype) as worker:
        answer = ask(worker, job.case, job.dtype)
        report = replace(compare(job.case, expected.result(), answer, job.dtype), note=job.note)
        if report.agree:
            return report

        def rerun(changed: Case) -> tuple[Reference, Evaluation]:
            return evaluate_reference(changed, job.dtype), ask(worker, changed, job.dtype).evaluation

        return replace(report, first_difference=first_difference(job.case, report, rerun, job.dtype))


def ask(worker: Worker, case: Case, dtype: FloatType, backend: Backend | None = None) -> Answer:
    """The worker's answer to a case, by its own backend or another one of the same framework."""
    cotangents = case.cotangents or None
    task = Task(backend or worker.backend, case.graphs, case.weights, case.inputs, cotangents, case.training, dtype)
    return worker.evaluate(task)


def compare(case: Case, expected: Reference, answer: Answer, dtype: FloatType) -> BackendReport:
    """Every tensor of the reference against the backend's, and the counts."""
    tensors: list[TensorError] = []
    problems: dict[str, str] = {}  # each with the kind of its tensor
    for key, found in _pairs(expected, answer):
        judged = expected.judge(key, found, dtype)
        if isinstance(judged, str):
            problems[judged] = key[0]
        else:
            tensors.append(judged)

    def largest(kind: str) -> float | None:
        if kind in problems.values():
            return WITHOUT_BOUND
        return max((tensor.error for tensor in tensors if tensor.kind == kind), default=None)

    words = (*problems, *_count_problems(case.graph, answer))
    return BackendReport(
        agree=not words and all(tensor.agrees for tensor in tensors),
        max_output_error=largest("output"),
        max_gradient_error=largest("gradient"),
        max_buffer_error=largest("buffer"),
        params=answer.params,
        problems=words,
        tensors=tuple(tensors),
        dtype=dtype,
    )


def _pairs(expected: Reference, answer: Answer) -> Iterator[tuple[Key, Any]]:
    """Every tensor that either side has, with what the backend found, None for nothing."""
    found = tensors_of(answer.evaluation)
    for key in dict.fromkeys((*expected.tensors, *found)):
        yield key, found.get(key)
    # What a call in training leaves in the model is another program than the one that gave gradients: judged too.
    for path, array in answer.moved.items():
        yield ("buffer", path), array


def _count_problems(graph: Graph, answer: Answer) -> list[str]:
    expected = {held.path: tuple(held.value.shape) for held in graph.state}
    differing = sorted(set(expected.items()) ^ set(answer.shapes.items()))
    return [f"weights: {path} {list(shape)} is not in both models" for path, shape in differing]
