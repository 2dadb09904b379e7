"""Layers that cut, move and interpolate elements against torch's own functions: outputs and gradients in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from netspec.analysis.index_bounds import index_bounds
from netspec.backend import find_backend
from netspec.errors import InputError, NetspecError
from netspec.graph.ops import Gather
from netspec.spec import loads
from tests.conformance.test_torch_tensor_layers import Judged, compare_with_torch

Tensor = torch.Tensor
Shapes = Mapping[str, tuple[str | int, ...]]

X: Shapes = {"x": ("batch", 5, 7)}
IMAGE: Shapes = {"x": ("batch", 4, 6, 8)}
SIZED: Shapes = {"x": ("batch", "time", 7)}  # time is 4


def one(fields: str, function: Callable[[Tensor], Any], inputs: Shapes = X, count: int = 1) -> Judged:
    outputs = tuple(f"l:{number}" for number in range(count)) if count > 1 else ("l",)
    return Judged(f"{{name: l, {fields}}}", function, inputs, outputs=outputs)


def shuffled(x: Tensor) -> Tensor:
    return torch.stack([x[:, (c % 2) * 2 + c // 2] for c in range(4)], 1)


def symmetric(x: Tensor) -> Tensor:
    return x[..., [2, 1, 0, *range(7), 6, 5]][:, [0, *range(5)]]


def picked(x: Tensor, index: Tensor) -> Tensor:
    return torch.stack([row[i] for row, i in zip(x, index, strict=True)])


PADS = {
    "constant": one("type: pad, pad: [2, 1, 0, 3], value: -1.5", lambda x: F.pad(x, (2, 1, 0, 3), value=-1.5)),
    "cut": one("type: pad, pad: [-2, 3, 1, -4]", lambda x: F.pad(x, (-2, 3, 1, -4))),
    "reflect": one("type: pad, pad: [6, 5], mode: reflect", lambda x: F.pad(x, (6, 5), mode="reflect")),
    "edge": one("type: pad, pad: [9, 2], mode: edge", lambda x: F.pad(x, (9, 2), mode="replicate")),
    "wrap": one("type: pad, pad: [7, 3], mode: wrap", lambda x: F.pad(x, (7, 3), mode="circular")),
    "symmetric": one("type: pad, pad: [3, 2, 1, 0], mode: symmetric", symmetric),
    "reflect-two": one(
        "type: pad, pad: [3, 0, 2, 5], mode: reflect", lambda x: F.pad(x, (3, 0, 2, 5), mode="reflect"), IMAGE
    ),
    "wrap-two": one(
        "type: pad, pad: [0, 8, 2, 6], mode: wrap", lambda x: F.pad(x, (0, 8, 2, 6), mode="circular"), IMAGE
    ),
}

MOVED = {
    "transpose": one("type: transpose, dim0: -1, dim1: 0", lambda x: x.transpose(-1, 0)),
    "squeeze-all": one("type: squeeze", torch.squeeze, {"x": (3, 1, 4, 1)}),
    "unflatten": one("type: unflatten, dim: 1, unflattened_size: [2, -1]", lambda x: x.unflatten(1, (2, -1)), IMAGE),
    "unflatten-symbolic": one(
        "type: unflatten, dim: -2, unflattened_size: [-1, $(time)]", lambda x: x.unflatten(1, (1, 4)), SIZED
    ),
    "expand": one("type: expand, size: [2, -1, 5, 7]", lambda x: x.expand(2, -1, 5, 7), {"x": ("batch", 1, 7)}),
    "slice": one("type: slice, dim: 1, start: -4, end: -1", lambda x: x[:, -4:-1]),
    "slice-step": one("type: slice, dim: -1, start: 1, step: 3", lambda x: x[..., 1::3]),
    "slice-symbolic": one("type: slice, dim: 1, start: -3, end: $(time - 1), step: 2", lambda x: x[:, -3:3:2], SIZED),
    "split": one("type: split, split_size_or_sections: 3, dim: 2", lambda x: x.split(3, 2), count=3),
    "split-sections": one(
        "type: split, split_size_or_sections: [1, 4, 2], dim: -1", lambda x: x.split([1, 4, 2], 2), count=3
    ),
    "split-symbolic": one(
        "type: split, split_size_or_sections: [1, $(time - 1)], dim: 1", lambda x: x.split([1, 3], 1), SIZED, 2
    ),
    "chunk": one("type: chunk, chunks: 4, dim: 2", lambda x: x.chunk(4, 2), count=4),
    "chunk-fewer": one("type: chunk, chunks: 4, dim: 1", lambda x: x.chunk(4, 1), count=3),
    "unbind": one("type: unbind, dim: -2", lambda x: x.unbind(-2), count=5),
    "flip": one("type: flip, dims: [0, -1]", lambda x: x.flip(0, -1)),
    "roll": one("type: roll, shifts: [2, -9], dims: [1, 2]", lambda x: x.roll((2, -9), (1, 2))),
    "roll-all": one("type: roll, shifts: 23", lambda x: x.roll(23), {"x": (3, 5, 7)}),
    "roll-symbolic": one("type: roll, shifts: -3, dims: 1", lambda x: x.roll(-3, 1), SIZED),
    "pixel_shuffle": one(
        "type: pixel_shuffle, upscale_factor: 2", lambda x: F.pixel_shuffle(x, 2), {"x": ("batch", 8, 3, "time")}
    ),
    "pixel_unshuffle": one("type: pixel_unshuffle, downscale_factor: 2", lambda x: F.pixel_unshuffle(x, 2), IMAGE),
    "channel_shuffle": one("type: channel_shuffle, groups: 2", shuffled, IMAGE),
    "gather": Judged(
        "{name: l, type: gather, dim: 1, from: [x, index]}",
        lambda x, index: x.gather(1, index),
        {"x": (4, 5, 7), "index": (3, 9, 7)},
        {"index": 5},
    ),
    "gather-one": Judged(
        "{name: l, type: gather, dim: -1, from: [x, index]}",
        lambda x, index: x.gather(-1, index),
        {"x": ("batch", 5, 7), "index": ("batch", 1, 2)},
        {"index": 7},
    ),
    "take": Judged(
        "{name: l, type: take, from: [x, index]}",
        picked,
        {"x": ("batch", 5, 7), "index": ("batch",)},
        {"index": 5},
    ),
    "take-several": Judged(
        "{name: l, type: take, from: [x, index]}",
        picked,
        {"x": ("batch", 5, 2, 3), "index": ("batch", 6)},
        {"index": 5},
    ),
}


def scaled(mode: str, **options: Any) -> Callable[[Tensor], Tensor]:
    return lambda x: F.interpolate(x, mode=mode, **options)


SPATIAL: Shapes = {"x": ("batch", 2, "time", 5)}  # time is 4
ROW: Shapes = {"x": ("batch", 2, 11)}
VOLUME: Shapes = {"x": ("batch", 2, 3, 4, 5)}
INTERPOLATED = {
    "nearest-up": one("type: interpolate, scale_factor: 2", scaled("nearest", scale_factor=2), SPATIAL),
    "nearest-ratio": one("type: interpolate, size: [9, 7]", scaled("nearest", size=(9, 7)), IMAGE),
    "nearest-down": one("type: interpolate, size: [2, 3]", scaled("nearest", size=(2, 3)), IMAGE),
    "nearest-scale": one("type: interpolate, scale_factor: 0.7", scaled("nearest", scale_factor=0.7), ROW),
    "nearest-same": one("type: interpolate, scale_factor: 1.05", scaled("nearest", scale_factor=1.05), IMAGE),
    "nearest-symbolic": one(
        "type: interpolate, scale_factor: [1.5, 0.4]", scaled("nearest", scale_factor=(1.5, 0.4)), SPATIAL
    ),
    "nearest_exact": one(
        "type: interpolate, mode: nearest_exact, size: [9, 3]", scaled("nearest-exact", size=(9, 3)), IMAGE
    ),
    "nearest_exact-symbolic": one(
        "type: interpolate, mode: nearest_exact, scale_factor: [0.5, 1.5]",
        scaled("nearest-exact", scale_factor=(0.5, 1.5)),
        SPATIAL,
    ),
    "linear-row": one("type: interpolate, mode: linear, size: 17", scaled("linear", size=17), ROW),
    "linear-down": one("type: interpolate, mode: linear, scale_factor: 0.3", scaled("linear", scale_factor=0.3), ROW),
    "linear-same": one("type: interpolate, mode: linear, scale_factor: 1.05", scaled("linear", scale_factor=1.05), ROW),
    "linear-symbolic": one(
        "type: interpolate, mode: linear, scale_factor: [3, 2]", scaled("bilinear", scale_factor=(3, 2)), SPATIAL
    ),
    "linear-phases": one(
        "type: interpolate, mode: linear, scale_factor: [2.3, 0.75]",
        scaled("bilinear", scale_factor=(2.3, 0.75)),
        IMAGE,
    ),
    "linear-symbolic-phases": one(
        "type: interpolate, mode: linear, scale_factor: [2.25, 1.5]",
        scaled("bilinear", scale_factor=(2.25, 1.5)),
        SPATIAL,
    ),
    "linear-corners": one(
        "type: interpolate, mode: linear, coords: align_corners, size: [11, 1]",
        scaled("bilinear", size=(11, 1), align_corners=True),
        IMAGE,
    ),
    "linear-volume": one(
        "type: interpolate, mode: linear, size: [6, 3, 7]", scaled("trilinear", size=(6, 3, 7)), VOLUME
    ),
    "cubic-phases": one(
        "type: interpolate, mode: cubic, scale_factor: [1.5, 0.7]", scaled("bicubic", scale_factor=(1.5, 0.7)), SPATIAL
    ),
    "cubic": one("type: interpolate, mode: cubic, size: [13, 5]", scaled("bicubic", size=(13, 5)), IMAGE),
    "cubic-symbolic": one(
        "type: interpolate, mode: cubic, scale_factor: [2, 0.5]", scaled("bicubic", scale_factor=(2, 0.5)), SPATIAL
    ),
    "cubic-corners": one(
        "type: interpolate, mode: cubic, coords: align_corners, scale_factor: 1.7",
        scaled("bicubic", scale_factor=1.7, align_corners=True),
        IMAGE,
    ),
}

JUDGED = {
    **MOVED,
    **{f"pad-{name}": judged for name, judged in PADS.items()},
    **{f"interpolate-{name}": judged for name, judged in INTERPOLATED.items()},
}


@pytest.mark.parametrize("name", JUDGED)
def test_layer_means_what_torch_means(name: str) -> None:
    compare_with_torch(JUDGED[name])


@pytest.mark.parametrize("name", ["interpolate-linear-corners", "interpolate-cubic", "interpolate-linear-volume"])
def test_what_is_too_large_for_a_matrix_is_gathered(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netspec.layers.resampling._LARGEST_MATRIX", 0)
    judged = INTERPOLATED[name.removeprefix("interpolate-")]
    assert any(isinstance(node.op, Gather) for node in judged.spec.inference.primitives())
    compare_with_torch(judged)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("name", ["take", "gather"])
def test_an_index_out_of_range_is_refused_on_the_host(name: str, backend: str) -> None:
    judged = JUDGED[name]
    model = find_backend(backend).compile(judged.spec.graphs, {}, "float64")
    for bad in (5, -1):
        arrays = judged.draw()
        arrays["index"].flat[-1] = bad
        with pytest.raises(InputError, match=f"input index: indices must be from 0 to 4, got {bad}"):
            model(**arrays)


def test_an_index_is_followed_through_what_moves_it() -> None:
    layers = [
        "{name: flip, type: flip, dims: 1, from: words}",
        "{name: slice, type: slice, dim: 1, start: 1}",
        "{name: taken, type: take, from: [slice, places]}",
        "{name: table, type: embedding, num_embeddings: 5, embedding_dim: 2, from: taken}",
    ]
    inputs = "words: {shape: [batch, 4], dtype: int64}, places: {shape: [batch], dtype: int64}"
    spec = loads(f"{{netspec: 1, inputs: {{{inputs}}}, layers: [{', '.join(layers)}]}}")
    assert index_bounds(spec.inference) == {"words": (5,), "places": (3,)}


def test_what_pad_adds_must_be_in_range_too() -> None:
    layers = "{type: pad, pad: [1, 0], value: 5, from: words}, {type: embedding, num_embeddings: 5, embedding_dim: 2}"
    with pytest.raises(NetspecError, match="takes indices below 5, and one is 5"):
        loads(f"{{netspec: 1, inputs: {{words: {{shape: [batch, 4], dtype: int64}}}}, layers: [{layers}]}}")
