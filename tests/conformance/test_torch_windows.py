"""Convolution and pooling over lines and volumes, and maxima of bins, against torch.nn with the same weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from tests.conformance.judging import Judged, judge

LINE = (3, 6, 11)
IMAGE = (3, 6, 11, 8)
VOLUME = (2, 4, 7, 6, 5)
SHAPES = {1: LINE, 2: IMAGE, 3: VOLUME}
CONVOLUTIONS: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED: dict[int, Any] = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
MAX_POOLS: dict[int, Any] = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVERAGE_POOLS: dict[int, Any] = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
ADAPTIVE_AVERAGES: dict[int, Any] = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
ADAPTIVE_MAXIMA: dict[int, Any] = {1: nn.AdaptiveMaxPool1d, 2: nn.AdaptiveMaxPool2d, 3: nn.AdaptiveMaxPool3d}

Fields = dict[str, Any]


class Border(nn.Module):
    """Zeros around the spatial axes, or with negative numbers less of them: (begin, end) for each."""

    def __init__(self, *pairs: tuple[int, int]) -> None:
        super().__init__()
        self.sides = [side for pair in reversed(pairs) for side in pair]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.pad(x, self.sides)


def written(type: str, fields: Fields) -> str:
    """The entry as netspec writes it."""
    named = "".join(
        f", {name}: {[*map(list, value)] if nested(value) else shown(value)}" for name, value in fields.items()
    )
    return f"{{type: {type}{named}}}"


def nested(value: Any) -> bool:
    return isinstance(value, tuple) and isinstance(value[0], tuple)


def shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(list(value)) if isinstance(value, tuple) else str(value)


def conv(spatial: int, out_channels: int = 4, **fields: Any) -> Judged:
    layer = {"out_channels": out_channels, **fields}
    module = partial(CONVOLUTIONS[spatial], SHAPES[spatial][1], out_channels, **fields)
    return Judged(written(f"conv{spatial}d", layer), module, SHAPES[spatial])


def padded_conv(spatial: int, padding: Any, pairs: tuple[tuple[int, int], ...], **fields: Any) -> Judged:
    """A convolution whose padding torch has not: the border is made before it, as given by hand."""
    layer = {"out_channels": 4, **fields, "padding": padding}
    make = partial(CONVOLUTIONS[spatial], SHAPES[spatial][1], 4, **fields)
    return Judged(
        written(f"conv{spatial}d", layer),
        lambda: nn.Sequential(Border(*pairs), make()),
        SHAPES[spatial],
        tensors={"weight": "1.weight", "bias": "1.bias"},
    )


def transposed(spatial: int, out_channels: int = 4, **fields: Any) -> Judged:
    layer = {"out_channels": out_channels, **fields}
    module = partial(TRANSPOSED[spatial], SHAPES[spatial][1], out_channels, **fields)
    return Judged(written(f"conv_transpose{spatial}d", layer), module, SHAPES[spatial])


def cut_transposed(
    spatial: int, padding: Any, cut: tuple[tuple[int, int], ...], added: tuple[int, ...] | int = 0, **fields: Any
) -> Judged:
    """A transposed convolution whose crops torch has not: the whole result is cut behind it, as given by hand."""
    layer = {"out_channels": 4, **fields, "padding": padding}
    make = partial(TRANSPOSED[spatial], SHAPES[spatial][1], 4, output_padding=added, **fields)
    return Judged(
        written(f"conv_transpose{spatial}d", layer),
        lambda: nn.Sequential(make(), Border(*((-begin, -end) for begin, end in cut))),
        SHAPES[spatial],
        tensors={"weight": "0.weight", "bias": "0.bias"},
    )


def pool(type: str, modules: dict[int, Any], spatial: int, **fields: Any) -> Judged:
    module = partial(modules[spatial], **fields)
    return Judged(written(f"{type}_pool{spatial}d", fields), module, SHAPES[spatial], rounded="max" in type)


largest, average = partial(pool, "max", MAX_POOLS), partial(pool, "avg", AVERAGE_POOLS)
bin_means = partial(pool, "adaptive_avg", ADAPTIVE_AVERAGES)
bin_maxima = partial(pool, "adaptive_max", ADAPTIVE_MAXIMA)


def numbered(name: str, *cases: Judged) -> dict[str, Judged]:
    return {f"{name}-{number}": case for number, case in enumerate(cases)}


JUDGED: dict[str, Judged] = {
    **numbered(
        "conv1d",
        conv(1, kernel_size=3),
        conv(1, kernel_size=4, stride=3, padding=2),
        conv(1, kernel_size=2, stride=3, bias=False),
        conv(1, kernel_size=3, stride=2, dilation=3, padding=1),
        conv(1, kernel_size=(11,), dilation=(1,)),
        conv(1, kernel_size=4, padding="same", dilation=2),
        conv(1, 9, kernel_size=2, groups=3, stride=2),
        conv(1, 12, kernel_size=3, groups=6, padding=1),
        conv(1, kernel_size=1, stride=2),
        padded_conv(1, "same", ((1, 1),), kernel_size=4, stride=3),  # 11 by 3 gives 4 windows: 9 + 4 - 11 zeros
        padded_conv(1, "same_lower", ((2, 1),), kernel_size=4),
        padded_conv(1, ((0, 3),), ((0, 3),), kernel_size=3, stride=2),
    ),
    **numbered(
        "conv3d",
        conv(3, kernel_size=2),
        conv(3, kernel_size=(3, 2, 1), stride=(2, 1, 3), padding=(1, 0, 2)),
        conv(3, kernel_size=2, stride=3, bias=False),
        conv(3, kernel_size=(2, 3, 2), dilation=(3, 2, 1), stride=(1, 2, 2), padding=1),
        conv(3, kernel_size=(7, 6, 5)),
        padded_conv(3, "same", ((0, 1), (1, 1), (1, 2)), kernel_size=(2, 3, 4)),
        conv(3, 6, kernel_size=2, groups=2, stride=2),
        conv(3, 8, kernel_size=(2, 3, 3), groups=4, padding=(0, 1, 1), dilation=(2, 1, 1)),
        conv(3, kernel_size=1),
        padded_conv(3, "same", ((1, 1), (0, 1), (1, 1)), kernel_size=3, stride=2),
        padded_conv(3, "same_lower", ((1, 1), (1, 0), (1, 1)), kernel_size=3, stride=2),
        padded_conv(3, ((0, 1), (2, 0), (1, 3)), ((0, 1), (2, 0), (1, 3)), kernel_size=2),
    ),
    **numbered(
        "conv_transpose1d",
        transposed(1, kernel_size=3),
        transposed(1, kernel_size=3, stride=2, padding=1, output_padding=1),
        transposed(1, kernel_size=2, stride=3, output_padding=2, bias=False),
        transposed(1, kernel_size=3, dilation=4, stride=2, output_padding=3, padding=1),
        transposed(1, 9, kernel_size=2, groups=3, stride=3),
        transposed(1, 12, kernel_size=4, groups=6, stride=2, padding=1),
        transposed(1, kernel_size=2, padding=3),
        cut_transposed(1, "same", ((0, 1),), kernel_size=3, stride=2),
        cut_transposed(1, "same", ((0, 0),), 1, kernel_size=2, stride=3),
        cut_transposed(1, ((3, 0),), ((3, 0),), kernel_size=4, stride=2),
    ),
    **numbered(
        "conv_transpose3d",
        transposed(3, kernel_size=2),
        transposed(3, kernel_size=3, stride=2, padding=1, output_padding=1),
        transposed(3, kernel_size=(1, 2, 3), stride=(3, 2, 1), output_padding=(2, 0, 0), bias=False),
        transposed(3, kernel_size=2, dilation=(1, 2, 3), stride=(2, 1, 2), padding=(0, 1, 1), output_padding=(1, 0, 2)),
        transposed(3, 6, kernel_size=2, groups=2, stride=2),
        transposed(3, 8, kernel_size=(2, 3, 2), groups=4, stride=2, padding=(0, 1, 0), dilation=(2, 1, 1)),
        cut_transposed(3, "same", ((0, 1), (1, 1), (0, 0)), (0, 0, 1), kernel_size=(3, 4, 2), stride=(2, 2, 3)),
        cut_transposed(3, ((0, 2), (1, 0), (3, 1)), ((0, 2), (1, 0), (3, 1)), kernel_size=4, stride=(1, 2, 3)),
    ),
    **numbered(
        "max_pool1d",
        largest(1, kernel_size=3),
        largest(1, kernel_size=(3,), stride=2, padding=1),
        largest(1, kernel_size=2, stride=3, padding=1, ceil_mode=True),
        largest(1, kernel_size=11),
    ),
    **numbered(
        "max_pool3d",
        largest(3, kernel_size=2),
        largest(3, kernel_size=(3, 2, 3), stride=(2, 1, 3), padding=1),
        largest(3, kernel_size=(2, 4, 3), stride=(3, 1, 2), padding=(1, 2, 0), ceil_mode=True),
        largest(3, kernel_size=(7, 6, 5)),
    ),
    **numbered(
        "avg_pool1d",
        average(1, kernel_size=3),
        average(1, kernel_size=4, stride=3, padding=2),
        average(1, kernel_size=4, stride=3, padding=1, count_include_pad=False),
        average(1, kernel_size=4, stride=3, padding=2, ceil_mode=True),
        average(1, kernel_size=3, stride=4, padding=1, ceil_mode=True, count_include_pad=False),
    ),
    **numbered(
        "avg_pool3d",
        average(3, kernel_size=2),
        average(3, kernel_size=(3, 2, 1), stride=(2, 3, 1), padding=(1, 0, 0)),
        average(3, kernel_size=3, stride=2, padding=1, count_include_pad=False),
        average(3, kernel_size=(4, 2, 3), stride=(2, 3, 3), padding=(2, 1, 0), ceil_mode=True),
        average(3, kernel_size=(2, 3, 3), stride=3, padding=1, ceil_mode=True, count_include_pad=False),
    ),
    **numbered("adaptive_avg_pool1d", *(bin_means(1, output_size=count) for count in (1, 3, (7,), 11, 14, 22))),
    **numbered(
        "adaptive_avg_pool3d", *(bin_means(3, output_size=counts) for counts in (1, 3, (7, 2, 1), (2, 4, 9), (1, 3, 5)))
    ),
    **numbered("adaptive_max_pool1d", *(bin_maxima(1, output_size=count) for count in (1, 3, (7,), 11, 14, 22))),
    **numbered(
        "adaptive_max_pool2d",
        *(bin_maxima(2, output_size=counts) for counts in (1, 4, (11, 4), (3, 8), (5, 3), (13, 9))),
    ),
    **numbered(
        "adaptive_max_pool3d",
        *(bin_maxima(3, output_size=counts) for counts in (1, 3, (7, 2, 1), (2, 4, 9), (1, 3, 5))),
    ),
}


@pytest.mark.parametrize("name", JUDGED)
def test_window_means_what_torch_means(name: str) -> None:
    judge(JUDGED[name])


class Largest(nn.Module):
    """The reduction over all spatial axes; amax shares its gradient evenly among equals."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.amax(x, tuple(range(2, x.dim())))


@pytest.mark.parametrize("shape", SHAPES.values())
def test_global_pools_are_the_reductions(shape: tuple[int, ...]) -> None:
    judge(Judged("global_max_pool", Largest, shape, rounded=True))
    mean: Callable[[], nn.Module] = lambda: nn.Sequential(nn.Flatten(2), nn.AdaptiveAvgPool1d(1), nn.Flatten())  # noqa: E731
    judge(Judged("global_avg_pool", mean, shape))
