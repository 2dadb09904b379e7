"""The reference's primitives: gradients against finite differences, the rules at kinks and ties."""

import math

import numpy as np
import pytest

from netspec.graph import ops
from netspec_numpy.lowerings import LOWERINGS
from netspec_numpy.vjps import VJPS
from tests.backends.numpy_cases import (
    Arrays,
    bin_cases,
    convolution_cases,
    forward,
    gradients,
    normal,
    outputs,
    pool_cases,
    positive,
    spread,
)

# Primitives of control flow, whose bodies are primitives: test_numpy_control.py.
CONTROL = {ops.Scan, ops.While, ops.Cond, ops.CustomGradient}
STEP = 1e-5  # of the central difference: its own error is about STEP^2, rounding gives 1e-16 / STEP


CASES: dict[str, tuple[ops.Op, Arrays]] = {
    "exp": (ops.Exp(), (normal(3, 4),)),
    "log": (ops.Log(), (positive(3, 4),)),
    "expm1": (ops.Expm1(), (normal(3, 4),)),
    "log1p": (ops.Log1p(), (positive(3, 4),)),
    "sin": (ops.Sin(), (normal(3, 4),)),
    "cos": (ops.Cos(), (normal(3, 4),)),
    "sqrt": (ops.Sqrt(), (positive(3, 4),)),
    "abs": (ops.Abs(), (spread(3, 4),)),
    "rsqrt": (ops.Rsqrt(), (positive(3, 4),)),
    "tanh": (ops.Tanh(), (normal(3, 4),)),
    "sigmoid": (ops.Sigmoid(), (3 * normal(3, 4),)),
    "erf": (ops.Erf(), (normal(3, 4),)),
    "relu": (ops.Relu(), (spread(3, 4),)),
    "widen": (ops.Widen(), (normal(3, 4),)),
    "narrow": (ops.Narrow(), (normal(3, 4), np.zeros(4, int))),  # of which only the type is read
    "add": (ops.Add(), (normal(3, 1, 4), normal(5, 1))),
    "sub": (ops.Sub(), (normal(2, 3), normal(4, 2, 3))),
    "mul": (ops.Mul(), (normal(3, 1, 4), normal(5, 1))),
    "mul_scalar": (ops.Mul(), (normal(), normal(2, 3))),
    "div": (ops.Div(), (normal(4, 1), positive(2, 1, 3))),
    "pow": (ops.Pow(), (positive(3, 1, 4), spread(5, 1))),
    "maximum": (ops.Maximum(), (spread(3, 1, 4), 0.7 * spread(5, 1))),
    "minimum": (ops.Minimum(), (spread(4), 0.7 * spread(2, 3, 1))),
    "where": (ops.Where(), (spread(4, 3) > 0, normal(2, 1, 3), normal(4, 1))),
    "matmul": (ops.Matmul(), (normal(4, 3), normal(3, 5))),
    "matmul_flat_weight": (ops.Matmul(), (normal(2, 5, 4, 3), normal(3, 6))),
    "matmul_broadcast": (ops.Matmul(), (normal(2, 1, 4, 3), normal(5, 3, 2))),
    "matmul_flat_left": (ops.Matmul(), (normal(4, 3), normal(2, 3, 5))),
    "einsum": (ops.Einsum("bqd,bkd->bqk"), (normal(2, 3, 4), normal(2, 5, 4))),
    "einsum_three": (ops.Einsum("bi,ij,bj->b"), (normal(3, 2), normal(2, 4), normal(3, 4))),
    "einsum_outer": (ops.Einsum("a,B->Ba"), (normal(3), normal(4))),
    "einsum_diagonal": (ops.Einsum("iji->ij"), (normal(3, 4, 3),)),
    "einsum_trace": (ops.Einsum("ii->"), (normal(3, 3),)),
    "einsum_diagonals": (ops.Einsum("ii,jij,->j"), (normal(3, 3), normal(4, 3, 4), normal())),
    "einsum_alone": (ops.Einsum("abc,de->b"), (normal(2, 3, 4), normal(2, 5))),
    "einsum_all": (ops.Einsum("abc->"), (normal(2, 3, 4),)),
    "expand": (ops.Expand((4, 2, 3)), (normal(2, 1),)),
    "expand_scalar": (ops.Expand((4, 3)), (normal(),)),
    "select": (ops.Select(1, 2), (normal(2, 4, 3),)),
    "select_end": (ops.Select(2, -2), (normal(2, 4, 3),)),
    "top_k": (ops.TopK(2, 1), (spread(3, 4, 2),)),
    "top_k_all": (ops.TopK(3, 0), (spread(3, 5),)),
    "sum": (ops.Sum((0, 2)), (normal(3, 4, 2),)),
    "sum_kept": (ops.Sum((1,), keepdims=True), (normal(3, 4, 2),)),
    "mean": (ops.Mean((1, 2)), (normal(3, 4, 2),)),
    "mean_kept": (ops.Mean((0, 2), keepdims=True), (normal(3, 4, 2),)),
    "max": (ops.Max((0, 2)), (spread(3, 4, 2),)),
    "max_kept": (ops.Max((1,), keepdims=True), (spread(3, 4, 2),)),
    "min": (ops.Min((0, 2)), (spread(3, 4, 2),)),
    "min_kept": (ops.Min((1,), keepdims=True), (spread(3, 4, 2),)),
    "prod": (ops.Prod((0, 2)), (normal(3, 4, 2),)),
    "prod_kept": (ops.Prod((1,), keepdims=True), (normal(3, 4, 2),)),
    "prod_all": (ops.Prod((0, 1)), (normal(3, 2),)),
    "cumsum": (ops.Cumsum(1), (normal(3, 4, 2),)),
    "reshape": (ops.Reshape((4, 6)), (normal(2, 3, 4),)),
    "permute": (ops.Permute((2, 0, 1)), (normal(2, 3, 4),)),
    "concat": (ops.Concat(1), (normal(2, 3, 2), normal(2, 1, 2), normal(2, 4, 2))),
    "slice": (ops.Slice(1, 1, 4), (normal(2, 5, 3),)),
    "slice_step": (ops.Slice(0, 1, 7, 3), (normal(8, 2),)),
    "flip": (ops.Flip((0, 2)), (normal(2, 3, 4),)),
    "pad": (ops.Pad(((0, 0), (2, 1), (0, 3)), -0.5), (normal(2, 3, 4),)),
    "gather_along": (ops.GatherAlong(1), (normal(2, 4, 3), np.array([[[3, 0, 3]], [[1, 1, 2]]]))),
    "gather_along_repeated": (ops.GatherAlong(1), (normal(2, 4, 3), np.array([[[3], [0]]]))),
    "gather_last": (ops.Gather(2), (normal(2, 3, 4), np.array([[3, 0, 3], [1, 1, 2]]))),
    "gather": (ops.Gather(), (normal(5, 3, 2), np.array([[4, 0, 4], [1, 4, 0]]))),
    **convolution_cases(),
    **pool_cases(),
    **bin_cases(),
}


