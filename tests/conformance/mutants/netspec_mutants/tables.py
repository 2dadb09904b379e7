"""What a mistake replaces, and the mistakes that are the same on every framework."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from netspec.backend import Fused, Lowerings
from netspec.graph import ops
from netspec.graph.ops.products import Pairs
from netspec.layers.convolution import Conv2d


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


def shared_mistakes(lowerings: Lowerings) -> dict[str, Tables]:
    """Mistakes in the attributes and inputs that a lowering is called with."""
    return {
        "padding_side": _padded(lowerings, _other_side),
        "same_symmetric": _padded(lowerings, _symmetric),
        "pool_divisor": Tables({ops.AveragePool: _other_divisor(lowerings[ops.AveragePool])}),
    }


def _padded(lowerings: Lowerings, change: Callable[[Pairs, tuple[int, ...]], Pairs]) -> Tables:
    real = lowerings[ops.Convolution]

    def wrong(*inputs: Any, padding: Pairs, stride: tuple[int, ...], **attributes: Any) -> Any:
        return real(*inputs, padding=change(padding, stride), stride=stride, **attributes)

    return Tables({ops.Convolution: wrong}, {Conv2d: body})


def _other_side(padding: Pairs, stride: tuple[int, ...]) -> Pairs:
    return tuple((end, begin) for begin, end in padding)


def _symmetric(padding: Pairs, stride: tuple[int, ...]) -> Pairs:
    """As torch's users pad by hand: (1, 1) for a kernel of 3 at stride 2, where `same` is (0, 1)."""
    return padding if max(stride) == 1 else tuple((max(pair), max(pair)) for pair in padding)


def _other_divisor(real: Callable[..., Any]) -> Callable[..., Any]:
    def wrong(*inputs: Any, count_include_pad: bool, **attributes: Any) -> Any:
        return real(*inputs, count_include_pad=not count_include_pad, **attributes)

    return wrong


def without_scale(real: Callable[..., Any], scale: float) -> Callable[..., Any]:
    """A lowering of Constant that forgets one number of a formula."""

    def wrong(*, value: float, **attributes: Any) -> Any:
        return real(value=1.0 if abs(value - scale) < 1e-9 else value, **attributes)

    return wrong
