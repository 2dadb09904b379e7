"""Mistakes in windows, loops and branches that are the same on every framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netspec.backend import Lowerings
from netspec.graph import ops
from netspec.graph.ops.products import Pairs
from netspec.layers.convolution import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from netspec.layers.pooling import AvgPool1d, AvgPool2d, AvgPool3d

from .control import control_mistakes
from .tables import Tables, body


def shared_mistakes(lowerings: Lowerings) -> dict[str, Tables]:
    """Mistakes in the attributes and inputs that a lowering is called with."""
    return {
        "padding_side": _padded(lowerings, _other_side),
        "same_symmetric": _padded(lowerings, _symmetric),
        "pool_divisor": Tables({ops.AveragePool: _other_divisor(lowerings[ops.AveragePool])}),
        "pool_beyond": _pool_beyond(lowerings),
        "crop_shifted": _crop_shifted(lowerings),
        **control_mistakes(lowerings),
    }


def _padded(lowerings: Lowerings, change: Callable[[Pairs, tuple[int, ...]], Pairs]) -> Tables:
    real = lowerings[ops.Convolution]

    def wrong(*inputs: Any, padding: Pairs, stride: tuple[int, ...], **attributes: Any) -> Any:
        return real(*inputs, padding=change(padding, stride), stride=stride, **attributes)

    return Tables({ops.Convolution: wrong}, dict.fromkeys((Conv1d, Conv2d, Conv3d), body))


def _other_side(padding: Pairs, stride: tuple[int, ...]) -> Pairs:
    return tuple((end, begin) for begin, end in padding)


def _symmetric(padding: Pairs, stride: tuple[int, ...]) -> Pairs:
    """As torch's users pad by hand: (1, 1) for a kernel of 3 at stride 2, where `same` is (0, 1)."""
    return padding if max(stride) == 1 else tuple((max(pair), max(pair)) for pair in padding)


def _other_divisor(real: Callable[..., Any]) -> Callable[..., Any]:
    def wrong(*inputs: Any, count_include_pad: bool, **attributes: Any) -> Any:
        return real(*inputs, count_include_pad=not count_include_pad, **attributes)

    return wrong


def _pool_beyond(lowerings: Lowerings) -> Tables:
    """What a window of `ceil_mode` reaches beyond the padding counts."""
    real = lowerings[ops.AveragePool]

    def wrong(*inputs: Any, uncounted: tuple[int, ...], **attributes: Any) -> Any:
        return real(*inputs, uncounted=(0,) * len(uncounted), **attributes)

    return Tables({ops.AveragePool: wrong}, dict.fromkeys((AvgPool1d, AvgPool2d, AvgPool3d), body))


def _crop_shifted(lowerings: Lowerings) -> Tables:
    """A transposed convolution loses one more at the start, and one less at the end."""
    real = lowerings[ops.TransposedConvolution]

    def wrong(*inputs: Any, padding: Pairs, **attributes: Any) -> Any:
        shifted = tuple((begin + 1, end - 1) if end > 0 else (begin, end) for begin, end in padding)
        return real(*inputs, padding=shifted, **attributes)

    layers = (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)
    return Tables({ops.TransposedConvolution: wrong}, dict.fromkeys(layers, body))