def test_every_primitive_has_a_lowering() -> None:
    assert set(LOWERINGS) == set(ops.PRIMITIVES)


def test_every_differentiable_primitive_has_a_vjp_that_is_tested() -> None:
    differentiable = {op for op in ops.PRIMITIVES if op.differentiable}
    assert set(VJPS) == differentiable
    assert {type(op) for op, _ in CASES.values()} == differentiable - {
        ops.Constant,
        ops.Array,
        ops.StopGradient,
        *CONTROL,
    }


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


def test_relu_has_derivative_zero_at_zero() -> None:
    x = np.array([-1.0, 0.0, -0.0, 2.0])
    (dx,) = gradients(ops.Relu(), (x,), np.full(4, 3.0))
    np.testing.assert_array_equal(dx, [0, 0, 0, 3])


def test_max_splits_the_gradient_evenly_among_equals() -> None:
    x = np.array([[2.0, 7, 7, 1, 7], [4, 3, 4, 0, 0]])
    (dx,) = gradients(ops.Max((1,)), (x,), np.array([6.0, 5.0]))
    np.testing.assert_array_equal(dx, [[0, 2, 2, 0, 2], [2.5, 0, 2.5, 0, 0]])


def test_min_splits_the_gradient_evenly_among_equals() -> None:
    x = np.array([[2.0, 1, 1, 7], [4, 3, 4, 5]])
    (dx,) = gradients(ops.Min((1,)), (x,), np.array([6.0, 5.0]))
    np.testing.assert_array_equal(dx, [[0, 3, 3, 0], [0, 5, 0, 0]])


