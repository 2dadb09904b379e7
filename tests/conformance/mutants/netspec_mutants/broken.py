"""Backends that break down, talk, hang or are missing: none of them imports a framework."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from netspec.backend import FloatType
from netspec.errors import BackendError
from netspec.graph.graph import GraphPair
from netspec_numpy import NumpyBackend
from netspec_numpy.model import NumpyModel


class Broken(NumpyBackend):
    """The reference, under another name, that does something before it compiles."""

    inference_only = False

    def __init__(self, name: str, act: Callable[[], None], requires: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.name = name
        self.extra = name
        self.requires = requires
        self._act = act

    def compile(
        self, graphs: GraphPair, weights: Mapping[str, Any], dtype: FloatType = "float32", device: str | None = None
    ) -> NumpyModel:
        self._act()
        return super().compile(graphs, weights, dtype, device)


def _nothing() -> None:
    pass


def _exit() -> None:
    os._exit(7)


def _fail() -> None:
    raise RuntimeError("the device is on fire")


def _refuse() -> None:
    raise BackendError("it will not do this")


def _talk() -> None:
    print('{"agree": false}')  # noqa: T201 (what is tested)
    os.write(1, b"written to descriptor 1\n")
    sys.stderr.write("and to standard error\n")


def _talk_and_exit() -> None:
    sys.stderr.write("x" * 1_000_000 + "\nlast words\n")
    sys.stderr.flush()
    os._exit(7)


def _hang() -> None:
    Path(f"hanging.{os.getpid()}").touch()
    time.sleep(600)


exits = Broken("exits", _exit)
aborts = Broken("aborts", os.abort)
fails = Broken("fails", _fail)
refuses = Broken("refuses", _refuse)
talks = Broken("talks", _talk)
last_words = Broken("last_words", _talk_and_exit)
hangs = Broken("hangs", _hang)
hangs_too = Broken("hangs_too", _hang)
hangs_as_well = Broken("hangs_as_well", _hang)
missing = Broken("missing", _nothing, ("no_such_module",))
