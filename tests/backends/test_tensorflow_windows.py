"""Convolution and pooling on TensorFlow: every choice of lowering, with gradients, with oneDNN and without it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import netspec.layers as L
import netspec_tensorflow
from netspec.graph.dims import Size
from netspec.layers.base import Layer
from netspec_tensorflow.start_up import import_tensorflow
from tests.backends.graphs import BATCH, HEIGHT, WIDTH, chain
from tests.backends.tensorflow_graphs import agree_with_reference, draw

ONEDNN = os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0"

CONVOLUTIONS = {
    "plain": L.Conv2d(out_channels=6, kernel_size=3, bias=False),
    "one by one": L.Conv2d(out_channels=5, kernel_size=1, stride=(3, 2)),
    "same as TensorFlow's same": L.Conv2d(out_channels=6, kernel_size=3, padding=1),
    "odd zero at the end": L.Conv2d(out_channels=6, kernel_size=(2, 4), padding=((0, 1), (1, 2))),
    "odd zero at the start": L.Conv2d(out_channels=6, kernel_size=(2, 4), padding="same_lower"),
    "more zeros than same": L.Conv2d(out_channels=6, kernel_size=(3, 2), padding=(1, 2)),
    "symmetric at stride 2": L.Conv2d(out_channels=6, kernel_size=3, stride=2, padding=1),
    "same at stride 2": L.Conv2d(out_channels=6, kernel_size=(3, 2), stride=2, padding="same"),
    "same_lower at stride 2": L.Conv2d(out_channels=6, kernel_size=(3, 2), stride=2, padding="same_lower"),
    "kernel below stride": L.Conv2d(out_channels=6, kernel_size=2, stride=3, padding=1),
    "dilated": L.Conv2d(out_channels=6, kernel_size=3, dilation=2, padding=2),
    "dilated in one direction": L.Conv2d(out_channels=6, kernel_size=(3, 2), dilation=(1, 3)),
    "dilated at stride 2": L.Conv2d(out_channels=6, kernel_size=3, dilation=2, stride=2, padding=2),
    "dilated same at stride 2": L.Conv2d(out_channels=6, kernel_size=3, dilation=2, stride=(2, 3), padding="same"),
    "two groups": L.Conv2d(out_channels=6, kernel_size=3, groups=2, padding=(1, 0)),
    "two groups at stride 2": L.Conv2d(out_channels=6, kernel_size=3, groups=2, stride=(2, 1), padding="same"),
    "two groups, dilated": L.Conv2d(out_channels=6, kernel_size=3, groups=2, dilation=(2, 1), padding="same"),
    "two groups, dilated at stride 2": L.Conv2d(out_channels=6, kernel_size=3, groups=2, dilation=2, stride=2),
    "depthwise": L.Conv2d(out_channels=4, kernel_size=3, groups=4, padding=1),
    "depthwise, three filters each": L.Conv2d(out_channels=12, kernel_size=(3, 2), groups=4, stride=2, padding=1),
    "depthwise, dilated": L.Conv2d(out_channels=8, kernel_size=3, groups=4, dilation=(2, 1), padding="same"),
    "depthwise, unequal strides": L.Conv2d(out_channels=8, kernel_size=3, groups=4, stride=(1, 2), padding="same"),
    "depthwise, dilated at stride 2": L.Conv2d(
        out_channels=8, kernel_size=3, groups=4, dilation=2, stride=2, padding=1
    ),
}
TRANSPOSED = {
    "plain": L.ConvTranspose2d(out_channels=6, kernel_size=3, bias=False),
    "doubled": L.ConvTranspose2d(out_channels=6, kernel_size=4, stride=2, padding=1),
    "same": L.ConvTranspose2d(out_channels=6, kernel_size=(3, 5), stride=(2, 3), padding="same"),
    "same, kernel below stride": L.ConvTranspose2d(out_channels=6, kernel_size=(2, 1), stride=3, padding="same"),
    "one side, zeros behind": L.ConvTranspose2d(
        out_channels=6, kernel_size=3, stride=(3, 2), padding=((2, 0), (0, 3)), output_padding=(2, 1)
    ),
    "dilated": L.ConvTranspose2d(out_channels=6, kernel_size=3, dilation=2, padding=1, output_padding=1),
    "dilated at stride 2": L.ConvTranspose2d(out_channels=6, kernel_size=(3, 2), dilation=(2, 3), stride=2, padding=1),
    "two groups": L.ConvTranspose2d(out_channels=6, kernel_size=3, groups=2, stride=2, padding=1),
    "two groups, dilated": L.ConvTranspose2d(out_channels=6, kernel_size=3, groups=2, dilation=(1, 2), stride=(2, 1)),
    "depthwise": L.ConvTranspose2d(out_channels=4, kernel_size=4, groups=4, stride=2, padding=1),
    "depthwise same, dilated": L.ConvTranspose2d(out_channels=4, kernel_size=3, groups=4, dilation=2, padding="same"),
    "depthwise, unequal strides": L.ConvTranspose2d(out_channels=4, kernel_size=3, groups=4, stride=(1, 2)),
    "depthwise, three filters each": L.ConvTranspose2d(out_channels=12, kernel_size=2, groups=4, stride=2),
}
POOLINGS = {
    "maximum": L.MaxPool2d(kernel_size=2),
    "maximum as TensorFlow's same": L.MaxPool2d(kernel_size=3, stride=1, padding=1),
    "maximum with padding": L.MaxPool2d(kernel_size=(3, 2), stride=2, padding=1),
    "maximum, unequal strides": L.MaxPool2d(kernel_size=(2, 3), stride=(3, 1), padding=(1, 0)),
    "average": L.AvgPool2d(kernel_size=(2, 3)),
    "average over the padding": L.AvgPool2d(kernel_size=3, stride=2, padding=1),
    "average over the padding at stride 1": L.AvgPool2d(kernel_size=3, stride=1, padding=1),
    "average without the padding": L.AvgPool2d(kernel_size=3, stride=2, padding=1, count_include_pad=False),
    "average as TensorFlow's same": L.AvgPool2d(kernel_size=3, stride=1, padding=1, count_include_pad=False),
    "average, unequal strides": L.AvgPool2d(kernel_size=(2, 3), stride=(3, 1), padding=(1, 0), count_include_pad=False),
    "maximum, ceil": L.MaxPool2d(kernel_size=(3, 2), stride=(2, 3), padding=1, ceil_mode=True),
    "average, ceil": L.AvgPool2d(kernel_size=(4, 3), stride=3, padding=(2, 1), ceil_mode=True),
    "average without the padding, ceil": L.AvgPool2d(
        kernel_size=(4, 3), stride=3, padding=(2, 1), ceil_mode=True, count_include_pad=False
    ),
    "average over all of it": L.GlobalAvgPool(),
}
LAYERS = {
    **CONVOLUTIONS,
    **{f"transposed, {name}": layer for name, layer in TRANSPOSED.items()},
    **POOLINGS,
}
SPATIAL: dict[str, tuple[Size, Size]] = {"fixed sizes": (9, 8), "symbolic sizes": (HEIGHT, WIDTH)}


@pytest.mark.parametrize("spatial", SPATIAL.values(), ids=SPATIAL.keys())
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())
def test_windows_agree_with_the_reference(layer: Layer, dtype: str, spatial: tuple[Size, Size]) -> None:
    shape = (BATCH, 4, *spatial)
    x = draw(shape, batch=2, height=9, width=8)
    model = agree_with_reference(netspec_tensorflow.backend, chain(shape, layer), x, dtype)
    for node in nodes(model.native.inference_call.get_concrete_function().graph):
        assert node.attr["padding"].s in (b"", b"SAME", b"VALID"), node.name


@pytest.mark.parametrize("output_size", [(4, 3), (11, 8), (3, 9)], ids=str)
def test_adaptive_average_pool(output_size: tuple[int, int]) -> None:
    shape = (BATCH, 4, 9, 8)
    pair = chain(shape, L.AdaptiveAvgPool2d(output_size=output_size))
    agree_with_reference(netspec_tensorflow.backend, pair, draw(shape, batch=2), "float64")


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize(("grouped", "dilated"), [(True, False), (False, True), (True, True)])
def test_the_native_gradients_are_used_where_onednn_has_them(dtype: str, grouped: bool, dilated: bool) -> None:
    import_tensorflow()
    import tensorflow as tf

    from netspec_tensorflow.convolution import differentiable

    assert differentiable(tf.as_dtype(dtype), grouped=grouped, dilated=dilated) == (
        ONEDNN and dtype in ("float32", "bfloat16")
    )


@pytest.mark.parametrize(
    ("name", "dtype", "expected"),
    [
        ("same", "float32", {"Conv2DBackpropInput": 1}),
        ("dilated", "float64", {"Conv2DBackpropInput": 1}),
        ("two groups", "float32", {"Conv2DBackpropInput": 1 if ONEDNN else 2}),
        ("two groups", "float64", {"Conv2DBackpropInput": 2}),
        ("depthwise", "float64", {"DepthwiseConv2dNativeBackpropInput": 1}),
    ],
)
def test_which_transposed_kernels_are_chosen(name: str, dtype: str, expected: dict[str, int]) -> None:
    assert kernels(TRANSPOSED[name], dtype) == expected


@pytest.mark.parametrize(
    ("name", "dtype", "expected"),
    [
        ("same as TensorFlow's same", "float32", {"Conv2D": 1}),
        ("depthwise", "float32", {"DepthwiseConv2dNative": 1}),
        ("depthwise", "float64", {"DepthwiseConv2dNative": 1}),
        ("depthwise, three filters each", "float64", {"DepthwiseConv2dNative": 1}),
        ("depthwise, unequal strides", "float32", {"Conv2D": 1} if ONEDNN else {"DepthwiseConv2dNative": 1}),
        ("two groups", "float32", {"Conv2D": 1 if ONEDNN else 2}),
        ("two groups", "float64", {"Conv2D": 2}),
        ("dilated at stride 2", "float32", {"Conv2D": 1}),
    ],
)
def test_which_kernels_are_chosen(name: str, dtype: str, expected: dict[str, int]) -> None:
    assert kernels(CONVOLUTIONS[name], dtype) == expected


def kernels(layer: Layer, dtype: str) -> dict[str, int]:
    pair = chain((BATCH, 4, 9, 8), layer)
    weights = {held.path: draw(held.value.shape) for held in pair.inference.state}
    model = netspec_tensorflow.backend.compile(pair, weights, dtype)  # type: ignore[arg-type]
    found = [node.op for node in nodes(model.native.inference_call.get_concrete_function().graph)]
    return {op: found.count(op) for op in found if "Conv2" in op}


def test_a_graph_without_the_layout_pass_runs_too() -> None:
    import_tensorflow()
    import tensorflow as tf

    from netspec.backend import run
    from netspec_tensorflow.lowerings import LOWERINGS

    layers = (
        *(CONVOLUTIONS["symmetric at stride 2"], POOLINGS["maximum with padding"], POOLINGS["average"]),
        *(TRANSPOSED["one side, zeros behind"], L.AdaptiveAvgPool2d(output_size=(3, 4))),
    )
    pair = chain((BATCH, 4, 19, 17), *layers)
    weights = {held.path: draw(held.value.shape) for held in pair.inference.state}
    x = draw((2, 4, 19, 17))
    inputs, state = {"x": tf.constant(x)}, {path: tf.constant(value) for path, value in weights.items()}
    outputs = run(pair.inference, LOWERINGS, {}, inputs, state, lambda value, axis: tf.shape(value)[axis]).outputs
    expected = netspec_tensorflow.backend.compile(pair, weights)(x)
    assert abs(outputs["y"] - expected).numpy().max() <= 1e-5


@pytest.mark.thorough  # the conformance suite has a target without oneDNN in every run
def test_all_of_it_without_onednn() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "not without_onednn"]
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"}
    finished = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert finished.returncode == 0, finished.stdout[-3000:]
    count = 4 * len(LAYERS)
    assert f"{count + 3 + 12 + 8 + 5 + 1} passed, 1 deselected" in finished.stdout, finished.stdout[-300:]


def nodes(graph: Any) -> Iterator[Any]:
    """All nodes of a traced function, those of the functions it calls included."""
    definition = graph.as_graph_def()
    yield from definition.node
    for function in definition.library.function:
        yield from function.node_def
