"""Attention layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import reduce
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import Shape, Size, format_shape
from netspec.graph.graph import Value
from netspec.graph.types import broadcast
from netspec.layers.base import Layer
from netspec.layers.fields import DropProbability, Expected, Flag, Real
from netspec.layers.regularization import dropped

# A position and an offset fit into 32 bits together, which is what JAX has without x64.
Offset = Annotated[int, Field(ge=-(2**30), le=2**30), Expected("an integer from -2^30 to 2^30")]


class ScaledDotProductAttention(Layer):
    """`softmax(scale * query key^T + bias) value` over the keys that `mask` and `causal` leave (Vaswani et al. 2017).

    query `[..., heads, queries, features]`, key `[..., heads, keys, features]`, value `[..., heads, keys, out]`, output
    `[..., heads, queries, out]`; the leading dimensions broadcast and may be none. Where the heads of key and value are
    fewer and divide those of query, each serves a group of neighbours (Ainslie et al. 2023). `mask` (true: attend) and
    `bias` broadcast to `[..., heads, queries, keys]`. With `causal` query i attends to keys up to i + `causal_offset`.
    `scale` is 1 / sqrt(features) unless given. A query that may attend to nothing, or whose scores are all -inf, gets 0
    and hands back a gradient of 0. In training each weight that comes of the softmax is dropped with probability
    `dropout_p`, the others are divided by 1 - dropout_p; in inference, unlike torch's function, none is.
    """

    type: Literal["scaled_dot_product_attention"] = "scaled_dot_product_attention"
    causal: Flag = False
    causal_offset: Offset = 0
    scale: Real | None = None
    dropout_p: DropProbability = 0.0
    refused: ClassVar[Mapping[str, str]] = {
        "is_causal": "the field is causal",
        "attn_mask": "it is an input: mask for flags, bias for numbers that are added",
        "enable_gqa": "heads of key and value that divide those of query always serve groups of them",
    }

    def expand(
        self, b: Builder, query: Value, key: Value, value: Value, mask: Value | None = None, bias: Value | None = None
    ) -> Value:
        shape = self._score_shape(query, key, value)
        for name, given in (("mask", mask), ("bias", bias)):
            _require_fit(name, given, shape)
        if mask is not None and mask.type.dtype != "bool":
            raise ShapeError(f"mask must be flags, true for what may be attended to, got {mask.type}")
        groups = head_groups(query.shape, key.shape)
        if groups > 1:
            query = _split_heads(b, query, groups)
            mask, bias = (None if x is None else _split_heads(b, x, groups) for x in (mask, bias))
            key, value = (b.reshape(x, (*x.shape[:-2], 1, *x.shape[-2:])) for x in (key, value))
        axes = (*range(key.type.rank - 2), key.type.rank - 1, key.type.rank - 2)
        scores = b.matmul(query * self._scale(query), b.permute(key, axes))
        if bias is not None:
            scores = scores + bias
        weights = _softmax(b, scores, self._kept(b, scores, mask, bias is not None))
        y = b.matmul(dropped(b, weights, self.dropout_p), value)
        return b.reshape(y, (*shape[:-1], value.shape[-1])) if groups > 1 else y

    def _score_shape(self, query: Value, key: Value, value: Value) -> tuple[Size, ...]:
        """`[..., heads, queries, keys]`, or a ShapeError where the three do not fit together."""
        for name, x in (("query", query), ("key", key), ("value", value)):
            if x.type.rank < 2:
                raise ShapeError(f"{name} must be [..., length, features], got {format_shape(x.shape)}")
        if query.shape[-1] != key.shape[-1]:
            raise ShapeError(f"query has {query.shape[-1]} features and key {key.shape[-1]}: they must be as many")
        if key.shape[:-1] != value.shape[:-1]:
            both = f"{format_shape(key.shape)} and {format_shape(value.shape)}"
            raise ShapeError(f"key and value must have the same leading dimensions and length, got {both}")
        if head_groups(query.shape, key.shape) == 1:
            return (*broadcast([query.shape[:-2], key.shape[:-2]]), query.shape[-2], key.shape[-2])
        leading = broadcast([query.shape[:-3], key.shape[:-3]])
        return (*leading, query.shape[-3], query.shape[-2], key.shape[-2])

    def _scale(self, query: Value) -> float:
        if self.scale is not None:
            return self.scale
        features = query.shape[-1]
        if not isinstance(features, int):
            raise ShapeError(f"the number of features must be known, or scale be given: got {features}")
        return 1 / math.sqrt(features)

    def _kept(self, b: Builder, scores: Value, mask: Value | None, biased: bool) -> Value | None:
        """The flags of what may be attended to, which broadcast to the scores; None where all may."""
        flags = [] if mask is None else [mask]
        if self.causal:
            queries = b.reshape(b.positions(scores, -2), (scores.shape[-2], 1))
            flags.append(b.greater(queries + (self.causal_offset + 1), b.positions(scores, -1)))
        if biased:  # a score of -inf is left out: a row of nothing else would be 0 / 0
            flags.append(b.logical_not(b.equal(scores, -math.inf)))
        return reduce(b.logical_and, flags) if flags else None


def head_groups(query: Shape, key: Shape) -> int:
    """How many heads of the query share one of the key, where those are fewer, more than one, and divide them."""
    if len(query) < 3 or len(key) < 3:
        return 1
    heads, shared = query[-3], key[-3]
    if not isinstance(heads, int) or not isinstance(shared, int) or shared == 1 or heads % shared:
        return 1
    return heads // shared


def _require_fit(name: str, given: Value | None, shape: Shape) -> None:
    """A ShapeError unless an optional input broadcasts to the scores without making them larger."""
    if given is not None and broadcast([given.shape, shape]) != shape:
        raise ShapeError(f"{name} {format_shape(given.shape)} does not broadcast to the scores {format_shape(shape)}")


def _split_heads(b: Builder, x: Value, groups: int) -> Value:
    """`[..., heads, m, n]` as `[..., heads / groups, groups, m, n]`; what has no heads or 1 broadcasts over both."""
    if x.type.rank < 3:
        return x
    *leading, heads, m, n = x.shape
    return b.reshape(x, (*leading, 1, 1, m, n) if heads == 1 else (*leading, heads // groups, groups, m, n))


def _softmax(b: Builder, scores: Value, kept: Value | None) -> Value:
    """Softmax over the last axis of the scores that are kept; a row without any is 0 throughout.

    Scores that are left out are selected away before the exponential too: it could be infinite there, and infinity
    times the 0 that flows back is NaN.
    """
    if kept is None:
        e = b.exp(scores - b.max(b.stop_gradient(scores), -1, keepdims=True))
        return e / b.sum(e, -1, keepdims=True)
    largest = b.max(b.where(kept, b.stop_gradient(scores), -math.inf), -1, keepdims=True)
    e = b.where(kept, b.exp(b.where(kept, scores - largest, 0.0)), 0.0)
    total = b.sum(e, -1, keepdims=True)
    return e / b.where(b.greater(total, 0.0), total, 1.0)
