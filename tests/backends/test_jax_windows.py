"""JAX: convolutions and pooling against the plain forms of lax, in float64, with gradients in both modes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from netspec.graph import ops
from netspec_jax import convolution as convolutions
from netspec_jax import transposed_convolution as transposed_convolutions
from netspec_jax.lowerings import LOWERINGS

Array = np.ndarray[Any, Any]
NONE = ((0, 0), (0, 0))
ONE = ((1, 1), (1, 1))


@pytest.fixture(autouse=True)
def _wide() -> Iterator[None]:
    """64 bits for this thread alone: the switch of the process stays off."""
    with jax.enable_x64(True):
        yield


def numbers(*shape: int, whole: bool = False) -> Array:
    drawn = np.random.default_rng(sum(shape)).standard_normal(shape)
    return np.round(drawn) if whole else drawn


def agree(form: Callable[..., Any], plain: Callable[..., Any], *inputs: Array, second: bool = False) -> None:
    """Output, gradient of sum(y * r) and directional derivative are equal, and the second derivative if asked for."""
    r = numbers(*jax.eval_shape(plain, *inputs).shape) + 0.1
    directions = tuple(numbers(*x.shape) - 0.2 for x in inputs)

    def derivatives(function: Callable[..., Any]) -> Callable[..., Any]:
        def bent(*xs: Any) -> Any:
            return jnp.sum(r * jnp.sin(function(*xs)))

        def everything(*xs: Any) -> Any:
            y, pullback = jax.vjp(function, *xs)
            slope = jax.grad(bent, argnums=tuple(range(len(xs))))
            moved = jax.jvp(slope, xs, directions)[1] if second else ()
            return y, pullback(r), jax.jvp(function, xs, directions)[1], moved

        return everything

    got, expected = (jax.tree.leaves(jax.jit(derivatives(function))(*inputs)) for function in (form, plain))
    for value, wanted in zip(got, expected, strict=True):
        assert value.dtype == wanted.dtype == jnp.float64
        close(value, wanted)


def close(got: Any, expected: Any) -> None:
    assert got.shape == expected.shape
    scale = np.abs(expected).max()
    assert scale > 0
    assert np.abs(got - expected).max() <= 1e-12 * scale


# name: x, kernel, out channels, stride, padding, dilation, groups
CONVOLUTIONS: dict[str, tuple[Any, ...]] = {
    "plain": ((2, 7, 6, 3), (3, 2), 4, (1, 1), NONE, (1, 1), 1),
    "asymmetric": ((2, 7, 6, 3), (3, 3), 4, (1, 1), ((2, 0), (1, 3)), (1, 1), 1),
    "stride 2": ((2, 8, 7, 3), (3, 3), 4, (2, 2), ONE, (1, 1), 1),
    "stride 3 and 2": ((2, 9, 8, 3), (2, 3), 4, (3, 2), ((0, 1), (1, 0)), (1, 1), 1),
    "stride above the kernel": ((2, 9, 8, 3), (2, 1), 4, (3, 3), NONE, (1, 1), 1),
    "dilation": ((2, 9, 8, 3), (3, 2), 4, (1, 1), ((2, 1), (0, 1)), (2, 3), 1),
    "dilation and stride": ((2, 9, 8, 3), (3, 2), 4, (2, 3), ((2, 1), (0, 1)), (2, 1), 1),
    "1x1": ((2, 5, 4, 3), (1, 1), 4, (1, 1), NONE, (1, 1), 1),
    "1x1 with stride and padding": ((2, 5, 4, 3), (1, 1), 4, (2, 3), ((1, 0), (2, 1)), (1, 1), 1),
    "kernel above the input": ((2, 2, 3, 3), (3, 3), 4, (1, 1), ONE, (1, 1), 1),
    "kernel above one side": ((2, 9, 2, 3), (2, 5), 4, (2, 1), ((0, 0), (2, 2)), (1, 1), 1),
    "kernel above the output": ((2, 4, 4, 3), (3, 3), 4, (1, 1), NONE, (1, 1), 1),
    "kernel above the output, stride": ((2, 4, 5, 3), (3, 3), 4, (2, 2), ONE, (1, 1), 1),
    "depthwise": ((2, 7, 6, 5), (3, 2), 5, (1, 1), ((1, 0), (0, 2)), (1, 1), 5),
    "depthwise, stride, dilation": ((2, 9, 8, 5), (3, 3), 5, (2, 3), ONE, (2, 1), 5),
    "depthwise, several": ((2, 7, 6, 3), (3, 3), 6, (2, 1), ONE, (1, 1), 3),
    "depthwise, kernel above the input": ((2, 2, 2, 3), (3, 3), 3, (1, 1), ONE, (1, 1), 3),
    "2 groups": ((2, 7, 6, 6), (3, 2), 4, (1, 1), ((1, 0), (0, 2)), (1, 1), 2),
    "3 groups, stride": ((2, 8, 7, 6), (3, 3), 9, (2, 2), ONE, (1, 1), 3),
    "6 groups": ((2, 7, 6, 12), (3, 2), 18, (1, 1), ((1, 0), (0, 2)), (1, 1), 6),
    "6 groups, stride, dilation": ((2, 9, 8, 12), (3, 3), 6, (2, 3), ONE, (1, 2), 6),
    "6 groups, 1x1": ((2, 5, 4, 12), (1, 1), 18, (1, 1), NONE, (1, 1), 6),
    "many channels": ((1, 4, 5, 6), (3, 2), 12, (1, 2), ((1, 0), (0, 1)), (1, 1), 1),
    "one dimension": ((2, 9, 4), (3,), 5, (2,), ((1, 2),), (2,), 1),
    "one dimension, 2 groups": ((2, 9, 4), (3,), 6, (2,), ((1, 2),), (1,), 2),
    "three dimensions": ((1, 5, 4, 6, 2), (3, 2, 3), 3, (2, 1, 2), (*ONE, (0, 1)), (1, 1, 1), 1),
}


# One of each form.
SECOND = {"asymmetric", "stride 3 and 2", "kernel above the input", "kernel above the output", "depthwise", "6 groups"}


def plain_convolution(x: Any, weight: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    spatial = "DHW"[: len(stride)]
    layout = (f"N{spatial}C", f"{spatial}IO", f"N{spatial}C")
    return lax.conv_general_dilated(
        x, weight, stride, padding, rhs_dilation=dilation, dimension_numbers=layout, feature_group_count=groups
    )


def attributes(stride: Any, padding: Any, dilation: Any, groups: int) -> dict[str, Any]:
    return {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution(name: str) -> None:
    shape, kernel, out, *rest = CONVOLUTIONS[name]
    weight = numbers(*kernel, shape[-1] // rest[-1], out)
    agree(
        lambda x, w: LOWERINGS[ops.Convolution](x, w, channels_last=True, **attributes(*rest)),
        lambda x, w: plain_convolution(x, w, *rest),
        numbers(*shape),
        weight,
        second=name in SECOND,
    )


@pytest.mark.parametrize(
    ("name", "limit", "value"),
    [
        ("2 groups", "MAX_SPLIT", 1),
        ("6 groups, stride, dilation", "MAX_SPLIT", 8),
        ("6 groups, 1x1", "MAX_GROUPED_BYTES", 0),
    ],
)
def test_groups_in_either_form(name: str, limit: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolutions, limit, value)
    test_convolution(name)


@pytest.mark.parametrize("name", ["one dimension", "dilation and stride", "many channels"])
@pytest.mark.parametrize("limit", [0, 1 << 20])
def test_gradients_in_either_form(name: str, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolutions, "MAX_PATCH_BYTES", limit)
    test_convolution(name)


# name: x, kernel, out channels, stride, crops, dilation, groups
TRANSPOSED: dict[str, tuple[Any, ...]] = {
    "plain": ((2, 5, 4, 3), (3, 2), 4, (1, 1), NONE, (1, 1), 1),
    "doubled": ((2, 5, 4, 3), (4, 4), 4, (2, 2), ONE, (1, 1), 1),
    "uneven": ((2, 5, 4, 3), (3, 4), 4, (2, 3), ((0, 1), (3, 0)), (1, 1), 1),
    "stride above the kernel, zeros behind": ((2, 3, 4, 3), (2, 1), 4, (3, 4), ((0, -2), (1, -1)), (1, 1), 1),
    "dilation": ((2, 5, 4, 3), (3, 2), 4, (1, 1), ((2, 1), (0, 1)), (2, 3), 1),
    "dilation and stride": ((2, 5, 4, 3), (3, 4), 4, (2, 3), ((2, 1), (0, -1)), (2, 2), 1),
    "dilation, stride of it": ((2, 3, 4, 3), (3, 2), 4, (2, 6), ONE, (4, 4), 1),
    "cut beyond the kernel": ((2, 6, 5, 3), (2, 3), 4, (1, 2), ((3, 2), (4, 4)), (1, 1), 1),
    "kernel above the input": ((2, 2, 1, 3), (5, 7), 4, (2, 2), ((2, 1), (3, 2)), (1, 1), 1),
    "depthwise": ((2, 4, 5, 6), (3, 2), 6, (2, 2), ONE, (1, 1), 6),
    "depthwise, three filters each": ((2, 4, 5, 2), (3, 2), 6, (2, 1), ONE, (1, 2), 2),
    "2 groups": ((2, 4, 5, 6), (4, 3), 4, (2, 2), ((1, 0), (0, 1)), (1, 1), 2),
    "one dimension": ((2, 5, 3), (5,), 4, (3,), ((1, 2),), (1,), 1),
}


def plain_transposed(x: Any, weight: Any, stride: Any, crops: Any, dilation: Any, groups: int) -> Any:
    """XLA's own: a convolution over x with zeros between its numbers, the kernel turned around."""
    kernel = weight.shape[:-2]
    split = jnp.split(weight, groups, axis=-1)
    turned = jnp.concatenate([jnp.flip(part, range(len(kernel))).swapaxes(-1, -2) for part in split], axis=-1)
    reach = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
    padding = [(r - begin, r - end) for r, (begin, end) in zip(reach, crops, strict=True)]
    spatial = "DHW"[: len(stride)]
    return lax.conv_general_dilated(
        x,
        turned,
        (1,) * len(stride),
        padding,
        lhs_dilation=stride,
        rhs_dilation=dilation,
        dimension_numbers=(f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"),
        feature_group_count=groups,
    )


@pytest.mark.parametrize("phases", [0, 100])
@pytest.mark.parametrize("name", TRANSPOSED)
def test_transposed_convolution_in_either_form(name: str, phases: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transposed_convolutions, "MAX_PHASES", phases)
    shape, kernel, out, *rest = TRANSPOSED[name]
    weight = numbers(*kernel, out // rest[-1], shape[-1])
    agree(
        lambda x, w: LOWERINGS[ops.TransposedConvolution](x, w, channels_last=True, **attributes(*rest)),
        lambda x, w: plain_transposed(x, w, *rest),
        numbers(*shape),
        weight,
        second=name == "uneven",
    )


def test_transposed_convolution_never_spreads_its_input() -> None:
    """XLA's gradient of a convolution with zeros between the numbers of x is the slow one."""
    x, weight = numbers(2, 16, 16, 8), numbers(4, 4, 8, 8)

    def convolve(x: Any, w: Any) -> Any:
        rest = attributes((2, 2), ONE, (1, 1), 1)
        return LOWERINGS[ops.TransposedConvolution](x, w, channels_last=True, **rest)

    both = primitives(jax.grad(lambda x, w: jnp.sum(convolve(x, w) ** 2), argnums=(0, 1)), x, weight)
    assert both.count("= conv_general_dilated[") == 3 * 4
    assert both.count("lhs_dilation=(1, 1)") == 3 * 4


@pytest.mark.parametrize("word", ["same", "same_lower"])
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation"), [*itertools.product((6, 7), (2, 3), (1, 2, 3), (1, 2))]
)
def test_same_padding_of_the_call(word: str, size: int, kernel: int, stride: int, dilation: int) -> None:
    x, weight = numbers(2, size, size + 1, 2), numbers(kernel, kernel, 2, 3)
    got = LOWERINGS[ops.Convolution](
        x, weight, channels_last=True, **attributes((stride, stride), word, (dilation, dilation), 1)
    )
    close(got, plain_convolution(x, weight, (stride, stride), word.upper(), (dilation, dilation), 1))


def test_channels_first() -> None:
    x, weight = numbers(2, 4, 7, 6), numbers(6, 2, 3, 2)
    rest = ((2, 1), ((1, 0), (0, 2)), (1, 2), 2)
    got = LOWERINGS[ops.Convolution](x, weight, channels_last=False, **attributes(*rest))
    last = plain_convolution(x.transpose(0, 2, 3, 1), weight.transpose(2, 3, 1, 0), *rest)
    close(got, np.asarray(last).transpose(0, 3, 1, 2))
    weight = numbers(4, 3, 3, 2)
    got = LOWERINGS[ops.TransposedConvolution](x, weight, channels_last=False, **attributes(*rest))
    last = plain_transposed(x.transpose(0, 2, 3, 1), weight.transpose(2, 3, 1, 0), *rest)
    close(got, np.asarray(last).transpose(0, 3, 1, 2))
    pooling = {"kernel_size": (3, 2), "stride": (2, 1), "padding": ONE}
    for op, more in ((ops.MaxPool, {}), (ops.AveragePool, {"uncounted": (0, 0), "count_include_pad": False})):
        inner = LOWERINGS[op](x.transpose(0, 2, 3, 1), channels_last=True, **pooling, **more)
        close(LOWERINGS[op](x, channels_last=False, **pooling, **more), np.asarray(inner).transpose(0, 3, 1, 2))


def primitives(function: Callable[..., Any], *inputs: Array) -> str:
    return str(jax.make_jaxpr(function)(*inputs))


@pytest.mark.parametrize(
    ("name", "forward", "backward"),
    [
        ("plain", 1, 3),
        ("1x1", 0, 0),
        ("1x1 with stride and padding", 0, 0),
        ("kernel above the input", 0, 0),
        ("kernel above one side", 0, 0),
        ("kernel above the output", 1, 2),
        ("stride 2", 1, 3),
        ("many channels", 1, 2),
        ("depthwise", 0, 0),
        ("6 groups", 0, 0),
        ("2 groups", 2, 6),
    ],
)
def test_slow_convolutions_are_avoided(name: str, forward: int, backward: int) -> None:
    """How many of XLA's convolutions there are: one forward, one for each gradient, where they are fast."""
    shape, kernel, out, *rest = CONVOLUTIONS[name]
    x, weight = numbers(*shape), numbers(*kernel, shape[-1] // rest[-1], out)

    def convolve(x: Any, w: Any) -> Any:
        return LOWERINGS[ops.Convolution](x, w, channels_last=True, **attributes(*rest))

    assert primitives(convolve, x, weight).count("= conv_general_dilated[") == forward
    both = jax.grad(lambda x, w: jnp.sum(convolve(x, w) ** 2), argnums=(0, 1))
    assert primitives(both, x, weight).count("= conv_general_dilated[") == backward
    # What needs no gradient costs none.
    alone = jax.grad(lambda w: jnp.sum(convolve(x, w) ** 2))
    assert primitives(alone, weight).count("= conv_general_dilated[") == (2 * forward)


# name: x, kernel, stride, padding
POOLINGS: dict[str, tuple[Any, ...]] = {
    "2x2": ((2, 6, 8, 3), (2, 2), (2, 2), NONE),
    "2x2 with a rest": ((2, 7, 5, 3), (2, 2), (2, 2), NONE),
    "3x3 stride 2": ((2, 8, 7, 3), (3, 3), (2, 2), ONE),
    "3x2 stride 1": ((2, 5, 6, 3), (3, 2), (1, 1), ONE),
    "asymmetric": ((2, 7, 6, 3), (3, 3), (2, 1), ((1, 0), (0, 1))),
    "stride above the window": ((2, 8, 9, 2), (2, 1), (3, 2), ((1, 0), (0, 0))),
    "window as large as x": ((2, 3, 4, 2), (3, 4), (1, 1), NONE),
    "large window": ((1, 12, 13, 2), (9, 8), (2, 1), ((4, 3), (2, 1))),
    "large window, apart": ((1, 18, 16, 2), (9, 8), (9, 8), NONE),
    "one dimension": ((2, 9, 3), (3,), (2,), ((1, 1),)),
    "three dimensions": ((1, 5, 4, 6, 2), (2, 2, 3), (2, 1, 2), (*ONE, (0, 1))),
}


def windows(
    x: Array, kernel: Any, stride: Any, padding: Any
) -> Iterator[tuple[tuple[Any, ...], list[tuple[Any, ...]]]]:
    """Each place of the output, and the places of x that its window covers, in row-major order."""
    counts = [(n + sum(p) - k) // s + 1 for n, k, s, p in zip(x.shape[1:-1], kernel, stride, padding, strict=True)]
    for place in itertools.product(range(x.shape[0]), *map(range, counts), range(x.shape[-1])):
        starts = [i * s - begin for i, s, (begin, _) in zip(place[1:-1], stride, padding, strict=True)]
        covered = itertools.product(*(range(start, start + k) for start, k in zip(starts, kernel, strict=True)))
        inside = (c for c in covered if all(0 <= i < n for i, n in zip(c, x.shape[1:-1], strict=True)))
        yield place, [(place[0], *c, place[-1]) for c in inside]


def max_by_hand(x: Array, kernel: Any, stride: Any, padding: Any, r: Array | None = None) -> tuple[Array, Array]:
    """Output and gradient of sum(y * r), which goes to the first of equals."""
    found = {place: max(covered, key=lambda c: x[c]) for place, covered in windows(x, kernel, stride, padding)}
    y = np.zeros([last + 1 for last in max(found)])
    gradient = np.zeros_like(x)
    for place, first in found.items():  # max() returns the first of equals
        y[place] = x[first]
        gradient[first] += 0 if r is None else r[place]
    return y, gradient


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("data", ["ties", "relu"])
def test_max_pool(name: str, data: str) -> None:
    shape, kernel, stride, padding = POOLINGS[name]
    x = numbers(*shape, whole=True) if data == "ties" else np.maximum(numbers(*shape), 0)

    def pool(x: Any) -> Any:
        return LOWERINGS[ops.MaxPool](x, kernel_size=kernel, stride=stride, padding=padding, channels_last=True)

    r = numbers(*jax.eval_shape(pool, x).shape) + 0.1
    direction = numbers(*shape) - 0.2

    @jax.jit
    def derivatives(x: Any) -> Any:
        y, pullback = jax.vjp(pool, x)
        return y, pullback(r)[0], jax.jvp(pool, (x,), (direction,))[1]

    expected, gradient = max_by_hand(x, kernel, stride, padding, r)
    y, got, tangent = derivatives(x)
    close(y, expected)
    close(got, gradient)
    assert np.isclose(np.sum(np.asarray(tangent) * r), np.sum(direction * gradient), rtol=1e-12)


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("inside", [False, True])
def test_average_pool(name: str, inside: bool) -> None:
    shape, kernel, stride, padding = POOLINGS[name]

    def plain(x: Any) -> Any:
        def total(x: Any) -> Any:
            return lax.reduce_window(x, 0.0, lax.add, (1, *kernel, 1), (1, *stride, 1), ((0, 0), *padding, (0, 0)))

        return total(x) / (total(jnp.ones_like(x)) if inside else np.prod(kernel))

    agree(
        lambda x: LOWERINGS[ops.AveragePool](
            x,
            kernel_size=kernel,
            stride=stride,
            padding=padding,
            uncounted=(0,) * len(kernel),
            count_include_pad=not inside,
            channels_last=True,
        ),
        plain,
        numbers(*shape),
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_padding_is_of_the_dtype(dtype: str) -> None:
    x = jnp.asarray(-1 - np.abs(numbers(1, 4, 4, 2)), dtype)
    for kernel in ((3, 3), (9, 9)):
        pads = tuple((k // 2, k // 2) for k in kernel)
        y = LOWERINGS[ops.MaxPool](x, kernel_size=kernel, stride=(1, 1), padding=pads, channels_last=True)
        assert y.dtype == x.dtype
        assert float(y.max()) < 0
        mean = LOWERINGS[ops.AveragePool](
            x,
            kernel_size=kernel,
            stride=(1, 1),
            padding=pads,
            channels_last=True,
            uncounted=(0, 0),
            count_include_pad=False,
        )
        assert mean.dtype == x.dtype
        assert -4 < float(mean.min()) <= float(mean.max()) <= -1
