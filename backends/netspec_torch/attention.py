"""Attention by torch's own kernel: the product, and the layer with its projections."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import handle_torch_function, has_torch_function

from netspec.graph.graph import Call
from netspec.layers.attention import ScaledDotProductAttention, head_groups
from netspec.layers.multi_head_attention import MultiHeadAttention


def attention(
    call: Call, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, bias: Tensor | None = None
) -> Any:
    layer = call.layer
    assert isinstance(layer, ScaledDotProductAttention)
    groups = head_groups(call.inputs[0].shape, call.inputs[1].shape)
    return F.scaled_dot_product_attention(
        query,
        key,
        value,
        dropout_p=_dropped(call, layer.dropout_p),
        scale=layer.scale,
        enable_gqa=groups > 1,
        **_masks(query, key, mask, bias, layer.causal, layer.causal_offset),
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
    q, k, v = (
        x.unflatten(-1, (layer.num_heads, -1)).transpose(1, 2) for x in _projected(call, (query, key, value), state)
    )
    masks = _masks(q, k, mask, attn_bias, layer.causal, 0)
    y = F.scaled_dot_product_attention(q, k, v, dropout_p=_dropped(call, layer.dropout), **masks)
    return F.linear(y.transpose(1, 2).flatten(2), state["out_proj.weight"], state.get("out_proj.bias"))


def _masks(
    query: Tensor, key: Tensor, mask: Tensor | None, bias: Tensor | None, causal: bool, offset: int
) -> dict[str, Any]:
    """The keywords for torch, which has causal from the top left, or else one mask: of flags, or of numbers to add."""
    if causal and mask is None and bias is None and offset == 0:
        return {"is_causal": True}
    if causal:
        seen = below_diagonal(query, key, offset)
        mask = seen if mask is None else mask & seen
    if mask is not None and bias is not None:
        mask = torch.where(mask, bias, -math.inf)
    return {"attn_mask": bias if mask is None else mask}


def below_diagonal(query: Tensor, key: Tensor, offset: int) -> Tensor:
    """Flags `[queries, keys]`: key <= query + offset. One function in the text of the module, as it takes sizes."""
    if has_torch_function((query, key)):
        return handle_torch_function(below_diagonal, (query, key), query, key, offset)
    return torch.ones(query.size(-2), key.size(-2), dtype=torch.bool, device=query.device).tril(offset)


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
