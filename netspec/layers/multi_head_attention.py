"""The layer multi_head_attention: projections in, attention of several heads, a projection out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import format_shape
from netspec.graph.graph import Value
from netspec.layers.attention import ScaledDotProductAttention
from netspec.layers.base import Layer
from netspec.layers.fields import DropProbability, Flag, PositiveInt
from netspec.layers.initializers import XavierUniform
from netspec.layers.linear import uniform_by_fan


class MultiHeadAttention(Layer):
    """`concat(head_1, ..., head_n) W_o^T + b_o`, head_i = attention(q W_qi^T, k W_ki^T, v W_vi^T).

    (Vaswani et al. 2017, section 3.2.2, with biases.)
    query `[batch, queries, embed]`, key `[batch, keys, key features]`, value `[batch, keys, value features]`, output
    `[batch, queries, embed]`; `num_heads` divides embed. Weights are those of torch.nn.MultiheadAttention:
    `in_proj_weight` `[3 embed, embed]`, the rows of query, key and value in turn, `in_proj_bias` `[3 embed]`,
    `out_proj.weight` `[embed, embed]`, `out_proj.bias`; where the features of key or value are not embed,
    `q_proj_weight`, `k_proj_weight` and `v_proj_weight` in place of the first. They start as torch's: in_proj by
    xavier_uniform over the whole, biases 0, out_proj uniform within 1 / sqrt(embed).

    `mask` (true: attend, the opposite of torch.nn.MultiheadAttention's) and the numbers `attn_bias`, which are added
    to the scores, broadcast to `[batch, heads, queries, keys]`; `key_mask` (true: attend) is `[batch, keys]`. With
    `causal` query i attends to keys up to i. What a query that may attend to nothing gets is 0 before the projection
    out. `dropout` drops weights of the attention in training, as in scaled_dot_product_attention.
    """

    type: Literal["multi_head_attention"] = "multi_head_attention"
    num_heads: PositiveInt
    bias: Flag = True
    causal: Flag = False
    dropout: DropProbability = 0.0
    refused: ClassVar[Mapping[str, str]] = {
        "embed_dim": "it is the number of features of query",
        "kdim": "it is the number of features of key",
        "vdim": "it is the number of features of value",
        "batch_first": "inputs are [batch, time, features] always",
        "add_bias_kv": "it is not supported: concat a parameter to key and value instead",
        "add_zero_attn": "it is not supported: concat zeros to key and value instead",
        "is_causal": "the field is causal",
        "attn_mask": "it is an input: mask for flags (true: attend), attn_bias for numbers that are added",
        "key_padding_mask": "it is the input key_mask, where true means attend",
    }

    def expand(
        self,
        b: Builder,
        query: Value,
        key: Value,
        value: Value,
        mask: Value | None = None,
        key_mask: Value | None = None,
        attn_bias: Value | None = None,
    ) -> Value:
        for name, x in (("query", query), ("key", key), ("value", value)):
            _require_sequence(name, x)
            if x.shape[0] != query.shape[0]:
                raise ShapeError(
                    f"the batches of query and {name} must be equal, got {query.shape[0]} and {x.shape[0]}"
                )
        embed = query.shape[-1]
        assert isinstance(embed, int)
        if embed % self.num_heads:
            raise ShapeError(f"the {embed} features of query are not divisible by num_heads {self.num_heads}")
        q, k, v = (self._heads(b, x) for x in self._projected(b, (query, key, value), embed))
        kept = _kept(b, key, mask, key_mask)
        attention = ScaledDotProductAttention(causal=self.causal, dropout_p=self.dropout)
        y = b.permute(attention.expand(b, q, k, v, kept, attn_bias), (0, 2, 1, 3))
        y = b.reshape(y, query.shape)
        y = b.matmul(y, b.permute(b.param("out_proj.weight", (embed, embed), uniform_by_fan(embed)), (1, 0)))
        return y + b.param("out_proj.bias", (embed,), "zeros") if self.bias else y

    def _heads(self, b: Builder, x: Value) -> Value:
        """`[batch, length, embed]` as `[batch, heads, length, embed / heads]`."""
        batch, length, embed = x.shape
        assert isinstance(embed, int)
        return b.permute(b.reshape(x, (batch, length, self.num_heads, embed // self.num_heads)), (0, 2, 1, 3))

    def _projected(self, b: Builder, inputs: tuple[Value, Value, Value], embed: int) -> tuple[Value, ...]:
        """Query, key and value behind their projections, each `[batch, length, embed]`."""
        features = [x.shape[-1] for x in inputs]
        if features != [embed] * 3:
            names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
            weights = [
                b.param(name, (embed, size), XavierUniform()) for name, size in zip(names, features, strict=True)
            ]
        else:
            packed = b.param("in_proj_weight", (3 * embed, embed), XavierUniform())
            if inputs[0] is inputs[1] is inputs[2]:
                return self._projected_at_once(b, inputs[0], packed)
            each = b.reshape(packed, (3, embed, embed))
            weights = [b.select(each, 0, position) for position in range(3)]
        products = tuple(b.matmul(x, b.permute(w, (1, 0))) for x, w in zip(inputs, weights, strict=True))
        if not self.bias:
            return products
        shifts = b.reshape(b.param("in_proj_bias", (3 * embed,), "zeros"), (3, embed))
        return tuple(y + b.select(shifts, 0, position) for position, y in enumerate(products))

    def _projected_at_once(self, b: Builder, x: Value, packed: Value) -> tuple[Value, ...]:
        """One product where query, key and value are one tensor."""
        batch, length, embed = x.shape
        y = b.matmul(x, b.permute(packed, (1, 0)))
        if self.bias:
            y = y + b.param("in_proj_bias", (packed.shape[0],), "zeros")
        y = b.reshape(y, (batch, length, 3, embed))
        return tuple(b.select(y, 2, position) for position in range(3))


def _require_sequence(name: str, x: Value) -> None:
    if x.type.rank != 3:
        raise ShapeError(f"{name} must be [batch, length, features], got {format_shape(x.shape)}")
    if not isinstance(x.shape[-1], int):
        raise ShapeError(f"the number of features of {name} must be known, got {x.shape[-1]}")


def _kept(b: Builder, key: Value, mask: Value | None, key_mask: Value | None) -> Value | None:
    """Both masks as one, which broadcasts to `[batch, heads, queries, keys]`."""
    if key_mask is None:
        return mask
    batch, keys = key.shape[:-1]
    if key_mask.shape != (batch, keys) or key_mask.type.dtype != "bool":
        wanted = format_shape((batch, keys))
        raise ShapeError(f"key_mask must be flags {wanted}, true for what may be attended to, got {key_mask.type}")
    padded = b.reshape(key_mask, (batch, 1, 1, keys))
    return padded if mask is None else b.logical_and(mask, padded)
