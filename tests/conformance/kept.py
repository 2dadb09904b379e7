"""Processes of backends that are kept for all comparisons of a file of tests: a framework takes seconds to start."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from netspec.backend import FloatType, find_backend
from netspec.compare.case import evaluate_reference, make_case
from netspec.compare.report import BackendReport
from netspec.compare.verify import ask, compare
from netspec.compare.worker import Worker
from netspec.spec import Spec


class KeptWorkers:
    """A `with` statement in which each backend has one process in each type, started when first needed."""

    def __init__(self) -> None:
        self._workers: dict[tuple[str, FloatType], Worker] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers.values():
            worker.close()

    def worker(self, name: str, dtype: FloatType) -> Worker:
        """The process of a backend."""
        key = name, dtype
        if key not in self._workers:
            self._workers[key] = Worker(find_backend(name), dtype)
        return self._workers[key]

    def judge(
        self,
        spec: Spec,
        name: str,
        dtype: FloatType = "float32",
        dims: Mapping[str, int] | None = None,
        train: bool = False,
    ) -> BackendReport:
        """What `netspec.verify` says of a backend that has gradients."""
        worker = self.worker(name, dtype)
        case = make_case(spec.graphs, train, dtype, None, dims)
        return compare(case, evaluate_reference(case, dtype), ask(worker, case, dtype), dtype)
