"""Drawing the values that a parameter starts from, as its initialiser says: float32, the same on every machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.errors import WeightsError
from netspec.layers import initializers
from netspec.layers.initializers import Initializer
from netspec.weights import generator

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Target:
    """The parameter that is drawn: what its values depend on."""

    shape: tuple[int, ...]
    path: str
    seed: int
    fan: tuple[int, int] | None

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    @property
    def words(self) -> np.random.Philox:
        return generator.stream(self.seed, self.path, self.shape)


def draw(
    initializer: Initializer, shape: tuple[int, ...], path: str, seed: int, fan: tuple[int, int] | None = None
) -> Values:
    """The values of the parameter `path`, `shape`, under `seed`: bit-identical everywhere (`orthogonal` to rounding).

    Computed in float64 and rounded to float32 once; a float64 model starts from the same float32 numbers, widened.
    `fan` is (fan_in, fan_out) where the shape does not tell. A WeightsError where the initialiser cannot be used for
    the shape, or where its numbers go beyond float32.
    """
    target = Target(shape, path, seed, fan)
    try:
        with np.errstate(over="raise"):
            return DRAWINGS[type(initializer)](initializer, target)
    except FloatingPointError:
        raise WeightsError(f"{path}: the numbers of its initialiser {initializer.type} go beyond float32") from None


def fans(target: Target) -> tuple[int, int]:
    """(fan_in, fan_out): as given, else torch's rule: b * prod(k) and a * prod(k) for a shape (a, b, *k)."""
    if target.fan is not None:
        return target.fan
    if len(target.shape) < 2:
        raise _unfit(target, "this initialiser needs a shape of at least 2 dimensions, which has a fan")
    out_features, in_features, *kernel = target.shape
    field = math.prod(kernel)
    return in_features * field, out_features * field


def _constant(value: float, target: Target) -> Values:
    return np.full(target.shape, value, np.float32)


def _identity(target: Target) -> Values:
    if len(target.shape) != 2:
        raise _unfit(target, "identity needs a shape of 2 dimensions")
    return np.eye(*target.shape, dtype=np.float32)


def _filled(target: Target, blocks: Iterator[generator.Block], scale: float, centre: float = 0.0) -> Values:
    values = np.empty(target.shape, np.float32)
    generator.fill(values, blocks, scale, centre)
    return values


def _normal(target: Target, std: float, mean: float = 0.0) -> Values:
    return _filled(target, generator.normals(target.words, target.count), std, mean)


def _uniform(target: Target, low: float, high: float) -> Values:
    """Between `low` and `high`, either of which the rounding to float32 may give."""
    blocks = generator.uniforms(target.words, target.count)
    return _filled(target, blocks, high / 2 - low / 2, high / 2 + low / 2)


def _truncated_normal(init: initializers.TruncatedNormal, target: Target) -> Values:
    blocks = generator.truncated_normals(target.words, target.count, init.bound)
    return _filled(target, blocks, init.std, init.mean)


def _orthogonal(init: initializers.Orthogonal, target: Target) -> Values:
    """Q of the QR decomposition of a normal matrix, signs such that the diagonal of R is positive (Mezzadri 2007)."""
    if len(target.shape) < 2:
        raise _unfit(target, "orthogonal needs a shape of at least 2 dimensions")
    matrix = _normal(target, 1.0).astype(np.float64).reshape(target.shape[0], -1)
    wide = matrix.shape[0] < matrix.shape[1]
    q, r = np.linalg.qr(matrix.T if wide else matrix)
    q *= np.where(np.diagonal(r) < 0, -init.gain, init.gain)
    return np.ascontiguousarray((q.T if wide else q).reshape(target.shape), np.float32)


def _xavier_std(gain: float, target: Target) -> float:
    return gain * math.sqrt(2 / sum(fans(target)))


def _kaiming_std(init: initializers.KaimingUniform | initializers.KaimingNormal, target: Target) -> float:
    fan_in, fan_out = fans(target)
    return init.gain / math.sqrt(fan_in if init.mode == "fan_in" else fan_out)


def _uniform_of_std(std: float, target: Target) -> Values:
    """U(-a, a) has the standard deviation a / sqrt(3)."""
    bound = math.sqrt(3) * std
    return _uniform(target, -bound, bound)


def _unfit(target: Target, reason: str) -> WeightsError:
    return WeightsError(f"{target.path}: {reason}, got {list(target.shape)}")


DRAWINGS: dict[type[Initializer], Callable[[Any, Target], Values]] = {
    initializers.Zeros: lambda _, target: _constant(0.0, target),
    initializers.Ones: lambda _, target: _constant(1.0, target),
    initializers.Constant: lambda init, target: _constant(init.value, target),
    initializers.Identity: lambda _, target: _identity(target),
    initializers.Normal: lambda init, target: _normal(target, init.std, init.mean),
    initializers.TruncatedNormal: _truncated_normal,
    initializers.Uniform: lambda init, target: _uniform(target, *init.interval),
    initializers.Orthogonal: _orthogonal,
    initializers.XavierUniform: lambda init, target: _uniform_of_std(_xavier_std(init.gain, target), target),
    initializers.XavierNormal: lambda init, target: _normal(target, _xavier_std(init.gain, target)),
    initializers.KaimingUniform: lambda init, target: _uniform_of_std(_kaiming_std(init, target), target),
    initializers.KaimingNormal: lambda init, target: _normal(target, _kaiming_std(init, target)),
}
