"""The reference's primitives: forward against plain loops, gradients against finite differences, the rules at ties."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import netspec_numpy.convolution
from netspec.graph import ops
from netspec.graph.ops.products import SamePadding
from netspec_numpy.lowerings import LOWERINGS
from netspec_numpy.vjps import VJPS

Array = np.ndarray[Any, Any]
Arrays = tuple[Array, ...]

STEP = 1e-5  # of the central difference: its own error is about STEP^2, rounding gives 1e-16 / STEP


def normal(*shape: int) -> Array:
    return np.random.default_rng(math.prod(shape)).normal(size=shape) + 0.25


def positive(*shape: int) -> Array:
    return np.abs(normal(*shape)) + 0.5


def spread(*shape: int) -> Array:
    """Numbers on both sides of zero, 0.1 apart from each other and 0.05 from zero, in random order."""
    size = math.prod(shape)
    values = (np.arange(size) - size // 2 + 0.5) / 10
    return np.random.default_rng(size).permutation(values).reshape(shape)


def below_zero(*shape: int) -> Array:
    return spread(*shape) - 100.0


def last(x: Array) -> Array:
    """`[batch, channels, *spatial]` as `[batch, *spatial, channels]`."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1))


def kernel_last(weight: Array) -> Array:
    """`[out, in, *kernel]` as `[*kernel, in, out]`."""
    return np.ascontiguousarray(np.moveaxis(weight, (0, 1), (-1, -2)))


def forward(op: ops.Op, *inputs: Any) -> Array:
    return np.asarray(LOWERINGS[type(op)](*inputs, **vars(op)))


def gradients(op: ops.Op, inputs: Arrays, cotangent: Any) -> tuple[Array | None, ...]:
    found: tuple[Array | None, ...] = VJPS[type(op)]((cotangent,), inputs, (forward(op, *inputs),), **vars(op))
    return found


# Kernels below the stride, dilation, one-sided padding, groups with a multiplier, one to three dimensions:
# stride, padding, dilation, groups, shape of x, shape of the weight.
CONVOLUTIONS: dict[str, tuple[Any, Any, Any, int, tuple[int, ...], tuple[int, ...]]] = {
    "plain": ((1, 1), ((0, 0), (0, 0)), (1, 1), 1, (2, 3, 5, 4), (4, 3, 3, 2)),
    "one_sided": ((2, 3), ((0, 1), (2, 0)), (1, 1), 1, (2, 2, 7, 8), (3, 2, 3, 3)),
    "kernel_below_stride": ((3, 2), ((1, 0), (0, 0)), (1, 1), 1, (2, 2, 8, 7), (3, 2, 2, 1)),
    "dilated_groups": ((2, 1), ((1, 2), (0, 3)), (2, 3), 2, (3, 4, 8, 7), (6, 2, 3, 2)),
    "depthwise": ((1, 2), ((1, 1), (1, 0)), (1, 1), 3, (2, 3, 5, 6), (6, 1, 3, 3)),
    "one_dimension": ((3,), ((2, 0),), (2,), 1, (2, 3, 11), (2, 3, 3)),
    "three_dimensions": ((1, 2, 1), ((0, 1), (1, 0), (0, 0)), (1, 1, 2), 2, (1, 4, 4, 5, 5), (2, 2, 2, 3, 2)),
}

# kernel, stride, padding, shape of x.
POOLS: dict[str, tuple[Any, Any, Any, tuple[int, ...]]] = {
    "overlapping": ((3, 2), (2, 1), ((1, 1), (1, 1)), (2, 3, 7, 6)),
    "one_sided": ((3, 3), (2, 3), ((0, 1), (1, 0)), (2, 2, 8, 7)),
    "kernel_below_stride": ((1, 2), (3, 3), ((0, 0), (1, 1)), (2, 2, 7, 8)),
    "one_dimension": ((4,), (3,), ((2, 0),), (2, 3, 10)),
}


def convolution_cases() -> dict[str, tuple[ops.Op, Arrays]]:
    cases: dict[str, tuple[ops.Op, Arrays]] = {}
    for name, (stride, padding, dilation, groups, x, weight) in CONVOLUTIONS.items():
        inputs = (normal(*x), normal(*weight))
        cases[f"convolution_{name}"] = (ops.Convolution(stride, padding, dilation, groups), inputs)
        rearranged = (last(inputs[0]), kernel_last(inputs[1]))
        cases[f"convolution_{name}_last"] = (ops.Convolution(stride, padding, dilation, groups, True), rearranged)
    words: tuple[SamePadding, ...] = ("same", "same_lower")
    for word in words:
        op = ops.Convolution((2, 3), word, (2, 1), 1)
        cases[f"convolution_{word}"] = (op, (normal(2, 2, 8, 7), normal(3, 2, 3, 2)))
    return cases


