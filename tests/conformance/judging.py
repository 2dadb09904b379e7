"""A layer of netspec against a module of torch.nn with the same weights: outputs, gradients, running statistics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from netspec.backend import find_backend
from netspec.compare.drawing import draw_cotangents, draw_weights
from netspec.spec import loads

LIMIT = 1e-12


@dataclass(frozen=True)
class Judged:
    """One layer as netspec writes it, and as torch has it."""

    layer: str
    module: Callable[[], torch.nn.Module]
    shape: tuple[int, ...]
    training: bool = False
    rounded: bool = False
    tensors: dict[str, str] = field(default_factory=dict)
    stretch: float = 1.0  # x is multiplied by it before it is rounded
    offset: float = 0.0  # and this is added behind

    @property
    def type(self) -> str:
        return self.layer.removeprefix("{type: ").split(",")[0].rstrip("}")

    @property
    def frozen(self) -> bool:
        return "frozen: true" in self.layer


class Function(torch.nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def close(found: Any, expected: torch.Tensor, what: str, limit: float = LIMIT) -> None:
    reference = expected.detach().numpy()
    assert found.shape == reference.shape, what
    assert np.abs(found - reference).max() <= limit * max(np.abs(reference).max(), 1e-3), what


def judge(judged: Judged) -> None:
    """The layer's body, run by the NumPy reference in float64, gives what torch's module gives."""
    sizes = ", ".join(["batch", *map(str, judged.shape[1:])])
    entry = judged.layer if judged.layer.startswith("{") else f"{{type: {judged.layer}}}"
    spec = loads(
        f"{{netspec: 1, inputs: {{x: {{shape: [{sizes}]}}}}, layers: [{{name: l, {entry[1:-1]}}}], outputs: {{y: l}}}}"
    )
    graph = spec.graphs.of(judged.training)
    weights = {path: values.astype("float64") for path, values in draw_weights(graph).items()}
    x = judged.stretch * np.random.default_rng(7).standard_normal(judged.shape)
    x = (np.round(x) if judged.rounded else x) + judged.offset
    cotangent = draw_cotangents(graph, {"batch": judged.shape[0]})["y"].astype("float64")
    model = find_backend("numpy").compile(spec.graphs, weights, "float64")
    found = model.evaluate({"x": x}, {"y": cotangent}, judged.training)

    module = judged.module().double()
    if not judged.frozen:
        module.train(judged.training)
    names = {path.removeprefix("l."): path for path in weights}
    state = module.state_dict()
    with torch.no_grad():
        for local, path in names.items():
            state[judged.tensors.get(local, local)].copy_(torch.from_numpy(weights[path]))
    given = torch.from_numpy(x).requires_grad_()
    y = module(given)
    limit = LIMIT * max(1.0, judged.offset)  # that much of x is lost when the mean is taken off
    close(found.outputs["y"], y, "output", limit)
    y.backward(torch.from_numpy(cotangent))
    assert given.grad is not None
    close(found.gradients["input:x"], given.grad, "input gradient", limit)
    trained = {local: p.grad for local, p in module.named_parameters() if p.grad is not None}
    assert set(found.gradients) == {"input:x"} | {
        path for local, path in names.items() if judged.tensors.get(local, local) in trained
    }
    for local, path in names.items():
        gradient = trained.get(judged.tensors.get(local, local))
        if gradient is not None:
            close(found.gradients[path], gradient, path, limit)
    for path, updated in found.updates.items():
        close(updated, state[path.removeprefix("l.")], path, limit)
    assert bool(found.updates) == (judged.training and judged.type == "batch_norm" and not judged.frozen)
