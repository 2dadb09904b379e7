"""What convolutions and pools over lines and volumes refuse: shapes and fields."""

from __future__ import annotations

from typing import Any

import pytest

from netspec import layers
from netspec.errors import NetspecError, ShapeError
from netspec.layers.base import Layer
from netspec.layers.validation import FieldsError, construct
from netspec.spec import loads
from tests.core.layer_graphs import B, H, Shape, T, shape_of

LINE, VOLUME = (B, 6, 11), (B, 4, 7, 6, 5)
SHAPES: list[tuple[Layer, Shape, str]] = [
    (layers.Conv1d(out_channels=2, kernel_size=3), (B, 3, 8, 8), r"must be \[batch, channels, length\], got"),
    (layers.Conv3d(out_channels=2, kernel_size=3), (B, 3, 8, 8), r"must be \[batch, channels, depth, height, width\]"),
    (layers.MaxPool1d(kernel_size=3), (B, 8), r"must be \[batch, channels, length\], got \[batch, 8\]"),
    (layers.AvgPool3d(kernel_size=3), LINE, r"must be \[batch, channels, depth, height, width\]"),
    (layers.AdaptiveMaxPool2d(output_size=3), LINE, r"must be \[batch, channels, height, width\]"),
    (layers.GlobalMaxPool(), (B, 6), r"must be \[batch, channels, \*spatial\], got \[batch, 6\]"),
    (layers.Conv1d(out_channels=4, kernel_size=3, groups=4), LINE, "in_channels 6 is not divisible by groups 4"),
    (layers.Conv3d(out_channels=3, kernel_size=3, groups=2), VOLUME, "out_channels 3 is not divisible by groups 2"),
    (layers.ConvTranspose1d(out_channels=4, kernel_size=3), (B, T, 8), "number of channels must be known, got time"),
    (
        layers.Conv1d(out_channels=2, kernel_size=4, dilation=4),
        LINE,
        r"a window of 13 does not fit: 11 \+ 0 \+ 0 of padding is 11",
    ),
    (
        layers.Conv3d(out_channels=2, kernel_size=(1, 1, 8), padding=1),
        VOLUME,
        r"a window of 8 does not fit: 5 \+ 1 \+ 1 of padding is 7",
    ),
    (layers.MaxPool3d(kernel_size=(1, 7, 1)), VOLUME, "a window of 7 does not fit"),
    (layers.MaxPool1d(kernel_size=3, padding=2), LINE, "padding 2 is more than half of kernel_size 3"),
    (
        layers.AvgPool3d(kernel_size=(2, 4, 3), padding=(1, 2, 2)),
        VOLUME,
        "padding 2 is more than half of kernel_size 3",
    ),
    (
        layers.ConvTranspose3d(out_channels=2, kernel_size=3, stride=(2, 3, 1), output_padding=(1, 2, 1)),
        VOLUME,
        "output_padding 1 is not below the larger of stride 1 and dilation 1",
    ),
    (
        layers.ConvTranspose1d(out_channels=2, kernel_size=3, stride=2, padding="same", output_padding=1),
        LINE,
        "output_padding does not go with padding same",
    ),
    (layers.ConvTranspose1d(out_channels=2, kernel_size=1, padding=6), LINE, "nothing is left"),
    (layers.AdaptiveAvgPool3d(output_size=2), (B, 4, 6, H, 4), "its output_size must be 1"),
    (layers.AdaptiveMaxPool1d(output_size=2), (B, 4, T), "a size of time is known to the call alone"),
    (layers.AdaptiveMaxPool2d(output_size=(2, 1)), (B, 4, T, H), "a size of time is known to the call alone"),
]
FIELDS: list[tuple[type[Layer], dict[str, Any], str]] = [
    (
        layers.Conv1d,
        {"out_channels": 2, "kernel_size": [3, 3]},
        "kernel_size: expected a positive integer or a list of one",
    ),
    (
        layers.Conv3d,
        {"out_channels": 2, "kernel_size": [3, 3]},
        "kernel_size: expected a positive integer or three of them",
    ),
    (layers.Conv3d, {"out_channels": 2, "kernel_size": 3, "stride": 0}, "stride: expected a positive integer"),
    (layers.Conv1d, {"out_channels": 2, "kernel_size": 3, "padding": -1}, r"\[\[begin, end\]\], same or same_lower"),
    (layers.Conv1d, {"out_channels": 2, "kernel_size": 3, "padding": [1, 2]}, "padding: expected an integer from 0 up"),
    (layers.ConvTranspose3d, {"out_channels": 2, "kernel_size": 3, "padding": "same_lower"}, "or same, got text"),
    (layers.MaxPool1d, {"kernel_size": 0}, "kernel_size: expected a positive integer"),
    (
        layers.AvgPool3d,
        {"kernel_size": 2, "padding": [1, 1]},
        "padding: expected an integer from 0 up or three of them",
    ),
    (layers.AdaptiveMaxPool3d, {"output_size": [1, 2]}, "output_size: expected a positive integer or three of them"),
    (layers.MaxPool1d, {"kernel_size": 2, "ceil_mode": 1}, "ceil_mode: expected true or false"),
]


@pytest.mark.parametrize(("layer", "shape", "message"), SHAPES)
def test_a_shape_is_refused(layer: Layer, shape: Shape, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        shape_of(layer, shape)


@pytest.mark.parametrize(("cls", "fields", "message"), FIELDS)
def test_a_field_is_refused(cls: type[Layer], fields: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldsError, match=message):
        construct(cls, fields)


@pytest.mark.parametrize("layer", ["adaptive_avg_pool1d", "adaptive_max_pool1d"])
@pytest.mark.parametrize("size", [1, 4, 3, 8])
def test_bins_are_of_floats_however_many_there_are(layer: str, size: int) -> None:
    """As many as elements were taken of any type, and others refused."""
    given = f"inputs: {{x: {{shape: [b, 2, 8], dtype: int32}}}}, layers: [{{type: {layer}, output_size: {size}}}]"
    with pytest.raises(NetspecError, match=r"floating-point numbers are needed here, not int32\[b, 2, 8\]"):
        _ = loads(f"{{netspec: 1, {given}}}").inference
