"""Layers that tell attention where a token stands: sinusoidal and learned positions, rotary embedding, alibi."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import Size, format_shape
from netspec.graph.graph import Value
from netspec.graph.types import INTEGERS
from netspec.layers.base import Layer
from netspec.layers.fields import Count, Expected, PositiveFloat, PositiveInt
from netspec.layers.initializers import Normal

Even = Annotated[Count, Field(multiple_of=2), Expected("a positive even integer")]
# Each has a slope of its own, a number in the graph: far more than any model has heads.
Heads = Annotated[int, Field(gt=0, le=2**16), Expected("an integer from 1 to 65536")]


class SinusoidalPositions(Layer):
    """`y = x + table`, x `[..., time, features]` (Vaswani et al. 2017, section 3.5). It has no parameters.

    With `layout: interleaved`, the paper's, table[p, 2k] = sin(p base^(-2k / features)) and table[p, 2k + 1] is the
    cosine of the same angle; with `halves` all sines come first, then all cosines. The features must be even. The
    positions p are 0, 1, ... for any time, or the optional input `positions`, integers `[time]` or `[batch, time]`.
    The table alone is what zeros give.
    """

    type: Literal["sinusoidal_positions"] = "sinusoidal_positions"
    base: PositiveFloat = 10000.0
    layout: Literal["interleaved", "halves"] = "interleaved"

    def expand(self, b: Builder, x: Value, positions: Value | None = None) -> Value:
        places = _places(b, x, positions)
        features = x.shape[-1]
        if not isinstance(features, int) or features % 2:
            raise ShapeError(f"the number of features must be known and even, got {features}")
        waves = b.sin_cos(places, x, features // 2, self.base)
        return x + _joined(b, waves, self.layout == "interleaved")


class LearnedPositions(Layer):
    """`y = x + weight[p]`, x `[..., time, features]`, `weight` `[num_embeddings, features]` (Gehring et al. 2017).

    The positions p are 0, 1, ... for any time up to `num_embeddings`, which a call checks, or the optional input
    `positions`, integers `[time]` or `[batch, time]` from 0 to below `num_embeddings`, which a call checks where they
    are an input of the model, not where it computes them. Starts as torch.nn.Embedding: normal(0, 1). The rows alone
    are what zeros give.
    """

    type: Literal["learned_positions"] = "learned_positions"
    num_embeddings: PositiveInt

    def expand(self, b: Builder, x: Value, positions: Value | None = None) -> Value:
        places = _places(b, x, positions)
        return x + b.gather(b.param("weight", (self.num_embeddings, x.shape[-1]), Normal()), places)


class RotaryEmbedding(Layer):
    """Each pair of features turned by the angle p base^(-2k / rotary_dim) (Su et al. 2021), x `[..., time, features]`.

    Pair k is (x[k], x[k + rotary_dim / 2]) with `layout: half_split`, as in GPT-NeoX and Llama, and (x[2k], x[2k + 1])
    with `interleaved`, as in the paper and GPT-J; (a, b) becomes (a cos - b sin, b cos + a sin). The first
    `rotary_dim` features are turned, all unless given, the others stay. The positions p are 0, 1, ... for any time,
    or the optional input `positions`, integers `[time]` or `[batch, time]`, batch being x's first dimension. Angles
    are computed in float32 at least, also in a bfloat16 model.
    """

    type: Literal["rotary_embedding"] = "rotary_embedding"
    base: PositiveFloat = 10000.0
    layout: Literal["half_split", "interleaved"] = "half_split"
    rotary_dim: Even | None = None

    def expand(self, b: Builder, x: Value, positions: Value | None = None) -> Value:
        places = _places(b, x, positions)
        features = x.shape[-1]
        turned = features if self.rotary_dim is None else self.rotary_dim
        if not isinstance(features, int) or not isinstance(turned, int) or turned % 2 or turned > features:
            raise ShapeError(f"an even number of features, known and {turned} or more, is needed, got {features}")
        sine, cosine = b.sin_cos(places, x, turned // 2, self.base)
        interleaved = self.layout == "interleaved"
        first, second = _pairs(b, b.slice(x, -1, 0, turned), interleaved)
        y = _joined(b, (first * cosine - second * sine, second * cosine + first * sine), interleaved)
        return y if turned == features else b.concat([y, b.slice(x, -1, turned, features)], -1)


class Alibi(Layer):
    """`bias[h, i, j] = -slope_h |i - j|`, the `bias` of attention with linear biases (Press, Smith, Lewis 2022).

    It reads nothing of query `[..., queries, features]` and the optional key `[..., keys, features]` but how long they
    are; without key the keys are the queries. bias is `[num_heads, queries, keys]`; under `causal` only its part i >= j
    is seen, which is the paper's. slope_h = 2^(-8 h / n), h from 1 to n, for n = `num_heads` a power of two; for
    another n the slopes of the largest power of two m below, then every other one of those of 2 m, from its first on,
    as in the authors' code. Nothing flows back.
    """

    type: Literal["alibi"] = "alibi"
    num_heads: Heads

    def expand(self, b: Builder, query: Value, key: Value | None = None) -> Value:
        for x in (query,) if key is None else (query, key):
            _require_times(x)
        rows = b.positions(query, -2)
        columns = b.positions(query if key is None else key, -2)
        distances = b.abs(b.cast(b.reshape(rows, (rows.shape[0], 1)) - columns, "float"))
        slopes = b.array([-slope for slope in alibi_slopes(self.num_heads)], (self.num_heads, 1, 1))
        return distances * slopes


def alibi_slopes(heads: int) -> list[float]:
    """The slopes of all heads, the steepest first within each of the two series."""
    power = 2 ** int(math.log2(heads))
    series = [2.0 ** (-8 * h / power) for h in range(1, power + 1)]
    return series + [2.0 ** (-4 * h / power) for h in range(1, 2 * (heads - power), 2)]


def _places(b: Builder, x: Value, positions: Value | None) -> Value:
    """The positions along the time of x, such that with an axis more they broadcast to x."""
    _require_times(x)
    if positions is None:
        return b.positions(x, -2)
    time = x.shape[-2]
    if positions.type.dtype not in INTEGERS:
        raise ShapeError(f"positions must be integers, got {positions.type}")
    if positions.shape == (time,):
        return positions
    if x.type.rank < 3 or positions.shape != (x.shape[0], time):
        wanted = " or ".join(format_shape(shape) for shape in _accepted(x))
        raise ShapeError(f"positions must be {wanted} for {format_shape(x.shape)}, got {format_shape(positions.shape)}")
    return b.reshape(positions, (x.shape[0], *(1 for _ in x.shape[1:-2]), time))


def _accepted(x: Value) -> list[tuple[Size, ...]]:
    return [(x.shape[-2],), *([(x.shape[0], x.shape[-2])] if x.type.rank > 2 else [])]


def _require_times(x: Value) -> None:
    if x.type.rank < 2:
        raise ShapeError(f"its input must be [..., time, features], got {format_shape(x.shape)}")


def _pairs(b: Builder, x: Value, interleaved: bool) -> tuple[Value, Value]:
    """The two halves of the last axis, or its even and its odd elements."""
    *leading, features = x.shape
    assert isinstance(features, int)
    half = features // 2
    if interleaved:
        x = b.reshape(x, (*leading, half, 2))
        return b.select(x, -1, 0), b.select(x, -1, 1)
    x = b.reshape(x, (*leading, 2, half))
    return b.select(x, -2, 0), b.select(x, -2, 1)


def _joined(b: Builder, parts: tuple[Value, Value], interleaved: bool) -> Value:
    """The opposite of _pairs."""
    if not interleaved:
        return b.concat(parts, -1)
    *leading, half = parts[0].shape
    return b.reshape(b.concat([b.reshape(x, (*leading, half, 1)) for x in parts], -1), (*leading, half * 2))
