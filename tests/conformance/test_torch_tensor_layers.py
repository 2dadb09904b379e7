"""Layers that move, pick, multiply and make tensors against torch's own functions: outputs and gradients in float64.

As `test_torch_nn`, for entries of any number of inputs, and of several outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from netspec.backend import find_backend
from netspec.errors import InputError
from netspec.spec import Spec, loads
from netspec.weights.initial import initial_weights

Tensor = torch.Tensor


SIZES = {"batch": 3, "time": 4}
X: Mapping[str, tuple[str | int, ...]] = {"x": ("batch", 4, 6)}
TIMED: Mapping[str, tuple[str | int, ...]] = {"x": ("batch", "time", 6)}


@dataclass(frozen=True)
class Judged:
    """Entries, the outputs that are judged, and the function of torch that gives them of the inputs in order.

    `indices` are the inputs of integers, each with its bound; `rounded` inputs are full of ties.
    """

    entries: str
    function: Callable[..., Any]
    inputs: Mapping[str, tuple[str | int, ...]] = field(default_factory=lambda: X)
    indices: Mapping[str, int] = field(default_factory=dict)
    outputs: tuple[str, ...] = ("l",)
    rounded: bool = False

    @property
    def spec(self) -> Spec:
        inputs = [
            f"{name}: {{shape: [{', '.join(map(str, shape))}]{', dtype: int64' if name in self.indices else ''}}}"
            for name, shape in self.inputs.items()
        ]
        outputs = [f"y{position}: {output}" for position, output in enumerate(self.outputs)]
        parts = (f"inputs: {{{', '.join(inputs)}}}", f"layers: [{self.entries}]", f"outputs: {{{', '.join(outputs)}}}")
        return loads(f"{{netspec: 1, {', '.join(parts)}}}")

    def draw(self) -> dict[str, Any]:
        """Arrays for the inputs, by name."""
        rng = np.random.default_rng(7)
        arrays: dict[str, Any] = {}
        for name, declared in self.inputs.items():
            shape = [SIZES[size] if isinstance(size, str) else size for size in declared]
            x = rng.standard_normal(shape)
            arrays[name] = np.round(x) if self.rounded else x
            if name in self.indices:
                arrays[name] = rng.integers(self.indices[name], size=shape)
        return arrays


def by_hand(x: Tensor) -> Tensor:
    """`b (h p) (w q) -> (w b) (q h) p` one element at a time."""
    y = torch.zeros(3 * 3, 2 * 2, 2, dtype=x.dtype)
    for b in range(3):
        for h in range(2):
            for p in range(2):
                for w in range(3):
                    for q in range(2):
                        y[w * 3 + b, q * 2 + h, p] = x[b, h * 2 + p, w * 2 + q]
    return y


def stable_top(x: Tensor, k: int, dim: int) -> tuple[Tensor, Tensor]:
    """torch.topk, with numbers so little apart that nothing but ties is decided by it."""
    size = x.size(dim)
    order = torch.arange(size, dtype=x.dtype).reshape([size if axis == dim % x.dim() else 1 for axis in range(x.dim())])
    indices = torch.topk(x - 1e-9 * order, k, dim)[1]
    return torch.gather(x, dim, indices), indices


TWO: Mapping[str, tuple[str | int, ...]] = {"x": ("batch", 4, 6), "y": ("batch", 6, 5)}
JUDGED = {
    "identity": Judged("{name: l, type: identity}", lambda x: x * 1),
    "matmul": Judged("{name: l, type: matmul, from: [x, y]}", torch.matmul, TWO),
    "matmul-broadcast": Judged(
        "{name: l, type: matmul, from: {other: y, x: x}}", torch.matmul, {"x": (3, 1, 4, 6), "y": (2, 6, 5)}
    ),
    "matmul-vector": Judged("{name: l, type: matmul, from: [x, y]}", torch.matmul, {"x": (3, 4, 6), "y": (6,)}),
    "matmul-row": Judged("{name: l, type: matmul, from: [x, y]}", torch.matmul, {"x": (6,), "y": ("batch", 6, 5)}),
    "matmul-dot": Judged("{name: l, type: matmul, from: [x, y]}", torch.matmul, {"x": (6,), "y": (6,)}),
    "einsum": Judged(
        "{name: l, type: einsum, equation: 'bij, bjk -> bki', from: [x, y]}",
        lambda x, y: torch.einsum("bij,bjk->bki", x, y),
        TWO,
    ),
    "einsum-quadratic": Judged(
        "{name: l, type: einsum, equation: 'bi,ij,bj->b', from: [x, y, x]}",
        lambda x, y: ((x @ y) * x).sum(1),
        {"x": ("batch", 4), "y": (4, 4)},
    ),
    "einsum-trace": Judged(
        "{name: l, type: einsum, equation: 'bii->b', from: [x]}",
        lambda x: x.diagonal(dim1=1, dim2=2).sum(1),
        {"x": ("batch", 4, 4)},
    ),
    "sum": Judged("{name: l, type: sum, dim: [-1, 0]}", lambda x: x.sum((-1, 0))),
    "sum-all": Judged("{name: l, type: sum}", torch.sum),
    "mean": Judged("{name: l, type: mean, dim: 1, keepdim: true}", lambda x: x.mean(1, keepdim=True)),
    "mean-all": Judged("{name: l, type: mean}", torch.mean),
    "permute": Judged("{name: l, type: permute, dims: [-1, 0, 1]}", lambda x: x.permute(-1, 0, 1)),
    "unsqueeze": Judged("{name: l, type: unsqueeze, dim: -2}", lambda x: x.unsqueeze(-2)),
    "squeeze": Judged("{name: l, type: squeeze, dim: [1, 2]}", lambda x: x.squeeze((1, 2)), {"x": ("batch", 1, 4, 1)}),
    "stack": Judged("{name: l, type: stack, dim: -2, from: [x, x]}", lambda x: torch.stack([x, x], -2)),
    "select": Judged("{name: l, type: select, dim: 1, index: -2}", lambda x: x.select(1, -2)),
    "rearrange": Judged(
        "{name: l, type: rearrange, pattern: 'b (h p) (w q) -> (w b) (q h) p', sizes: {p: 2, q: 2}}", by_hand
    ),
    "one_hot": Judged(
        "{name: hot, type: one_hot, num_classes: 5, from: words}, {name: l, type: matmul, from: [hot, x]}",
        lambda words, x: F.one_hot(words, 5).to(x.dtype) @ x,
        {"words": ("batch", 4), "x": (5, 2)},
        indices={"words": 5},
    ),
    "top_k": Judged("{name: l, type: top_k, k: 2}", lambda x: tuple(torch.topk(x, 2)), outputs=("l", "l:indices")),
    "top_k-ties": Judged(
        "{name: l, type: top_k, k: 3, dim: 1}",
        lambda x: stable_top(x, 3, 1),
        {"x": ("batch", 8, 5)},
        outputs=("l:values", "l:indices"),
        rounded=True,
    ),
    "parameter": Judged(
        "{name: w, type: parameter, shape: [6], init: {type: constant, value: 1.5}}, "
        "{name: l, type: mul, from: [x, w]}",
        lambda x: x * 1.5,
    ),
    "buffer": Judged(
        "{name: k, type: constant, value: [2, -0.5]}, {name: t, type: buffer}, {name: l, type: mul, from: [x, t]}",
        lambda x: x * torch.tensor([2, -0.5], dtype=x.dtype),
        {"x": ("batch", 2)},
    ),
    "constant": Judged(
        "{name: l, type: constant, value: [[1, -2], [3, 0]]}", lambda x: torch.tensor([[1, -2], [3, 0]])
    ),
    "constant-float": Judged(
        "{name: l, type: constant, value: [1, 0.1]}", lambda x: torch.tensor([1, 0.1], dtype=torch.float64)
    ),
    "arange": Judged(
        "{name: l, type: arange, start: 1, end: $(time), step: 2}", lambda x: torch.arange(1, x.size(1), 2), TIMED
    ),
    "arange-down": Judged(
        "{name: l, type: arange, start: $(time), end: -3, step: -2}", lambda x: torch.arange(x.size(1), -3, -2), TIMED
    ),
    "zeros": Judged(
        "{name: l, type: zeros, shape: [2, $(time)]}", lambda x: torch.zeros(2, x.size(1), dtype=x.dtype), TIMED
    ),
    "ones": Judged("{name: l, type: ones, shape: [$(batch)]}", lambda x: torch.ones(x.size(0), dtype=x.dtype)),
}


def close(found: Any, expected: Tensor, what: str) -> None:
    reference = expected.detach().numpy()
    assert found.dtype == reference.dtype, what
    assert found.shape == reference.shape, what
    if reference.dtype.kind != "f":
        assert np.array_equal(found, reference), what
        return
    assert np.abs(found - reference).max() <= 1e-12 * max(np.abs(reference).max(), 1e-3), what


@pytest.mark.parametrize("name", JUDGED)
def test_layer_means_what_torch_means(name: str) -> None:
    compare_with_torch(JUDGED[name])


def compare_with_torch(judged: Judged) -> None:
    """Outputs, and the gradients of all float inputs."""
    spec, arrays = judged.spec, judged.draw()
    given = {key: torch.from_numpy(x.copy()).requires_grad_(x.dtype.kind == "f") for key, x in arrays.items()}
    results = judged.function(*given.values())
    expected = dict(enumerate(results if isinstance(results, tuple) else (results,)))
    rng = np.random.default_rng(11)
    cotangents = {f"y{k}": rng.standard_normal(y.shape) for k, y in expected.items() if y.is_floating_point()}
    model = find_backend("numpy").compile(spec.graphs, initial_weights(spec.inference), "float64")
    found = model.evaluate(arrays, cotangents)
    assert len(found.outputs) == len(expected)
    for k, y in expected.items():
        close(found.outputs[f"y{k}"], y, f"output {k}")
        if y.requires_grad:
            y.backward(torch.from_numpy(cotangents[f"y{k}"]))
    for key, x in given.items():
        if x.requires_grad:
            close(
                found.gradients[f"input:{key}"], torch.zeros_like(x) if x.grad is None else x.grad, f"gradient of {key}"
            )


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_an_index_out_of_range_is_refused_on_the_host(backend: str) -> None:
    spec = JUDGED["one_hot"].spec
    model = find_backend(backend).compile(spec.graphs, {}, "float64")
    x = np.ones((5, 2))
    for bad in (5, -1):
        with pytest.raises(InputError, match=f"input words: indices must be from 0 to 4, got {bad}"):
            model(np.array([[0, 1, bad, 4]]), x)
