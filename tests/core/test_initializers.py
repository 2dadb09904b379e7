"""Initialisers: what a spec may write, numbers that never change, and the laws they are named by."""

import hashlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from netspec.errors import LanguageError, NetspecError, WeightsError
from netspec.layers.initializers import (
    INITIALIZER_TYPES,
    INITIALIZERS,
    Constant,
    Initializer,
    KaimingNormal,
    KaimingUniform,
    Normal,
    Orthogonal,
    TruncatedNormal,
    Uniform,
    XavierNormal,
    XavierUniform,
    Zeros,
    parse_initializer,
)
from netspec.weights import generator
from netspec.weights.initialize import DRAWINGS, draw

MILLION = 1_000_000
# sqrt(n) times the Kolmogorov-Smirnov distance is above this for 1 sample in 1000.
KOLMOGOROV_LIMIT = 1.95

# ----------------------------------------------------------------------------------------------------------- the words


def test_a_word_alone_has_the_defaults() -> None:
    assert parse_initializer("normal") == Normal(mean=0.0, std=1.0)
    assert parse_initializer("truncated_normal") == TruncatedNormal(mean=0.0, std=1.0, bound=2.0)
    assert parse_initializer("xavier_uniform") == XavierUniform(gain=1.0)
    assert parse_initializer("kaiming_normal") == KaimingNormal(mode="fan_in", gain=math.sqrt(2))
    assert parse_initializer("orthogonal") == Orthogonal(gain=1.0)


