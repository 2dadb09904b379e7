"""What a comparison found, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class FirstDifference:
    """The first node, in the order of running, where a backend leaves the reference.

    `line` is where its entry is written; `error` is divided by the scale of the tensor.
    """

    node: str
    line: str
    error: float


@dataclass(frozen=True)
class TensorError:
    """One tensor that was compared: `error` is max |a - b| over the scale, `limit` what is allowed.

    `kind` is output, gradient or buffer. `floored` says that the scale is the floor of all gradients, `ill` that the
    tensor moves by more than 1000 roundings when its inputs move by one (float32 only), `cancelled` that it is next to
    nothing beside the numbers which cancel in it: in float64 the scale is theirs then.
    """

    name: str
    kind: str
    error: float
    limit: float
    floored: bool = False
    ill: bool = False
    cancelled: bool = False

    @property
    def agrees(self) -> bool:
        return self.error <= self.limit


@dataclass(frozen=True)
class BackendReport:
    """One backend against the reference. Errors are the largest ones of their kind; None was not compared.

    `problems` are differences that are no numbers: a missing gradient, another shape, a NaN in another place. `dtype`
    is the type that it computed in: not that of the report where the backend does not have it, as ONNX.
    """

    agree: bool
    max_output_error: float | None
    max_gradient_error: float | None
    max_buffer_error: float | None
    params: int
    first_difference: FirstDifference | None = None
    note: str | None = None
    problems: tuple[str, ...] = ()
    tensors: tuple[TensorError, ...] = field(default=(), repr=False)
    dtype: str = "float32"

    @property
    def floored(self) -> int:
        """How many gradients were judged by the floor, being zero but for rounding."""
        return sum(tensor.floored for tensor in self.tensors)

    @property
    def cancelled(self) -> int:
        """How many tensors were judged by the numbers that cancel in them, being small beside those."""
        return sum(tensor.cancelled for tensor in self.tensors)

    @property
    def ill_conditioned(self) -> tuple[str, ...]:
        """Tensors whose float32 error says little, as they move by more than 1000 roundings."""
        return tuple(tensor.name for tensor in self.tensors if tensor.ill)


@dataclass(frozen=True)
class Report:
    """A comparison of all backends: `agree` is whether every one of them agrees with the float64 reference."""

    dtype: str
    train: bool
    backends: Mapping[str, BackendReport]

    @property
    def agree(self) -> bool:
        return all(backend.agree for backend in self.backends.values())

    def to_json(self) -> dict[str, Any]:
        """Plain data, as `netspec verify --format json` prints it."""
        return {
            "agree": self.agree,
            "dtype": self.dtype,
            "train": self.train,
            "backends": {name: _backend_json(backend) for name, backend in self.backends.items()},
        }


def _backend_json(backend: BackendReport) -> dict[str, Any]:
    first = backend.first_difference
    return {
        "agree": backend.agree,
        "max_output_error": _finite(backend.max_output_error),
        "max_gradient_error": _finite(backend.max_gradient_error),
        "max_buffer_error": _finite(backend.max_buffer_error),
        "params": backend.params,
        "dtype": backend.dtype,
        "first_difference": None
        if first is None
        else {"node": first.node, "line": first.line, "error": _finite(first.error)},
        "note": backend.note,
        "problems": list(backend.problems),
        "gradients_judged_by_floor": backend.floored,
        "tensors_judged_by_cancelling_terms": backend.cancelled,
        "ill_conditioned": list(backend.ill_conditioned),
    }


LARGEST = 1.7976931348623157e308


def _finite(error: float | None) -> float | None:
    """JSON has no infinity and no NaN: an error without bound is the largest float."""
    if error is None or error < LARGEST:
        return error
    return LARGEST
