"""Formulas and attention against torch's own functions: a judge that shares no code with us.

Attention is judged where it is most easily wrong: masks and biases, alone and together, queries that may attend to
nothing, shifted diagonals, fewer heads of key and value. torch's own kernel cannot do all of it, so that part of it is
written out with -inf, and each query alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from netspec.backend import find_backend
from netspec.graph.graph import Value
from netspec.layers import ScaledDotProductAttention
from tests.conformance.built import Net, pair
from tests.conformance.judging import close
from tests.conformance.table import rows

Torch = dict[str, torch.Tensor]


def ties(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    one, zero = torch.ones((), dtype=a.dtype), torch.zeros((), dtype=a.dtype)
    return torch.maximum(a, b) * 3 + torch.minimum(b, one) + torch.maximum(torch.maximum(a, b), zero)


FORMULAS: dict[str, tuple[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]]] = {
    "distance": ("abs(a - b)", lambda a, b: torch.abs(a - b)),
    "mathematics": (
        "exp(a) * sin(b) - log(abs(b) + 0.5) / sqrt(a * a + 1) + cos(a)",
        lambda a, b: a.exp() * b.sin() - (b.abs() + 0.5).log() / (a * a + 1).sqrt() + a.cos(),
    ),
    "ties": ("maximum(a, b) * 3 + minimum(b, 1) + max(a, b, 0)", ties),
    "choice": ("where(a <= b and a != 1, a * b, -2)", lambda a, b: torch.where((a <= b) & (a != 1), a * b, -2.0)),
    "signs": ("where(a > 0, 1, -1) * b / (2 / 3)", lambda a, b: torch.where(a > 0, b, -b) / (2 / 3)),
    "more": (
        "relu6(3 * a) + hardswish(4 * b) * softplus(a) - mish(b) + elu(a) * logsigmoid(b)",
        lambda a, b: F.relu6(3 * a) + F.hardswish(4 * b) * F.softplus(a) - F.mish(b) + F.elu(a) * F.logsigmoid(b),
    ),
    "layers": (
        "gelu(a) * sigmoid(b) + silu(tanh(b)) - leaky_relu(a) + relu(b)",
        lambda a, b: F.gelu(a) * b.sigmoid() + F.silu(b.tanh()) - F.leaky_relu(a) + b.relu(),
    ),
}


def judge(make: Callable[[Net], Value], arrays: dict[str, Any], function: Callable[[Torch], torch.Tensor]) -> None:
    """Outputs and gradients of all float inputs, by the float64 reference and by torch."""
    graphs = pair(lambda net: {"y": make(net)})
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    floats = {name: x.requires_grad_() for name, x in tensors.items() if x.is_floating_point()}
    expected = function(tensors)
    cotangent = np.random.default_rng(11).standard_normal(tuple(expected.shape))
    found = find_backend("numpy").compile(graphs, {}, "float64").evaluate(arrays, {"y": cotangent})
    close(found.outputs["y"], expected, "output")
    expected.backward(torch.from_numpy(cotangent))
    for name, x in floats.items():
        gradient = torch.zeros_like(x) if x.grad is None else x.grad
        close(found.gradients[f"input:{name}"], gradient, name)


@pytest.mark.parametrize("rounded", [False, True], ids=["smooth", "kinks"])
@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_means_what_torch_means(name: str, rounded: bool) -> None:
    expr, function = FORMULAS[name]
    rng = np.random.default_rng(3)
    arrays = {"a": rng.standard_normal((3, 7)), "b": rng.standard_normal((3, 7))}
    if rounded:
        arrays = {key: np.round(array) + 0.0 for key, array in arrays.items()}

    def make(net: Net) -> Value:
        return net.formula("f", expr, a=net.input("a", "batch", 7), b=net.input("b", "batch", 7))

    judge(make, arrays, lambda given: function(given["a"], given["b"]))


def attention(
    layer: ScaledDotProductAttention, x: Torch, mask: torch.Tensor | None = None, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Each query alone, over the keys that it may attend to."""
    groups = x["query"].shape[1] // x["key"].shape[1]
    key, value = (x[name].repeat_interleave(groups, 1) for name in ("key", "value"))
    scale = layer.scale or x["query"].shape[-1] ** -0.5
    scores = torch.einsum("bhid,bhjd->bhij", x["query"], key) * scale
    scores = scores if bias is None else scores + bias
    kept = torch.ones(scores.shape, dtype=torch.bool) if mask is None else mask.expand(scores.shape)
    if layer.causal:
        kept = kept & torch.ones(scores.shape[-2:], dtype=torch.bool).tril(layer.causal_offset)
    rows = []
    for place in np.ndindex(*scores.shape[:-1]):
        weights = scores[place][kept[place]].softmax(0)
        rows.append(weights @ value[place[:2]][kept[place]])
    return torch.stack(rows).reshape(*scores.shape[:-1], value.shape[-1])


