"""Attention by torch's own kernel: the product, and the layer with its projections."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from netspec.graph.graph import Call
from netspec.layers.attention import ScaledDotProductAttention, head_groups
from netspec.layers.multi_head_attention import MultiHeadAttention


def attention(
    call: Call, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, bias: Tensor | None = None
) -> Any:
    layer = call.layer
    assert isinstance(layer, ScaledDotProductAttention)
    if _is_beyond_torch(layer.causal, mask, bias) or (layer.causal and layer.causal_offset):
        return NotImplemented
    groups = head_groups(call.inputs[0].shape, call.inputs[1].shape)
    return F.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=_one_mask(mask, bias),
        dropout_p=_dropped(call, layer.dropout_p),
        is_causal=layer.causal,
        scale=layer.scale,
        enable_gqa=groups > 1,
    )


def multi_head_attention(
    call: Call,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    key_mask: Tensor | None = None,
    attn_bias: Tensor | None = None,
    **state: Tensor,
) -> Any:
    layer = call.layer
    assert isinstance(layer, MultiHeadAttention)
    if key_mask is not None:
        padded = key_mask[:, None, None, :]
        mask = padded if mask is None else mask & padded
    if _is_beyond_torch(layer.causal, mask, attn_bias):
        return NotImplemented
    q, k, v = (
        x.unflatten(-1, (layer.num_heads, -1)).transpose(1, 2) for x in _projected(call, (query, key, value), state)
    )
    y = F.scaled_dot_product_attention(
        q,
        k,
        v,
        attn_mask=_one_mask(mask, attn_bias),
        dropout_p=_dropped(call, layer.dropout),
        is_causal=layer.causal,
    )
    return F.linear(y.transpose(1, 2).flatten(2), state["out_proj.weight"], state.get("out_proj.bias"))


def _is_beyond_torch(causal: bool, mask: Tensor | None, bias: Tensor | None) -> bool:
    """torch has causal, from the top left, or a mask."""
    return causal and (mask is not None or bias is not None)


def _one_mask(mask: Tensor | None, bias: Tensor | None) -> Tensor | None:
    if mask is None or bias is None:
        return mask if bias is None else bias
    return torch.where(mask, bias, -math.inf)


def _dropped(call: Call, probability: float) -> float:
    """The probability in the graph of training, where the body draws; else 0."""
    return probability if any(node.op.random for node in call.body) else 0.0


def _projected(call: Call, inputs: tuple[Tensor, Tensor, Tensor], state: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """Query, key and value behind their projections: by one product where they are one tensor."""
    bias = state.get("in_proj_bias")
    packed = state.get("in_proj_weight")
    query, key, value = call.inputs[:3]
    if packed is not None and query is key is value:
        return _three(F.linear(inputs[0], packed, bias).chunk(3, -1))
    if packed is not None:
        weights = _three(packed.chunk(3))
    else:
        weights = (state["q_proj_weight"], state["k_proj_weight"], state["v_proj_weight"])
    biases: tuple[Tensor | None, ...] = (None, None, None) if bias is None else _three(bias.chunk(3))
    return tuple(F.linear(x, weight, shift) for x, weight, shift in zip(inputs, weights, biases, strict=True))


def _three(parts: Any) -> tuple[Tensor, Tensor, Tensor]:
    """What torch gives as a tuple is one value while a forward is recorded: it cannot be iterated over."""
    return parts[0], parts[1], parts[2]
