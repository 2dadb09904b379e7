"""Where graphs run: backends and float types, each in a process that serves one graph after another."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock, Timer
from types import TracebackType
from typing import Self

from netspec.backend import Backend, FloatType
from netspec.compare.case import Case
from netspec.compare.session import Answer
from netspec.compare.verify import ask, chosen_backends
from netspec.compare.worker import BackendProcessError, Worker, Workers

# A process is ended after so many graphs: compiled programs stay in the memory of JAX and TensorFlow.
GRAPHS_OF_A_PROCESS = 250
PROCESSES_AT_A_TIME = 2
# Seconds for one graph, a process's start included: above it the process is ended, and the graph is a failure.
TIME_LIMIT = 300.0
# They trace and compile a program for each graph, which takes about a second; the others take some hundredths.
SLOW = {"tensorflow", "jax"}


class BackendNeverAnsweredError(RuntimeError):
    """The process of a backend has ended before its first answer: no graph is to blame, and nothing can be compared."""


@dataclass(frozen=True)
class Target:
    """One backend in one float type."""

    backend: Backend
    dtype: FloatType

    @property
    def name(self) -> str:
        return f"{self.backend.name}-{self.dtype}"


def targets(chosen: Sequence[str | Backend] | None) -> list[Target]:
    """Both float types of each backend; the cheap ones, that trace nothing, first."""
    found = chosen_backends(chosen)
    all_of = [
        Target(backend, dtype)
        for dtype in ("float64", "float32")
        for backend in found
        if dtype == "float32" or not backend.inference_only
    ]
    return sorted(all_of, key=lambda target: target.backend.name in SLOW)


def rotated(every: Sequence[Target], number: int) -> list[Target]:
    """Two targets for graph `number`: a cheap and a slow one, all in turn."""
    cheap = [target for target in every if target.backend.name not in SLOW]
    slow = [target for target in every if target.backend.name in SLOW]
    return [group[number % len(group)] for group in (cheap, slow) if group]


class Pool:
    """The processes: started when first needed, one for each target, and started anew where one has died."""

    def __init__(self) -> None:
        self._workers = Workers()
        self._running: dict[str, _Running] = {}
        self._lock = Lock()
        self._threads = ThreadPoolExecutor(PROCESSES_AT_A_TIME)

    def submit(self, target: Target, case: Case) -> Future[Answer]:
        """The answer of a target to a case, later."""
        return self._threads.submit(self.ask, target, case)

    def ask(self, target: Target, case: Case) -> Answer:
        """The answer now.

        Raises NetspecError where the backend refuses, BackendProcessError where it breaks down, and
        BackendNeverAnsweredError where its process ends before it has answered anything.
        """
        with self._lock:
            running = self._running.setdefault(target.name, _Running(target, self._workers))
        return running.ask(target.backend, case)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:  # who waits for an answer then gets one: that the process has ended
            self._workers.kill()
        self._threads.shutdown(cancel_futures=error is not None)
        for running in self._running.values():
            running.end()


class _Running:
    """The process of one target, which answers one case at a time."""

    def __init__(self, target: Target, workers: Workers) -> None:
        self._target = target
        self._workers = workers
        self._worker: Worker | None = None
        self._served = 0
        self._answered = False
        self._lock = Lock()

    def ask(self, backend: Backend, case: Case) -> Answer:
        with self._lock:
            if self._worker is None or self._served >= GRAPHS_OF_A_PROCESS:
                self.end()
                self._worker, self._served = self._workers.start(self._target.backend, self._target.dtype), 0
            worker = self._worker
            clock = Timer(TIME_LIMIT, worker.kill)
            clock.start()
            try:
                answer = ask(worker, case, self._target.dtype, backend)
            except BackendProcessError as error:
                if not worker.alive:
                    self.end()
                    if not self._answered:
                        raise BackendNeverAnsweredError(str(error)) from None
                raise
            finally:
                clock.cancel()
                self._served += 1
            self._answered = True
            return answer

    def end(self) -> None:
        """End the process, if it runs."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None