def test_a_mapping_gives_fields_and_an_integer_will_do_for_a_float() -> None:
    assert parse_initializer({"type": "constant", "value": 3}) == Constant(value=3.0)
    assert parse_initializer({"type": "uniform", "low": -2, "high": 0.5}) == Uniform(low=-2.0, high=0.5)
    assert parse_initializer({"type": "kaiming_uniform", "mode": "fan_out"}) == KaimingUniform(mode="fan_out")
    assert Uniform(low=-2.0, high=0.5).interval == (-2.0, 0.5)
    assert Uniform(bound=0.25).interval == (-0.25, 0.25)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("normal2", "unknown initialiser normal2; did you mean normal?"),
        ("Normal", "unknown initialiser Normal; did you mean normal?"),
        ("constant", "constant: value is required"),
        ("uniform", "uniform: expected low and high, or bound alone"),
        (True, "expected an initialiser: a word or a mapping with a type, got true"),
        ([], "expected an initialiser: a word or a mapping with a type, got []"),
        ({"std": 1}, "the type of an initialiser is a word such as normal, got null"),
        ({"type": ["normal"]}, "the type of an initialiser is a word such as normal, got ['normal']"),
        ({"type": "normal", "stdd": 1}, "normal: unknown field stdd; did you mean std?"),
        ({"type": "normal", "low": 1}, "normal: unknown field low; its fields are mean, std"),
        ({"type": "zeros", "value": 1}, "zeros: unknown field value; it has no fields"),
        ({"type": "normal", "std": True}, "normal: std: expected a number from 0 up, got true"),
        ({"type": "normal", "std": "1"}, "normal: std: expected a number from 0 up, got text '1'"),
        ({"type": "normal", "std": -0.5}, "normal: std: expected a number from 0 up, got -0.5"),
        ({"type": "normal", "mean": math.inf}, "normal: mean: expected a number, got inf"),
        ({"type": "normal", "mean": math.nan}, "normal: mean: expected a number, got nan"),
        ({"type": "truncated_normal", "bound": 0}, "truncated_normal: bound: expected a number above 0, got 0"),
        ({"type": "uniform", "bound": -1}, "uniform: bound: expected a number above 0, got -1"),
        ({"type": "uniform", "low": 1}, "uniform: expected low and high, or bound alone"),
        ({"type": "uniform", "low": 1, "high": 2, "bound": 3}, "uniform: expected low and high, or bound alone"),
        ({"type": "uniform", "low": 2, "high": 2}, "uniform: low 2 is not below high 2"),
        ({"type": "kaiming_normal", "mode": "fan"}, "kaiming_normal: mode: expected fan_in or fan_out, got text 'fan'"),
        ({"type": "xavier_normal", "gain": -1}, "xavier_normal: gain: expected a number from 0 up, got -1"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line_each(value: Any, message: str) -> None:
    with pytest.raises(LanguageError) as caught:
        parse_initializer(value)
    assert str(caught.value) == message
    assert caught.value.mistakes[0].location is None


def test_an_integer_that_python_refuses_to_print_is_told_by_its_size() -> None:
    with pytest.raises(LanguageError, match="normal: mean: expected a number, got an integer of 16610 bits"):
        parse_initializer({"type": "normal", "mean": 10**5000})


def test_every_wrong_field_is_told() -> None:
    with pytest.raises(LanguageError) as caught:
        parse_initializer({"type": "normal", "mean": "a", "std": -1, "x\x1b[2J": 3})
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert "\x1b" not in str(caught.value)


def test_every_initialiser_has_a_name_a_formula_and_a_drawing() -> None:
    assert len(INITIALIZER_TYPES) == len(INITIALIZERS) == 12
    assert set(DRAWINGS) == set(INITIALIZERS)
    for initializer in INITIALIZERS:
        assert (initializer.__doc__ or "").startswith("`w")


# ------------------------------------------------------------------------------------------------ numbers never change


GOLDEN = [
    ("zeros", (3, 4), 0, "17b0761f87b081d5"),
    ({"type": "constant", "value": 0.1}, (5,), 0, "4961bda842a4a6cb"),
    ("identity", (3, 5), 0, "b77baab292b70d46"),
    ("normal", (1,), 0, "8e199dc9f9f40c6b"),
    ("normal", (64, 3, 7, 7), 0, "b62042a56a1fe8b4"),
    ("normal", (64, 3, 7, 7), 1, "9f0d406431bf0c84"),
    ({"type": "normal", "mean": -0.3, "std": 0.02}, (127, 513), 12345, "642ebfe25a50e151"),
    ("truncated_normal", (101, 33), 0, "7139d997cc377e24"),
    ({"type": "truncated_normal", "std": 0.02, "bound": 0.5}, (101, 33), 3, "c4c245ccba2d21d0"),
    ({"type": "uniform", "bound": 0.1}, (7, 11), 0, "587d336848c443e7"),
    ({"type": "uniform", "low": 0, "high": 1}, (300, 301), 2**40, "281e28c4aee7e53a"),
    ("xavier_uniform", (10, 84), 0, "2a9945a8fd5f5ba6"),
    ("xavier_normal", (16, 6, 5, 5), 0, "53fcb66a382d6ed8"),
    ("kaiming_uniform", (16, 6, 5, 5), 0, "8396a93239ed890d"),
    ({"type": "kaiming_normal", "mode": "fan_out"}, (64, 3, 7, 7), 0, "4535d5dbfa077a49"),
]


@pytest.mark.parametrize(("value", "shape", "seed", "digest"), GOLDEN, ids=[str(row[:3]) for row in GOLDEN])
def test_golden_hashes(value: Any, shape: tuple[int, ...], seed: int, digest: str) -> None:
    """A change here changes the initial weights of every model that exists."""
    values = draw(parse_initializer(value), shape, "layer2.0.conv1.weight", seed)
    assert values.shape == shape
    assert values.dtype == np.float32
    assert hashlib.sha256(values.astype("<f4").tobytes()).hexdigest()[:16] == digest


@pytest.mark.parametrize(
    "initializer",
    [
        Normal(std=0.3, mean=0.1),
        Uniform(low=-1.0, high=3.0),
        TruncatedNormal(bound=1.5),
        TruncatedNormal(bound=0.3),
    ],
    ids=str,
)
@pytest.mark.parametrize("count", [1, 2, 3, 1001])
def test_numbers_do_not_depend_on_the_size_of_a_block(
    initializer: Initializer, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = draw(initializer, (count,), "w", 0)
    for block_words in (1, 3, 64):
        monkeypatch.setattr(generator, "BLOCK_WORDS", block_words)
        np.testing.assert_array_equal(draw(initializer, (count,), "w", 0), expected)


def test_a_number_is_rounded_to_float32_once() -> None:
    """Computing in float32 would give other last bits."""
    z = np.concatenate([next(generator.normals(generator.stream(4, "w", (1000,)), 1000))])
    expected = (z * 0.7 + 0.3).astype(np.float32)
    np.testing.assert_array_equal(draw(Normal(mean=0.3, std=0.7), (1000,), "w", 4), expected)
    assert (expected != z.astype(np.float32) * np.float32(0.7) + np.float32(0.3)).any()


# ------------------------------------------------------------------------------------------------------------ the laws


def normal_distribution(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([0.5 + 0.5 * math.erf(value * math.sqrt(0.5)) for value in x.tolist()])


def truncated_distribution(bound: float) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    inside = math.erf(bound * math.sqrt(0.5))
    return lambda x: (normal_distribution(x) - 0.5) / inside + 0.5


def kolmogorov(
    values: NDArray[np.float32], distribution: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> float:
    """Sqrt(n) times the largest distance between the values' distribution and the one they should have."""
    expected = distribution(np.sort(values.astype(np.float64)))
    steps = np.arange(values.size + 1) / values.size
    return float(max((steps[1:] - expected).max(), (expected - steps[:-1]).max()) * math.sqrt(values.size))


def test_normal_is_normal() -> None:
    values = draw(Normal(), (MILLION,), "w", 1)
    assert kolmogorov(values, normal_distribution) < KOLMOGOROV_LIMIT
    wide = values.astype(np.float64)
    # Each within four standard errors of a sample of a million.
    assert abs(wide.mean()) < 4 / 1000
    assert abs(wide.var() - 1) < 4 * math.sqrt(2) / 1000
    assert abs((wide**3).mean()) < 4 * math.sqrt(15) / 1000
    assert abs((wide**4).mean() - 3) < 4 * math.sqrt(96) / 1000
    beyond_4 = MILLION * math.erfc(4 * math.sqrt(0.5))
    assert abs((np.abs(wide) > 4).sum() - beyond_4) < 4 * math.sqrt(beyond_4)


def test_the_test_of_normality_sees_a_sum_of_uniforms() -> None:
    """The sum of 12 uniforms less 6, which many call normal, must not pass."""
    blocks = generator.uniforms(generator.stream(0, "w", ()), 12 * MILLION)
    sums = np.concatenate([next(blocks).copy() for _ in range(400)])[: 12 * MILLION].reshape(12, -1).sum(axis=0) / 2
    assert kolmogorov(sums.astype(np.float32), normal_distribution) > KOLMOGOROV_LIMIT


def test_the_two_numbers_of_a_word_are_independent() -> None:
    first, second = draw(Normal(), (MILLION // 2, 2), "w", 0).astype(np.float64).T
    for left, right in ((first, second), (first**2, second**2), (np.abs(first), second)):
        assert abs(np.corrcoef(left, right)[0, 1]) < 4 / math.sqrt(MILLION / 2)


@pytest.mark.parametrize("bound", [0.5, 1.0, 2.0])
def test_truncated_normal_is_a_normal_cut_off(bound: float) -> None:
    values = draw(TruncatedNormal(bound=bound), (MILLION // 4,), "w", 0)
    assert np.abs(values).max() <= bound
    assert np.abs(values).max() > 0.999 * bound
    assert kolmogorov(values, truncated_distribution(bound)) < KOLMOGOROV_LIMIT


def test_std_of_a_truncated_normal_is_that_before_the_cut() -> None:
    values = draw(TruncatedNormal(mean=5.0, std=0.1), (MILLION // 4,), "w", 0).astype(np.float64)
    assert np.abs(values - 5).max() <= 0.2 + 1e-6
    assert abs(values.std() - 0.087962566) < 4 * 0.1 / math.sqrt(MILLION / 2)


@pytest.mark.parametrize("initializer", [Uniform(low=-1.0, high=3.0), Uniform(bound=0.1)], ids=str)
def test_uniform_is_uniform(initializer: Uniform) -> None:
    low, high = initializer.interval
    values = draw(initializer, (MILLION,), "w", 1)
    assert low <= values.min() < low + 1e-5 * (high - low)
    assert high - 1e-5 * (high - low) < values.max() <= np.float32(high)
    assert kolmogorov(values, lambda x: (x - low) / (high - low)) < KOLMOGOROV_LIMIT


# ------------------------------------------------------------------------------------------------------------ the fans


CONV = (64, 3, 7, 7)  # fan_in 3 * 49 = 147, fan_out 64 * 49 = 3136
MATRIX = (10, 84)


@pytest.mark.parametrize(
    ("initializer", "shape", "same"),
    [
        (XavierUniform(), CONV, Uniform(bound=math.sqrt(6 / (147 + 3136)))),
        (XavierUniform(gain=5 / 3), MATRIX, Uniform(bound=5 / 3 * math.sqrt(6 / 94))),
        (XavierNormal(), CONV, Normal(std=math.sqrt(2 / (147 + 3136)))),
        (XavierNormal(gain=0.5), MATRIX, Normal(std=0.5 * math.sqrt(2 / 94))),
        (KaimingUniform(), CONV, Uniform(bound=math.sqrt(6 / 147))),
        (KaimingUniform(mode="fan_out", gain=1.0), MATRIX, Uniform(bound=math.sqrt(3 / 10))),
        (KaimingUniform(gain=math.sqrt(1 / 3)), MATRIX, Uniform(bound=1 / math.sqrt(84))),
        (KaimingNormal(), MATRIX, Normal(std=math.sqrt(2 / 84))),
        (KaimingNormal(mode="fan_out"), CONV, Normal(std=math.sqrt(2 / 3136))),
    ],
    ids=str,
)
def test_bounds_are_torchs(initializer: Initializer, shape: tuple[int, ...], same: Initializer) -> None:
    """The same stream under the bound or the std that torch.nn.init documents for this shape."""
    np.testing.assert_allclose(draw(initializer, shape, "w", 0), draw(same, shape, "w", 0), rtol=2e-7, atol=0)


def test_given_fans_take_the_place_of_the_shapes() -> None:
    fan_in = draw(KaimingNormal(gain=1.0), (6, 4), "w", 0, fan=(25, 100))
    fan_out = draw(KaimingNormal(gain=1.0, mode="fan_out"), (6, 4), "w", 0, fan=(25, 100))
    plain = draw(Normal(), (6, 4), "w", 0)
    np.testing.assert_allclose(fan_in, plain / 5, rtol=2e-7)
    np.testing.assert_allclose(fan_out, plain / 10, rtol=2e-7)
    vector = draw(XavierNormal(), (24,), "w", 0, fan=(3, 5))
    np.testing.assert_allclose(vector, draw(Normal(), (24,), "w", 0) / 2, rtol=2e-7)


@pytest.mark.parametrize(
    ("initializer", "shape", "message"),
    [
        (XavierUniform(), (5,), "fc.bias: this initialiser needs a shape of at least 2 dimensions"),
        (KaimingNormal(), (), "fc.bias: this initialiser needs a shape of at least 2 dimensions"),
        (Orthogonal(), (5,), "fc.bias: orthogonal needs a shape of at least 2 dimensions"),
        (parse_initializer("identity"), (5,), "fc.bias: identity needs a shape of 2 dimensions, got [5]"),
        (parse_initializer("identity"), (5, 5, 1, 1), "fc.bias: identity needs a shape of 2 dimensions"),
        (Constant(value=1e39), (5,), "fc.bias: the numbers of its initialiser constant go beyond float32"),
        (Normal(std=1e39), (500,), "fc.bias: the numbers of its initialiser normal go beyond float32"),
        (Uniform(low=-1e308, high=1e308), (5,), "fc.bias: the numbers of its initialiser uniform go beyond float32"),
    ],
    ids=str,
)
def test_what_does_not_fit_the_parameter_is_refused(
    initializer: Initializer, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(WeightsError) as caught:
        draw(initializer, shape, "fc.bias", 0)
    assert str(caught.value).startswith(message)
    assert isinstance(caught.value, NetspecError)


# ------------------------------------------------------------------------------------------------------ the exact ones


def test_constants_and_identity() -> None:
    assert draw(Zeros(), (2, 3), "w", 0).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert draw(parse_initializer("ones"), (2,), "w", 0).tolist() == [1, 1]
    assert draw(Constant(value=0.1), (), "w", 0) == np.float32(0.1)
    assert draw(parse_initializer("identity"), (2, 3), "w", 0).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert draw(parse_initializer("identity"), (3, 2), "w", 0).tolist() == [[1, 0], [0, 1], [0, 0]]


@pytest.mark.parametrize("shape", [(9, 4), (4, 9), (5, 5), (6, 2, 3, 2)], ids=str)
def test_orthogonal(shape: tuple[int, ...]) -> None:
    """Orthonormal rows or columns times the gain, with the signs that make R's diagonal positive."""
    q = draw(Orthogonal(gain=3.0), shape, "w", 0).reshape(shape[0], -1).astype(np.float64)
    start = draw(Normal(), shape, "w", 0).reshape(shape[0], -1).astype(np.float64)
    if q.shape[0] < q.shape[1]:
        q, start = q.T, start.T
    np.testing.assert_allclose(q.T @ q, 9 * np.eye(q.shape[1]), atol=1e-5)
    r = q.T @ start / 3
    np.testing.assert_allclose(np.tril(r, -1), 0, atol=1e-5)
    assert (np.diagonal(r) > 0).all()
