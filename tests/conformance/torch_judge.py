"""One layer against a module of torch with the same weights, in float64: a judge that shares no code with us.

The layer's body is run by the NumPy reference. What a body gets wrong would otherwise be wrong on every backend alike.
"""

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
    frozen: bool = False
    tensors: dict[str, str] = field(default_factory=dict)


def close(found: Any, expected: torch.Tensor, what: str) -> None:
    reference = expected.detach().numpy()
    assert found.shape == reference.shape, what
    assert np.abs(found - reference).max() <= LIMIT * max(np.abs(reference).max(), 1e-3), what


def judge(judged: Judged) -> None:
    """Outputs, gradients of the input and of parameters, and running statistics are torch's."""
    sizes = ", ".join(["batch", *map(str, judged.shape[1:])])
    entry = judged.layer if judged.layer.startswith("{") else f"{{type: {judged.layer}}}"
    spec = loads(
        f"{{netspec: 1, inputs: {{x: {{shape: [{sizes}]}}}}, layers: [{{name: l, {entry[1:-1]}}}], outputs: {{y: l}}}}"
    )
    graph = spec.graphs.of(judged.training)
    weights = {path: values.astype("float64") for path, values in draw_weights(graph).items()}
    x = np.random.default_rng(7).standard_normal(judged.shape)
    x = np.round(x) if judged.rounded else x
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
    close(found.outputs["y"], y, "output")
    y.backward(torch.from_numpy(cotangent))
    assert given.grad is not None
    close(found.gradients["input:x"], given.grad, "input gradient")
    trained = {local: p.grad for local, p in module.named_parameters() if p.grad is not None}
    assert set(found.gradients) == {"input:x"} | {
        path for local, path in names.items() if judged.tensors.get(local, local) in trained
    }
    for local, path in names.items():
        gradient = trained.get(judged.tensors.get(local, local))
        if gradient is not None:
            close(found.gradients[path], gradient, path)
    for path, updated in found.updates.items():
        close(updated, state[path.removeprefix("l.")], path)
    assert bool(found.updates) == (judged.training and not judged.frozen)
