"""multi_head_attention against torch.nn.MultiheadAttention; positions against what the papers write, one by one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from netspec.backend import find_backend
from netspec.spec import loads
from tests.conformance.judging_models import Tensors, judge_model

# The layers that this file judges: test_torch_nn counts them.
JUDGED_TYPES = {"multi_head_attention", "sinusoidal_positions", "learned_positions", "rotary_embedding", "alibi"}

INPUTS = {
    "query": "[batch, queries, 6]",
    "key": "[batch, keys, 6]",
    "value": "[batch, keys, 6]",
    "wide": "[batch, keys, 5]",
    "mask": "[queries, keys], dtype: bool",
    "own_mask": "[queries, queries], dtype: bool",
    "key_mask": "[batch, keys], dtype: bool",
    "attn_bias": "[queries, keys]",
}
SIZES = {"batch": 3, "queries": 5, "keys": 4}


def draw(name: str) -> Any:
    """Numbers; flags that leave every query something, as torch's module gives NaN without."""
    rng = np.random.default_rng(sum(map(ord, name)))
    sizes = INPUTS[name].partition("]")[0].strip("[").split(", ")
    shape = [SIZES[size] if size in SIZES else int(size) for size in sizes]
    if "bool" not in INPUTS[name]:
        return rng.standard_normal(shape)
    flags = rng.random(shape) < 0.5
    flags[..., 0] = True
    return flags


@pytest.mark.parametrize(
    ("fields", "inputs", "options"),
    [
        ("num_heads: 3", "query query query", {}),
        ("num_heads: 2, causal: true", "query query query", {}),
        ("num_heads: 2", "query query query own_mask", {}),
        ("num_heads: 1, bias: false", "query query query", {"bias": False}),
        ("num_heads: 3", "query key key", {}),
        ("num_heads: 6", "query key value key_mask", {}),
        ("num_heads: 3", "query key value mask", {}),
        ("num_heads: 3", "query key value key_mask mask", {}),
        ("num_heads: 3", "query key value attn_bias", {}),
        ("num_heads: 2, causal: true", "query key value key_mask", {}),
        ("num_heads: 3", "query key wide", {"vdim": 5}),
        ("num_heads: 2, bias: false", "query wide key mask", {"kdim": 5, "bias": False}),
    ],
)
def test_multi_head_attention_is_that_of_torch(fields: str, inputs: str, options: dict[str, Any]) -> None:
    query, key, value, *optional = inputs.split()
    names = {"query": query, "key": key, "value": value}
    names |= {name.removeprefix("own_"): name for name in optional}
    shapes = ", ".join(f"{name}: {{shape: {INPUTS[name]}}}" for name in dict.fromkeys(names.values()))
    given = ", ".join(f"{name}: {source}" for name, source in names.items())
    spec = loads(
        f"{{netspec: 1, inputs: {{{shapes}}}, "
        f"layers: [{{name: l, type: multi_head_attention, {fields}, from: {{{given}}}}}]}}"
    )
    heads = int(fields.removeprefix("num_heads: ")[0])
    module = torch.nn.MultiheadAttention(6, heads, batch_first=True, **options)

    def function(x: Tensors, w: Tensors) -> Tensors:
        mask = None
        if "mask" in names:
            mask = ~x[names["mask"]]
        if "attn_bias" in names:
            mask = x["attn_bias"]
        if "causal" in fields:
            mask = torch.ones(x[query].shape[1], x[key].shape[1], dtype=torch.bool).triu(1)
        ignored = ~x["key_mask"] if "key_mask" in names else None
        return {"output": module(x[query], x[key], x[value], ignored, need_weights=False, attn_mask=mask)[0]}

    judge_model(spec, {name: draw(name) for name in dict.fromkeys(names.values())}, function, module, "l.")


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_query_without_keys_gets_the_bias_of_the_projection_out(backend: str) -> None:
    spec = loads(
        "{netspec: 1, inputs: {x: {shape: [batch, time, 6]}, kept: {shape: [batch, time], dtype: bool}}, "
        "layers: [{name: l, type: multi_head_attention, num_heads: 2, from: {query: x, key: x, value: x, "
        "key_mask: kept}}]}"
    )
    rng = np.random.default_rng(2)
    shapes = {"in_proj_weight": (18, 6), "in_proj_bias": (18,), "out_proj.weight": (6, 6), "out_proj.bias": (6,)}
    weights = {f"l.{name}": rng.standard_normal(shape) for name, shape in shapes.items()}
    kept = np.array([[False] * 4, [True, False, True, True]])
    model = find_backend(backend).compile(spec.graphs, weights, "float64")
    found = model.evaluate({"x": rng.standard_normal((2, 4, 6)), "kept": kept}, {"output": rng.normal(size=(2, 4, 6))})
    y = found.outputs["output"]
    np.testing.assert_allclose(y[0], np.tile(weights["l.out_proj.bias"], (4, 1)), rtol=0, atol=1e-15)
    assert np.abs(y[1] - weights["l.out_proj.bias"]).min() > 1e-4
    assert not found.gradients["input:x"][0].any()
    assert all(np.isfinite(gradient).all() for gradient in found.gradients.values())


def wave(position: int, feature: int, features: int, base: float) -> float:
    """PE(pos, 2i) = sin(pos / base^(2i/d)), PE(pos, 2i+1) = cos(pos / base^(2i/d))."""
    angle = position / base ** ((feature - feature % 2) / features)
    return math.cos(angle) if feature % 2 else math.sin(angle)


