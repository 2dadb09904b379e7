"""Attention of transformers on torch: its own kernel whatever the masks, weights dropped in training, half types."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from netspec.backend import FloatType, find_backend
from netspec.spec import loads

ATTENTION = (
    "{netspec: 1, inputs: {x: {shape: [batch, time, 8]}, kept: {shape: [batch, time], dtype: bool}}, "
    "layers: [{name: l, type: multi_head_attention, num_heads: 2, FIELDS, from: {query: x, key: x, value: x, "
    "key_mask: kept}}]}"
)


def test_the_kernel_runs_causal_and_masked_attention() -> None:
    spec = loads(ATTENTION.replace("FIELDS", "causal: true"))
    weights = {path: np.full(shape, 0.1) for path, shape in _shapes().items()}
    native = find_backend("torch").compile(spec.graphs, weights, "float64").native
    assert "scaled_dot_product_attention" in type(native.l)._source.forward.body
    compiled = torch.compile(native, backend="aot_eager", fullgraph=True, dynamic=True)
    for time in (3, 6):
        x, kept = torch.randn(2, time, 8, dtype=torch.float64), torch.ones(2, time, dtype=torch.bool)
        torch.testing.assert_close(compiled(x, kept), native(x, kept))


def test_weights_are_dropped_in_training_alone() -> None:
    spec = loads(ATTENTION.replace("FIELDS", "dropout: 0.5"))
    rng = np.random.default_rng(1)
    weights = {path: rng.standard_normal(shape) for path, shape in _shapes().items()}
    native = find_backend("torch").compile(spec.graphs, weights, "float64").native
    x, kept = torch.randn(1, 5, 8, dtype=torch.float64), torch.ones(1, 5, dtype=torch.bool)
    exact = native.eval()(x, kept)
    torch.testing.assert_close(native(x, kept), exact)
    torch.manual_seed(0)
    native.train()
    drawn = torch.stack([native(x, kept) for _ in range(2000)])
    assert (drawn.std(0) > 0).all()
    assert ((drawn.mean(0) - exact).abs() < 5 * drawn.std(0) / 2000**0.5).all()


@pytest.mark.parametrize(("dtype", "unit"), [("bfloat16", 2**-8), ("float16", 2**-11)])
def test_angles_are_right_in_half_types(dtype: FloatType, unit: float) -> None:
    """Position 4001 is no bfloat16, and an angle taken in it would be off by 15 radians."""
    spec = loads(
        "{netspec: 1, inputs: {x: {shape: [time, 2]}, p: {shape: [time], dtype: int64}}, "
        "layers: [{name: l, type: rotary_embedding, from: {x: x, positions: p}}]}"
    )
    model = find_backend("torch").compile(spec.graphs, {}, dtype)
    positions = np.array([0, 1, 257, 4001])
    y = model.native(torch.tensor([[1.0, 0.0]] * 4, dtype=getattr(torch, dtype)), torch.from_numpy(positions))
    expected = np.stack([np.cos(positions), np.sin(positions)], -1)
    np.testing.assert_allclose(y.double().numpy(), expected, rtol=0, atol=unit + 4001 * 2**-24)


def _shapes() -> dict[str, tuple[int, ...]]:
    return {"l.in_proj_weight": (24, 8), "l.in_proj_bias": (24,), "l.out_proj.weight": (8, 8), "l.out_proj.bias": (8,)}