def pool_cases() -> dict[str, tuple[ops.Op, Arrays]]:
    cases: dict[str, tuple[ops.Op, Arrays]] = {}
    for name, (kernel, stride, padding, shape) in POOLS.items():
        for channels_last in (False, True):
            x = last(below_zero(*shape)) if channels_last else below_zero(*shape)
            end = "_last" if channels_last else ""
            cases[f"max_pool_{name}{end}"] = (ops.MaxPool(kernel, stride, padding, channels_last), (x,))
            for include in (False, True):
                op = ops.AveragePool(kernel, stride, padding, channels_last, count_include_pad=include)
                cases[f"average_pool_{name}_{include}{end}"] = (op, (x,))
    return cases


CASES: dict[str, tuple[ops.Op, Arrays]] = {
    "exp": (ops.Exp(), (normal(3, 4),)),
    "log": (ops.Log(), (positive(3, 4),)),
    "sin": (ops.Sin(), (normal(3, 4),)),
    "cos": (ops.Cos(), (normal(3, 4),)),
    "sqrt": (ops.Sqrt(), (positive(3, 4),)),
    "abs": (ops.Abs(), (spread(3, 4),)),
    "rsqrt": (ops.Rsqrt(), (positive(3, 4),)),
    "tanh": (ops.Tanh(), (normal(3, 4),)),
    "sigmoid": (ops.Sigmoid(), (3 * normal(3, 4),)),
    "erf": (ops.Erf(), (normal(3, 4),)),
    "relu": (ops.Relu(), (spread(3, 4),)),
    "add": (ops.Add(), (normal(3, 1, 4), normal(5, 1))),
    "sub": (ops.Sub(), (normal(2, 3), normal(4, 2, 3))),
    "mul": (ops.Mul(), (normal(3, 1, 4), normal(5, 1))),
    "mul_scalar": (ops.Mul(), (normal(), normal(2, 3))),
    "div": (ops.Div(), (normal(4, 1), positive(2, 1, 3))),
    "maximum": (ops.Maximum(), (spread(3, 1, 4), 0.7 * spread(5, 1))),
    "minimum": (ops.Minimum(), (spread(4), 0.7 * spread(2, 3, 1))),
    "where": (ops.Where(), (spread(4, 3) > 0, normal(2, 1, 3), normal(4, 1))),
    "matmul": (ops.Matmul(), (normal(4, 3), normal(3, 5))),
    "matmul_flat_weight": (ops.Matmul(), (normal(2, 5, 4, 3), normal(3, 6))),
    "matmul_broadcast": (ops.Matmul(), (normal(2, 1, 4, 3), normal(5, 3, 2))),
    "matmul_flat_left": (ops.Matmul(), (normal(4, 3), normal(2, 3, 5))),
    "sum": (ops.Sum((0, 2)), (normal(3, 4, 2),)),
    "sum_kept": (ops.Sum((1,), keepdims=True), (normal(3, 4, 2),)),
    "mean": (ops.Mean((1, 2)), (normal(3, 4, 2),)),
    "mean_kept": (ops.Mean((0, 2), keepdims=True), (normal(3, 4, 2),)),
    "max": (ops.Max((0, 2)), (spread(3, 4, 2),)),
    "max_kept": (ops.Max((1,), keepdims=True), (spread(3, 4, 2),)),
    "reshape": (ops.Reshape((4, 6)), (normal(2, 3, 4),)),
    "permute": (ops.Permute((2, 0, 1)), (normal(2, 3, 4),)),
    "concat": (ops.Concat(1), (normal(2, 3, 2), normal(2, 1, 2), normal(2, 4, 2))),
    "gather": (ops.Gather(), (normal(5, 3, 2), np.array([[4, 0, 4], [1, 4, 0]]))),
    **convolution_cases(),
    **pool_cases(),
}


def test_every_primitive_has_a_lowering() -> None:
    assert set(LOWERINGS) == set(ops.PRIMITIVES)


def test_every_differentiable_primitive_has_a_vjp_that_is_tested() -> None:
    differentiable = {op for op in ops.PRIMITIVES if op.differentiable}
    assert set(VJPS) == differentiable
    assert {type(op) for op, _ in CASES.values()} == differentiable - {ops.Constant, ops.StopGradient}


