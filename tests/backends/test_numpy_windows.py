"""The reference's windows, forward against plain loops: convolutions, both ways, pools and bins; the rule at ties."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import netspec_numpy.convolution
from netspec.graph import ops
from tests.backends.numpy_cases import (
    BINS,
    CONVOLUTIONS,
    POOLS,
    TRANSPOSED,
    Array,
    below_zero,
    forward,
    gradients,
    kernel_last,
    last,
    normal,
)


def slow_convolution(x: Array, weight: Array, stride: Any, padding: Any, dilation: Any, groups: int) -> Array:
    """The definition, one product at a time."""
    counts = [
        (size + begin + end - (k - 1) * d - 1) // s + 1
        for size, k, s, d, (begin, end) in zip(x.shape[2:], weight.shape[2:], stride, dilation, padding, strict=True)
    ]
    y = np.zeros((x.shape[0], weight.shape[0], *counts))
    of_group = weight.shape[1]
    for n, o, *p in np.ndindex(y.shape):
        first = o // (weight.shape[0] // groups) * of_group
        for c, *k in np.ndindex(weight.shape[1:]):
            place = [
                a * s + b * d - begin for a, b, s, d, (begin, _) in zip(p, k, stride, dilation, padding, strict=True)
            ]
            if all(0 <= at < size for at, size in zip(place, x.shape[2:], strict=True)):
                y[(n, o, *p)] += x[(n, first + c, *place)] * weight[(o, c, *k)]
    return y


def slow_transposed(x: Array, weight: Array, stride: Any, padding: Any, dilation: Any, groups: int) -> Array:
    """Adds each product where it belongs: y[n, o, i s + k d - begin] += x[n, c, i] weight[c, o, k]."""
    sizes = [
        (size - 1) * s + (k - 1) * d + 1 - begin - end
        for size, k, s, d, (begin, end) in zip(x.shape[2:], weight.shape[2:], stride, dilation, padding, strict=True)
    ]
    of_group = weight.shape[1]
    y = np.zeros((len(x), of_group * groups, *sizes))
    for n, c, *i in np.ndindex(x.shape):
        first = c // (len(weight) // groups) * of_group
        for o, *k in np.ndindex(weight.shape[1:]):
            place = [
                a * s + b * d - begin for a, b, s, d, (begin, _) in zip(i, k, stride, dilation, padding, strict=True)
            ]
            if all(0 <= at < size for at, size in zip(place, sizes, strict=True)):
                y[(n, first + o, *place)] += x[(n, c, *i)] * weight[(c, o, *k)]
    return y


def slow_pool(x: Array, kernel: Any, stride: Any, padding: Any, reduce: Callable[[list[float]], float]) -> Array:
    """`reduce` of the elements of x inside each window."""
    counts = [
        (size + begin + end - k) // s + 1
        for size, k, s, (begin, end) in zip(x.shape[2:], kernel, stride, padding, strict=True)
    ]
    y = np.zeros((*x.shape[:2], *counts))
    for n, c, *p in np.ndindex(y.shape):
        window = []
        for k in np.ndindex(kernel):
            place = [a * s + b - begin for a, b, s, (begin, _) in zip(p, k, stride, padding, strict=True)]
            if all(0 <= at < size for at, size in zip(place, x.shape[2:], strict=True)):
                window.append(float(x[(n, c, *place)]))
        y[(n, c, *p)] = reduce(window)
    return y


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution_is_its_definition_in_both_layouts(name: str) -> None:
    stride, padding, dilation, groups, x_shape, weight_shape = CONVOLUTIONS[name]
    x, weight = normal(*x_shape), normal(*weight_shape)
    expected = slow_convolution(x, weight, stride, padding, dilation, groups)
    found = forward(ops.Convolution(stride, padding, dilation, groups), x, weight)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
    found = forward(ops.Convolution(stride, padding, dilation, groups, True), last(x), kernel_last(weight))
    np.testing.assert_allclose(found, last(expected), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", TRANSPOSED)
def test_transposed_convolution_is_its_definition_in_both_layouts(name: str) -> None:
    stride, crops, dilation, groups, x_shape, weight_shape = TRANSPOSED[name]
    x, weight = normal(*x_shape), normal(*weight_shape)
    expected = slow_transposed(x, weight, stride, crops, dilation, groups)
    found = forward(ops.TransposedConvolution(stride, crops, dilation, groups), x, weight)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
    found = forward(ops.TransposedConvolution(stride, crops, dilation, groups, True), last(x), kernel_last(weight))
    np.testing.assert_allclose(found, last(expected), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", BINS)
def test_bins_are_their_definition_in_both_layouts(name: str) -> None:
    sizes, counts = BINS[name]
    x = normal(2, 3, *sizes)
    means, maxima = np.empty((2, 3, *counts)), np.empty((2, 3, *counts))
    for place in np.ndindex(counts):
        bins = [
            slice(math.floor(i * size / n), math.ceil((i + 1) * size / n))
            for i, size, n in zip(place, sizes, counts, strict=True)
        ]
        means[(..., *place)] = x[(slice(None), slice(None), *bins)].mean(axis=tuple(range(2, x.ndim)))
        maxima[(..., *place)] = x[(slice(None), slice(None), *bins)].max(axis=tuple(range(2, x.ndim)))
    for pool, expected in ((ops.AdaptiveAveragePool, means), (ops.AdaptiveMaxPool, maxima)):
        np.testing.assert_allclose(forward(pool(sizes, counts), x), expected, rtol=1e-13)
        found = forward(pool(sizes, counts, channels_last=True), last(x))
        np.testing.assert_allclose(found, last(expected), rtol=1e-13)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "same", "same_lower"),
    [
        pytest.param(8, 3, 2, 1, (0, 1), (1, 0), id="odd_total"),
        pytest.param(7, 3, 2, 1, (1, 1), (1, 1), id="even_total"),
        pytest.param(8, 3, 2, 2, (1, 2), (2, 1), id="dilated"),
        pytest.param(7, 2, 3, 1, (0, 1), (1, 0), id="kernel_below_stride"),
        pytest.param(6, 2, 3, 1, (0, 0), (0, 0), id="nothing_to_pad"),
        pytest.param(5, 4, 1, 1, (1, 2), (2, 1), id="even_kernel"),
    ],
)
def test_padding_words_become_pairs_when_sizes_are_known(
    size: int, kernel: int, stride: int, dilation: int, same: tuple[int, int], same_lower: tuple[int, int]
) -> None:
    x, weight = normal(2, 2, size), normal(3, 2, kernel)
    found = forward(ops.Convolution((stride,), "same", (dilation,), 1), x, weight)
    expected = slow_convolution(x, weight, (stride,), (same,), (dilation,), 1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
    found = forward(ops.Convolution((stride,), "same_lower", (dilation,), 1, True), last(x), kernel_last(weight))
    expected = slow_convolution(x, weight, (stride,), (same_lower,), (dilation,), 1)
    np.testing.assert_allclose(found, last(expected), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", POOLS)
def test_pools_are_their_definition_in_both_layouts(name: str) -> None:
    kernel, stride, padding, shape = POOLS[name]
    x = below_zero(*shape)  # so that a padding of zeros would win

    def mean_of_kernel(window: list[float]) -> float:
        return sum(window) / math.prod(kernel)

    def mean_of_inside(window: list[float]) -> float:
        return sum(window) / len(window)

    for channels_last in (False, True):
        window = (kernel, stride, padding, channels_last)
        none = (0,) * len(kernel)
        definitions: dict[ops.Op, Callable[[list[float]], float]] = {
            ops.MaxPool(*window): max,
            ops.AveragePool(*window, uncounted=none, count_include_pad=True): mean_of_kernel,
            ops.AveragePool(*window, uncounted=none, count_include_pad=False): mean_of_inside,
        }
        for op, reduce in definitions.items():
            expected = slow_pool(x, kernel, stride, padding, reduce)
            found = np.moveaxis(forward(op, last(x)), -1, 1) if channels_last else forward(op, x)
            np.testing.assert_allclose(found, expected, rtol=1e-14, err_msg=str(op))


def test_convolution_taken_in_parts_of_the_batch_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    op = ops.Convolution((2, 1), ((1, 0), (0, 1)), (1, 1), 2)
    inputs = (normal(5, 4, 6, 5), normal(6, 2, 3, 2))
    cotangent = normal(5, 6, 3, 5)
    whole = (forward(op, *inputs), *gradients(op, inputs, cotangent))
    # Columns of one sample are 4 * 6 * 15 = 360 numbers: parts of 2, 2 and 1 samples.
    monkeypatch.setattr(netspec_numpy.convolution, "MAX_COLUMNS", 800)
    in_parts = (forward(op, *inputs), *gradients(op, inputs, cotangent))
    for a, b in zip(whole, in_parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13)  # type: ignore[arg-type]


@pytest.mark.parametrize("channels_last", [False, True])
def test_max_pool_gives_the_gradient_to_the_first_of_equals(channels_last: bool) -> None:
    x = np.array([[0.0, 5, 5], [5, 0, 0], [0, 5, 5]]).reshape((1, 3, 3, 1) if channels_last else (1, 1, 3, 3))
    dy = np.array([[1.0, 20], [300, 4000]]).reshape((1, 2, 2, 1) if channels_last else (1, 1, 2, 2))
    (dx,) = gradients(ops.MaxPool((2, 2), (1, 1), ((0, 0), (0, 0)), channels_last), (x,), dy)
    assert dx is not None
    # In row-major order: of the windows with corner (0, 0) and (0, 1) the first 5 is (0, 1), of (1, 0) it is (1, 0),
    # of (1, 1) it is (2, 1).
    np.testing.assert_array_equal(dx.reshape(3, 3), [[0, 21, 0], [300, 0, 0], [0, 4000, 0]])
