"""A process that runs one backend: started, given tasks, and ended by the program that compares."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self, cast

from netspec.backend import Backend, FloatType
from netspec.compare.child import send
from netspec.compare.session import Answer, Task

# Compare on the CPU, where full precision is what one gets.
ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "-1"}
# The end of what it printed, however long its lines are.
SHOWN_LINES = 20
SHOWN_BYTES = 16384


class BackendProcessError(RuntimeError):
    """A backend's process broke down: not the user's mistake. The message holds the end of what it printed."""


class Worker:
    """One backend in a process of its own, since float64 switches, import orders and crashes do not mix.

    Use it in a `with` statement. `evaluate` may be called many times: the framework is imported once.
    """

    def __init__(self, backend: Backend, dtype: FloatType, environment: Mapping[str, str] | None = None) -> None:
        self.backend = backend
        self.dtype = dtype
        # Its own words go to a file, so that they can be shown if it breaks down and never mix with the output.
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `close`)
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("child.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            env={**os.environ, **ENVIRONMENT, **backend.environment(dtype), **(environment or {})},
        )
        with suppress(BrokenPipeError):  # a process that is dead already is told of by `evaluate`, which meets it too
            send(self._stdin, [*filter(None, sys.path), str(Path.cwd())])

    def evaluate(self, task: Task) -> Answer:
        """The backend's answer. Raises NetspecError where it refuses, BackendProcessError where it breaks down."""
        self._send(task)
        assert self._process.stdout is not None
        try:
            kind, value = pickle.load(self._process.stdout)
        except (EOFError, pickle.UnpicklingError):
            raise self._failure(f"its process ended with status {self._process.wait()}") from None
        if kind == "refused":
            raise value
        if kind == "failed":
            raise self._failure(value)
        return cast(Answer, value)

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End the process at once: who waits for its answer gets a BackendProcessError. From any thread."""
        self._process.kill()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdout is not None
        try:
            self._stdin.close()
        except BrokenPipeError:
            self._process.kill()
        self._process.stdout.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._words.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._process.kill()
        self.close()

    @property
    def _stdin(self) -> Any:
        assert self._process.stdin is not None
        return self._process.stdin

    def _send(self, value: Any) -> None:
        try:
            send(self._stdin, value)
        except BrokenPipeError:
            raise self._failure(f"its process ended with status {self._process.wait()}") from None

    def _failure(self, reason: str) -> BackendProcessError:
        self._words.seek(max(self._words.seek(0, os.SEEK_END) - SHOWN_BYTES, 0))
        printed = self._words.read().decode("utf-8", "replace").splitlines()
        lines = [*printed[-SHOWN_LINES:], *reason.rstrip().splitlines()[-SHOWN_LINES:]]
        return BackendProcessError("\n".join([f"backend {self.backend.name} failed:", *lines]))


class Workers:
    """All workers of a comparison, so that they can be ended together from the thread that is interrupted."""

    def __init__(self) -> None:
        self._started: list[Worker] = []
        self._ended = False
        self._lock = Lock()

    def start(self, backend: Backend, dtype: FloatType, environment: Mapping[str, str] | None = None) -> Worker:
        """A new worker, unless all have been ended; with more of an environment than the backend's own."""
        with self._lock:
            if self._ended:
                raise BackendProcessError(f"backend {backend.name} was not started: the comparison has ended")
            self._started.append(Worker(backend, dtype, environment))
            return self._started[-1]

    def kill(self) -> None:
        """End all processes, and start no more."""
        with self._lock:
            self._ended = True
            for worker in self._started:
                worker.kill()
