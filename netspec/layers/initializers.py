"""Initialisers of the language: what a parameter starts from, as configuration. Drawing is netspec.weights' part."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from netspec.errors import LanguageError, Mistake, nearest
from netspec.layers.fields import Expected, NonNegativeFloat, PositiveFloat, Real
from netspec.layers.validation import FieldsError, construct, shown

FanMode = Annotated[Literal["fan_in", "fan_out"], Expected("fan_in or fan_out")]

SQRT_2 = math.sqrt(2)  # the gain of relu (He et al. 2015)


class Initializer(BaseModel):
    """What a parameter starts from. `fan_in` and `fan_out` are inputs and outputs of one unit, as in torch.nn.init."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)

    type: str


class Zeros(Initializer):
    """`w = 0`."""

    type: Literal["zeros"] = "zeros"


class Ones(Initializer):
    """`w = 1`."""

    type: Literal["ones"] = "ones"


class Constant(Initializer):
    """`w = value`."""

    type: Literal["constant"] = "constant"
    value: Real


class Normal(Initializer):
    """`w ~ N(mean, std^2)`."""

    type: Literal["normal"] = "normal"
    mean: Real = 0.0
    std: NonNegativeFloat = 1.0


class TruncatedNormal(Initializer):
    """`w = mean + std z`, z ~ N(0, 1) drawn again while |z| > bound.

    `std` is that of the normal before it is cut, and `bound` counts in it: with bound 2 the result has the standard
    deviation 0.8796 std.
    """

    type: Literal["truncated_normal"] = "truncated_normal"
    mean: Real = 0.0
    std: NonNegativeFloat = 1.0
    bound: PositiveFloat = 2.0


class Uniform(Initializer):
    """`w ~ U(low, high)`, or `U(-bound, bound)`."""

    type: Literal["uniform"] = "uniform"
    low: Real | None = None
    high: Real | None = None
    bound: Annotated[float | None, Field(gt=0), Expected("a number above 0")] = None

    @model_validator(mode="after")
    def _one_interval(self) -> Uniform:
        if (self.low is None) != (self.high is None) or (self.low is None) == (self.bound is None):
            raise ValueError("expected low and high, or bound alone")
        low, high = self.interval
        if not low < high:
            raise ValueError(f"low {low:g} is not below high {high:g}")
        return self

    @property
    def interval(self) -> tuple[float, float]:
        """Both ends."""
        if self.bound is not None:
            return -self.bound, self.bound
        assert self.low is not None
        assert self.high is not None
        return self.low, self.high


class XavierUniform(Initializer):
    """`w ~ U(-a, a)`, a = gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""

    type: Literal["xavier_uniform"] = "xavier_uniform"
    gain: NonNegativeFloat = 1.0


class XavierNormal(Initializer):
    """`w ~ N(0, s^2)`, s = gain sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""

    type: Literal["xavier_normal"] = "xavier_normal"
    gain: NonNegativeFloat = 1.0


class KaimingUniform(Initializer):
    """`w ~ U(-a, a)`, a = gain sqrt(3 / fan) (He et al. 2015)."""

    type: Literal["kaiming_uniform"] = "kaiming_uniform"
    mode: FanMode = "fan_in"
    gain: NonNegativeFloat = SQRT_2


class KaimingNormal(Initializer):
    """`w ~ N(0, s^2)`, s = gain / sqrt(fan), not truncated (He et al. 2015)."""

    type: Literal["kaiming_normal"] = "kaiming_normal"
    mode: FanMode = "fan_in"
    gain: NonNegativeFloat = SQRT_2


class Orthogonal(Initializer):
    """`w = gain Q`, Q uniform among matrices [first size, product of the others] with orthonormal rows or columns.

    (Saxe, McClelland, Ganguli 2014; Mezzadri 2007.) Q comes from the machine's LAPACK: the one initialiser that is not
    promised to be bit-identical everywhere.
    """

    type: Literal["orthogonal"] = "orthogonal"
    gain: NonNegativeFloat = 1.0


class Identity(Initializer):
    """`w[i, j] = 1 if i == j else 0`: the identity, or as much of it as fits a matrix that is not square."""

    type: Literal["identity"] = "identity"


INITIALIZERS: tuple[type[Initializer], ...] = (
    *(Zeros, Ones, Constant, Identity),
    *(Normal, TruncatedNormal, Uniform, Orthogonal),
    *(XavierUniform, XavierNormal, KaimingUniform, KaimingNormal),
)

INITIALIZER_TYPES: dict[str, type[Initializer]] = {cls.model_fields["type"].default: cls for cls in INITIALIZERS}


def parse_initializer(value: str | Mapping[str, Any]) -> Initializer:
    """The initialiser that `zeros` or `{type: normal, std: 0.02}` stands for; a word alone has the defaults.

    Raises:
        LanguageError: without a location, one mistake per field, where the type or a field is wrong.
    """
    fields = {"type": value} if isinstance(value, str) else value
    if not isinstance(fields, Mapping):
        raise LanguageError(f"expected an initialiser: a word or a mapping with a type, got {shown(value)}")
    name = fields.get("type")
    if not isinstance(name, str):
        raise LanguageError(f"the type of an initialiser is a word such as normal, got {shown(name)}")
    cls = INITIALIZER_TYPES.get(name)
    if cls is None:
        raise LanguageError(f"unknown initialiser {name[:64]}{nearest(name, INITIALIZER_TYPES)}")
    try:
        return construct(cls, fields)
    except FieldsError as error:
        raise LanguageError([Mistake(f"{name}: {mistake.message}") for mistake in error.fields]) from None
