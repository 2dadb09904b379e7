"""What a mistake replaces in the tables of a backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from netspec.backend import Fused, Lowerings


@dataclass(frozen=True)
class Tables:
    """Entries that stand in for those of the real tables."""

    lowerings: Lowerings = field(default_factory=dict)
    fused: Fused = field(default_factory=dict)


def fused(layer: type, form: Callable[..., Any]) -> Tables:
    return Tables(fused={layer: form})


def body(*_: Any, **__: Any) -> Any:
    """Instead of a fused form: the layer's body runs, so that a mistake in a lowering shows."""
    return NotImplemented


def without_scale(real: Callable[..., Any], scale: float) -> Callable[..., Any]:
    """A lowering of Constant that forgets one number of a formula."""

    def wrong(*, value: float, **attributes: Any) -> Any:
        return real(value=1.0 if abs(value - scale) < 1e-9 else value, **attributes)

    return wrong