def test_prod_divides_by_no_zero() -> None:
    x = np.array([[2.0, 3, 4], [0, 3, 4], [0, 0, 4]])
    (dx,) = gradients(ops.Prod((1,)), (x,), np.array([1.0, 10, 100]))
    np.testing.assert_array_equal(dx, [[12, 8, 6], [120, 0, 0], [0, 0, 0]])


def test_pow_at_zero_and_below() -> None:
    a, b = np.array([0.0, 0, 0, -2, -2]), np.array([0.0, 1, 3, 3, 0])
    np.testing.assert_array_equal(forward(ops.Pow(), a, b), [1, 0, 0, -8, 1])
    da, db = gradients(ops.Pow(), (a, b), np.full(5, 2.0))
    np.testing.assert_array_equal(da, [0, 2, 0, 24, 0])
    np.testing.assert_array_equal(db, np.zeros(5))


def test_a_cast_cuts_off_towards_zero_and_argmax_takes_the_first() -> None:
    x = np.array([-2.7, -0.5, 2.7, 2.7])
    np.testing.assert_array_equal(forward(ops.Cast("int64"), x), [-2, 0, 2, 2])
    np.testing.assert_array_equal(forward(ops.Cast("int32"), x > 0), [0, 0, 1, 1])
    np.testing.assert_array_equal(forward(ops.ArgMax((0,), keepdims=True), x), [2])


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


def test_sines_and_cosines_of_positions() -> None:
    sine, cosine = outputs(ops.SinCos(3, 8.0), np.array([[0, 7]]), np.zeros((), np.float32))
    assert (sine.dtype, sine.shape) == (np.float32, (1, 2, 3))
    np.testing.assert_allclose(sine[0, 1], [math.sin(7 / 8 ** (k / 3)) for k in range(3)], rtol=1e-6)
    np.testing.assert_allclose(cosine[0], [[1.0, 1.0, 1.0], [math.cos(7 / 2.0**k) for k in range(3)]], rtol=1e-6)


def test_top_k_takes_the_first_of_equals_and_gives_it_the_gradient() -> None:
    x = np.array([[2.0, 7, 7, 1, 7], [-0.0, 0, -1, 0, -0.0]])
    values, indices = outputs(ops.TopK(3, 1), x)
    np.testing.assert_array_equal(values, [[7, 7, 7], [0, 0, 0]])
    np.testing.assert_array_equal(indices, [[1, 2, 4], [0, 1, 3]])
    (dx,) = gradients(ops.TopK(2, 1), (x,), np.array([[1.0, 20], [300, 4000]]))
    np.testing.assert_array_equal(dx, [[0, 1, 20, 0, 0], [300, 4000, 0, 0, 0]])


def test_where_keeps_what_flows_to_the_other_side_out() -> None:
    condition = np.array([True, False])
    _, da, db = gradients(ops.Where(), (condition, normal(2), normal(2)), np.array([math.inf, math.nan]))
    np.testing.assert_array_equal(da, [math.inf, 0])
    np.testing.assert_array_equal(db, [0, math.nan])


def test_stop_gradient_and_constant_have_none() -> None:
    assert gradients(ops.StopGradient(), (normal(2),), normal(2)) == (None,)
    assert gradients(ops.Constant(2.5), (), normal()) == ()
    assert gradients(ops.Array((1.0, 2.0), (2,)), (), normal(2)) == ()


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