@pytest.mark.parametrize("case", CASES)
def test_gradient_is_that_of_a_finite_difference(case: str) -> None:
    op, inputs = CASES[case]
    rng = np.random.default_rng(7)
    cotangent = rng.normal(size=forward(op, *inputs).shape)
    found = gradients(op, inputs, cotangent)
    assert len(found) == len(inputs)
    for position, (x, gradient) in enumerate(zip(inputs, found, strict=True)):
        if x.dtype.kind != "f":
            assert gradient is None
            continue
        assert gradient is not None
        assert gradient.shape == x.shape
        direction = rng.normal(size=x.shape)
        up, down = (
            np.sum(cotangent * forward(op, *inputs[:position], x + step * direction, *inputs[position + 1 :]))
            for step in (STEP, -STEP)
        )
        along = gradient * direction
        assert np.sum(along) == pytest.approx((up - down) / (2 * STEP), abs=1e-8 * np.sum(np.abs(along)), rel=0)


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
        definitions: dict[ops.Op, Callable[[list[float]], float]] = {
            ops.MaxPool(*window): max,
            ops.AveragePool(*window, count_include_pad=True): mean_of_kernel,
            ops.AveragePool(*window, count_include_pad=False): mean_of_inside,
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


def test_relu_has_derivative_zero_at_zero() -> None:
    x = np.array([-1.0, 0.0, -0.0, 2.0])
    (dx,) = gradients(ops.Relu(), (x,), np.full(4, 3.0))
    np.testing.assert_array_equal(dx, [0, 0, 0, 3])


@pytest.mark.parametrize("channels_last", [False, True])
def test_max_pool_gives_the_gradient_to_the_first_of_equals(channels_last: bool) -> None:
    x = np.array([[0.0, 5, 5], [5, 0, 0], [0, 5, 5]]).reshape((1, 3, 3, 1) if channels_last else (1, 1, 3, 3))
    dy = np.array([[1.0, 20], [300, 4000]]).reshape((1, 2, 2, 1) if channels_last else (1, 1, 2, 2))
    (dx,) = gradients(ops.MaxPool((2, 2), (1, 1), ((0, 0), (0, 0)), channels_last), (x,), dy)
    assert dx is not None
    # In row-major order: of the windows with corner (0, 0) and (0, 1) the first 5 is (0, 1), of (1, 0) it is (1, 0),
    # of (1, 1) it is (2, 1).
    np.testing.assert_array_equal(dx.reshape(3, 3), [[0, 21, 0], [300, 0, 0], [0, 4000, 0]])


def test_max_splits_the_gradient_evenly_among_equals() -> None:
    x = np.array([[2.0, 7, 7, 1, 7], [4, 3, 4, 0, 0]])
    (dx,) = gradients(ops.Max((1,)), (x,), np.array([6.0, 5.0]))
    np.testing.assert_array_equal(dx, [[0, 2, 2, 0, 2], [2.5, 0, 2.5, 0, 0]])


def test_abs_has_derivative_zero_at_zero() -> None:
    x = np.array([-1.5, 0.0, -0.0, 2.0])
    (dx,) = gradients(ops.Abs(), (x,), np.full(4, 3.0))
    np.testing.assert_array_equal(dx, [-3, 0, 0, 3])


@pytest.mark.parametrize(("op", "expected"), [(ops.Maximum(), [0, 1.5, 3]), (ops.Minimum(), [3, 1.5, 0])])
def test_maximum_and_minimum_give_half_of_the_gradient_to_each_of_two_equals(op: ops.Op, expected: list[float]) -> None:
    a, b = np.array([1.0, 2, 4]), np.array([3.0, 2, -1])
    da, db = gradients(op, (a, b), np.full(3, 3.0))
    np.testing.assert_array_equal(da, expected)
    np.testing.assert_array_equal(db, expected[::-1])


def test_positions_and_a_number_of_the_type_of_a_tensor() -> None:
    x = np.zeros((3, 5), np.float32)
    np.testing.assert_array_equal(forward(ops.Positions(1), x), [0, 1, 2, 3, 4])
    assert forward(ops.Positions(0), x).dtype == np.int64
    np.testing.assert_array_equal(forward(ops.NumberLike(-2), x), -2)


def test_where_keeps_what_flows_to_the_other_side_out() -> None:
    condition = np.array([True, False])
    _, da, db = gradients(ops.Where(), (condition, normal(2), normal(2)), np.array([math.inf, math.nan]))
    np.testing.assert_array_equal(da, [math.inf, 0])
    np.testing.assert_array_equal(db, [0, math.nan])


def test_stop_gradient_and_constant_have_none() -> None:
    assert gradients(ops.StopGradient(), (normal(2),), normal(2)) == (None,)
    assert gradients(ops.Constant(2.5), (), normal()) == ()


def test_erf_is_exact_for_any_strides_and_rank() -> None:
    # The first three from tables with 20 digits (Abramowitz and Stegun, 7.1), correctly rounded.
    known = {0.5: 0.5204998778130465, 1.0: 0.8427007929497149, 2.0: 0.9953222650189527, 1e-300: 1.1283791670955126e-300}
    x = np.array([[*known], [-value for value in known]]).T
    np.testing.assert_allclose(forward(ops.Erf(), x), np.array([[y, -y] for y in known.values()]), rtol=2e-16)
    np.testing.assert_array_equal(forward(ops.Erf(), np.array(0.5)), known[0.5])
    np.testing.assert_array_equal(forward(ops.Erf(), np.array([math.inf, -7.0])), [1, -1])


def test_sigmoid_is_exact_far_out_and_does_not_overflow() -> None:
    x = np.array([-800.0, -40.0, 0.0, 40.0, 800.0])
    np.testing.assert_allclose(forward(ops.Sigmoid(), x), [0.0, math.exp(-40), 0.5, 1.0, 1.0], rtol=1e-15)


def test_bernoulli_draws_zeros_and_ones_anew() -> None:
    x = np.zeros((100, 100), np.float32)
    first, second = forward(ops.Bernoulli(0.7), x), forward(ops.Bernoulli(0.7), x)
    assert first.dtype == np.float32
    assert set(np.unique(first)) == {0, 1}
    assert first.mean() == pytest.approx(0.7, abs=0.03)  # 6.5 standard deviations
    assert (first != second).any()