@pytest.mark.parametrize("given", [(), ("mask",), ("bias",), ("mask", "bias")], ids="-".join)
@pytest.mark.parametrize("heads", [6, 3, 2, 1])
@pytest.mark.parametrize(
    "layer",
    [
        ScaledDotProductAttention(),
        ScaledDotProductAttention(causal=True),
        ScaledDotProductAttention(causal=True, causal_offset=-1, scale=0.9),
        ScaledDotProductAttention(causal=True, causal_offset=3),
    ],
    ids=["plain", "causal", "late", "early"],
)
def test_attention_is_each_query_alone(layer: ScaledDotProductAttention, heads: int, given: tuple[str, ...]) -> None:
    rng = np.random.default_rng(heads)
    shapes = {"query": (2, 6, 4, 5), "key": (2, heads, 3, 5), "value": (2, heads, 3, 2), "bias": (6, 4, 3)}
    arrays: dict[str, Any] = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    arrays["mask"] = rng.random((2, 1, 4, 3)) < 0.5
    arrays["mask"][0, 0, 2] = False
    used = {name: arrays[name] for name in ("query", "key", "value", *given)}

    def make(net: Net) -> Value:
        heads_given = [net.input(name, "batch", *used[name].shape[1:]) for name in ("query", "key", "value")]
        options = {"mask": ("batch", 1, 4, 3), "bias": (6, 4, 3)}
        optional = {
            name: net.input(name, *options[name], dtype="bool" if name == "mask" else "float") for name in given
        }
        return net.add("attention", layer, *heads_given, **optional)

    judge(make, used, lambda x: attention(layer, x, x.get("mask"), x.get("bias")))


def test_fused_attention_of_torch_is_ours_where_nothing_may_be_attended_to() -> None:
    """Also in its gradients, which are 0 there and never NaN."""
    rng = np.random.default_rng(5)
    arrays: dict[str, Any] = {name: rng.standard_normal((2, 3, 4, 5)) for name in ("query", "key", "value", "bias")}
    arrays["bias"] = rng.standard_normal((3, 4, 4))
    arrays["mask"] = np.ones((2, 1, 4, 4), bool)
    arrays["mask"][0, 0, 1] = False

    def make(net: Net) -> dict[str, Value]:
        x = [net.input(name, "batch", 3, 4, 5) for name in ("query", "key", "value")]
        mask, bias = net.input("mask", "batch", 1, 4, 4, dtype="bool"), net.input("bias", 3, 4, 4)
        plain = ScaledDotProductAttention()
        return {"y": net.add("y", plain, *x, mask=mask), "z": net.add("z", plain, *x, mask=mask, bias=bias)}

    model = find_backend("torch").compile(pair(make), {}, "float64")
    assert "scaled_dot_product_attention" in type(model.native)._source.forward.body
    cotangents = {name: rng.standard_normal((2, 3, 4, 5)) for name in ("y", "z")}
    found = model.evaluate(arrays, cotangents)
    for output in found.outputs.values():
        assert not output[0, :, 1].any()
        assert output[1, :, 1].all()
    assert not found.gradients["input:query"][0, :, 1].any()
    assert all(np.isfinite(gradient).all() for gradient in found.gradients.values())


def test_the_masks_of_the_case_leave_some_queries_nothing_and_others_something() -> None:
    (row,) = (row for row in rows() if row.name == "attention-inference")
    inputs = row.case("float64").inputs
    for name in ("mask", "heads_mask"):
        assert set(np.unique(inputs[name].sum(-1))) == {0, 1, 2}, name
