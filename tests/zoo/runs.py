"""Which models run where, and their logits from processes of their own, each computed once."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from netspec.backend import find_backend
from netspec.compare.worker import ENVIRONMENT
from tests.zoo.torchvision_reference import NAMES

ROOT = Path(__file__).parents[2]

# These are in every run of the tests: one of each family that has its own wiring. TensorFlow and XLA take half a minute
# to compile the 121 layers of one, and the plain chains have the largest weights.
QUICK = ("inception_v3", "resnet18", "squeezenet1_1")
DEEP = ("densenet121",)


def quick_models(backend: str, dtype: str) -> tuple[str, ...]:
    """The models that every run of the tests has on a backend."""
    return (*QUICK, *(DEEP if backend in ("torch", "onnx") else ()))


def cases(dtype: str, *backends: str) -> list[Any]:
    """Every model on every one of these backends, as test cases: marked `zoo` but the quick ones."""
    return [
        pytest.param(name, backend, marks=() if name in quick_models(backend, dtype) else pytest.mark.zoo)
        for backend in backends
        for name in NAMES
    ]


def logits(name: str, backend: str, dtype: str) -> NDArray[Any]:
    """The logits of a model; in `perturbed` those of several runs. The quick models share a process."""
    together = quick_models(backend, dtype)
    return _run(together if name in together else (name,), backend, dtype)[name]


@cache
def _run(names: tuple[str, ...], backend: str, dtype: str) -> dict[str, NDArray[Any]]:
    environment = find_backend(backend).environment("float32" if dtype == "float32" else "float64")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "tests.zoo.program", backend, dtype, folder, *names],
            cwd=ROOT,
            env={**os.environ, **ENVIRONMENT, **environment},
            check=True,
            timeout=3600,
        )
        return {name: np.load(Path(folder) / f"{name}.npy") for name in names}