def turned(x: torch.Tensor, positions: torch.Tensor, base: float) -> torch.Tensor:
    """Neighbours as complex numbers, each times e^(i angle): x `[batch, heads, time, features]`."""
    features = x.shape[-1]
    frequencies = torch.tensor([base ** (-2 * k / features) for k in range(features // 2)], dtype=x.dtype)
    angles = positions[:, None, :, None] * frequencies
    numbers = torch.view_as_complex(x.unflatten(-1, (-1, 2))) * torch.polar(torch.ones_like(angles), angles)
    return torch.view_as_real(numbers).flatten(-2)


def by_halves(x: torch.Tensor, positions: torch.Tensor, base: float) -> torch.Tensor:
    """As `turned`, of (x[k], x[k + features / 2]): the features are dealt like cards, turned, and picked up again."""
    dealt = x.unflatten(-1, (2, -1)).transpose(-1, -2).flatten(-2)
    return turned(dealt, positions, base).unflatten(-1, (-1, 2)).transpose(-1, -2).flatten(-2)


def table(positions: torch.Tensor, features: int, base: float, halves: bool) -> torch.Tensor:
    order = [*range(0, features, 2), *range(1, features, 2)] if halves else range(features)
    rows = [[wave(p, feature, features, base) for feature in order] for p in positions.flatten().tolist()]
    return torch.tensor(rows, dtype=torch.float64).reshape(*positions.shape, features)


Positional = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
POSITIONAL: dict[str, Positional] = {
    "type: sinusoidal_positions": lambda x, p: x + table(p, 8, 10000, False)[:, None],
    "type: sinusoidal_positions, layout: halves, base: 30": lambda x, p: x + table(p, 8, 30, True)[:, None],
    "type: rotary_embedding": lambda x, p: by_halves(x, p, 10000),
    "type: rotary_embedding, layout: interleaved, base: 40": lambda x, p: turned(x, p, 40),
    "type: rotary_embedding, rotary_dim: 6": lambda x, p: torch.cat([by_halves(x[..., :6], p, 10000), x[..., 6:]], -1),
    "type: rotary_embedding, layout: interleaved, rotary_dim: 2": lambda x, p: torch.cat(
        [turned(x[..., :2], p, 10000), x[..., 2:]], -1
    ),
}


@pytest.mark.parametrize("given", ["", "[time]", "[batch, time]"])
@pytest.mark.parametrize("fields", POSITIONAL)
def test_positions_are_those_of_the_papers(fields: str, given: str) -> None:
    source = "{x: x, positions: p}" if given else "x"
    places = f", p: {{shape: {given}, dtype: int64}}" if given else ""
    spec = loads(
        f"{{netspec: 1, inputs: {{x: {{shape: [batch, 3, time, 8]}}{places}}}, "
        f"layers: [{{name: l, {fields}, from: {source}}}]}}"
    )
    rng = np.random.default_rng(4)
    arrays: dict[str, Any] = {"x": rng.standard_normal((2, 3, 5, 8))}
    if given:
        arrays["p"] = rng.integers(0, 4000, (2, 5) if "batch" in given else (5,))

    def function(x: Tensors, w: Tensors) -> Tensors:
        return {"output": POSITIONAL[fields](x["x"], x.get("p", torch.arange(5)).expand(2, 5))}

    judge_model(spec, arrays, function, limit=1e-11)  # an angle of thousands has few digits left behind the point


@pytest.mark.parametrize("given", ["", "[time]", "[batch, time]"])
def test_learned_positions_are_an_embedding(given: str) -> None:
    source = "{x: x, positions: p}" if given else "x"
    places = f", p: {{shape: {given}, dtype: int64}}" if given else ""
    spec = loads(
        f"{{netspec: 1, inputs: {{x: {{shape: [batch, time, 6]}}{places}}}, "
        f"layers: [{{name: wpe, type: learned_positions, num_embeddings: 9, from: {source}}}]}}"
    )
    rng = np.random.default_rng(4)
    arrays: dict[str, Any] = {"x": rng.standard_normal((2, 5, 6))}
    if given:
        arrays["p"] = rng.integers(0, 9, (2, 5) if "batch" in given else (5,))
    judge_model(spec, arrays, lambda x, w: {"output": x["x"] + w["wpe.weight"][x.get("p", torch.arange(5))]})


# The slopes that the authors' code gives (ofirpress/attention_with_linear_biases, get_slopes).
SLOPES = {
    1: [2**-8],
    2: [2**-4, 2**-8],
    3: [2**-4, 2**-8, 2**-2],
    6: [2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3],
    8: [2**-1, 2**-2, 2**-3, 2**-4, 2**-5, 2**-6, 2**-7, 2**-8],
    12: [*(2**-k for k in range(1, 9)), *(2**-k for k in (0.5, 1.5, 2.5, 3.5))],
}


@pytest.mark.parametrize("count", SLOPES)
def test_alibi_falls_with_the_distance(count: int) -> None:
    spec = loads(
        "{netspec: 1, inputs: {q: {shape: [batch, queries, 4]}, k: {shape: [batch, 3, keys, 2]}}, "
        f"layers: [{{name: own, type: alibi, from: q, num_heads: {count}}}, "
        f"{{name: both, type: alibi, from: {{query: q, key: k}}, num_heads: {count}}}], "
        "outputs: {own: own, both: both}}"
    )
    model = find_backend("numpy").compile(spec.graphs, {}, "float64")
    found = model.evaluate({"q": np.ones((2, 5, 4)), "k": np.ones((2, 3, 7, 2))}, {}).outputs
    for name, keys in (("own", 5), ("both", 7)):
        expected = [[[-slope * abs(i - j) for j in range(keys)] for i in range(5)] for slope in SLOPES[count]]
        np.testing.assert_allclose(found[name], expected, rtol=1e-15)
