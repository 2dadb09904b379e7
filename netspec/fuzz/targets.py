"""Where graphs run: backends and float types, each in a process that serves one graph after another."""

from __future__ import annotations

import os
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
# Programs are compiled for one run: LLVM's optimiser took a third of JAX's time.
COMPILER = {"XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"}


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
        Target(backend, dtype) for dtype in ("float64", "float32") for backend in found if dtype in backend.float_types
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
            # One process for both float types, where no switch at its start is between them.
            switches = sorted(target.backend.environment(target.dtype).items())
            running = self._running.setdefault(f"{target.backend.name} {switches}", _Running(target, self._workers))
        return running.ask(target, case)

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
    """The process of one target, and of others of its backend, which answers one case at a time."""

    def __init__(self, target: Target, workers: Workers) -> None:
        self._target = target
        self._workers = workers
        self._worker: Worker | None = None
        self._served = 0
        self._answered = False
        self._lock = Lock()

    def ask(self, target: Target, case: Case) -> Answer:
        with self._lock:
            if self._worker is None or self._served >= GRAPHS_OF_A_PROCESS:
                self.end()
                self._worker, self._served = self._start(), 0
            worker = self._worker
            clock = Timer(TIME_LIMIT, worker.kill)
            clock.start()
            try:
                answer = ask(worker, case, target.dtype, target.backend)
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

    def _start(self) -> Worker:
        flags = {name: f"{os.environ.get(name, '')} {words}".strip() for name, words in COMPILER.items()}
        return self._workers.start(self._target.backend, self._target.dtype, flags)

    def end(self) -> None:
        """End the process, if it runs."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None
