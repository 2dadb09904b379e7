"""The models that are timed: their specs, and one batch of numbers for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import netspec
from netspec.spec import Spec

SPECS = Path(__file__).parents[1] / "specs"
MLP = """
netspec: 1
name: mlp
inputs: {x: {shape: [batch, 784]}}
layers:
  - {name: fc1, type: linear, out_features: 512}
  - relu
  - {name: fc2, type: linear, out_features: 512}
  - relu
  - {name: fc3, type: linear, out_features: 10}
"""
LEARNING_RATE = 1e-3

# A hand-written model and netspec's, doing one piece of work: what it is called, and a function for each.
Pair = tuple[str, Callable[[], object], Callable[[], object]]
Pairs = Iterator[Pair]


@dataclass(frozen=True)
class Case:
    """One model with a batch. `targets` are classes, or numbers where the loss is the mean squared error.

    `before_flatten` says for a linear layer behind a flatten what shape was flattened, as [channels, height, width].
    """

    name: str
    spec: Spec
    inputs: NDArray[np.float32]
    targets: NDArray[np.float32] | NDArray[np.int64]
    before_flatten: dict[str, tuple[int, int, int]]

    @property
    def classifies(self) -> bool:
        return self.targets.dtype.kind == "i"


def cases() -> Iterator[Case]:
    """Every model. Batches are of the sizes that such models are trained with."""
    # The frozen stem is thawed: a hand-written model would be this one.
    residual = netspec.load(SPECS / "residual.yaml", freeze=["!*"])
    yield _case("perceptron", netspec.load(SPECS / "perceptron.yaml"), (32, 10), 0)
    yield _case("mlp", netspec.loads(MLP), (128, 784), 10)
    yield _case("cnn_mnist", netspec.load(SPECS / "cnn_mnist.yaml"), (64, 1, 28, 28), 10, {"fc1": (64, 12, 12)})
    yield _case("residual", residual, (32, 3, 32, 32), 10)


def _case(
    name: str,
    spec: Spec,
    shape: tuple[int, ...],
    classes: int,
    before_flatten: dict[str, tuple[int, int, int]] | None = None,
) -> Case:
    random = np.random.default_rng(0)
    inputs = random.standard_normal(shape, dtype=np.float32)
    targets = random.integers(classes, size=shape[0]) if classes else random.standard_normal((shape[0], 1), np.float32)
    return Case(name, spec, inputs, targets, before_flatten or {})


def require_equal(name: str, handwritten: NDArray[np.float32], ours: NDArray[np.float32]) -> None:
    """Two programs that compute something else are not worth timing."""
    error = float(np.abs(handwritten - ours).max() / np.abs(handwritten).max())
    if not error < 1e-4:
        raise SystemExit(f"{name}: the hand-written model and netspec's differ by {error:.1e}")
