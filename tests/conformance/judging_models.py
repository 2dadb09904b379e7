"""A whole spec against a function of torch with the same weights: outputs and all gradients, in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from netspec.backend import find_backend
from netspec.compare.drawing import draw_weights
from netspec.spec import Spec
from tests.conformance.judging import LIMIT, close

Tensors = dict[str, torch.Tensor]


def judge_model(
    spec: Spec,
    arrays: Mapping[str, Any],
    function: Callable[[Tensors, Tensors], Tensors],
    module: torch.nn.Module | None = None,
    prefix: str = "",
    limit: float = LIMIT,
) -> None:
    """The outputs of `spec` by the NumPy reference are `function` of its inputs and weights, and so are the gradients.

    Where a `module` is given its weights are those of the spec, of the same names behind `prefix`: each is there.
    """
    arrays_by_path = {path: array.astype("float64") for path, array in draw_weights(spec.inference).items()}
    weights = {path: torch.from_numpy(array).requires_grad_() for path, array in arrays_by_path.items()}
    if module is not None:
        weights = _filled(module, weights, prefix)
    given = {name: torch.from_numpy(np.copy(array)) for name, array in arrays.items()}
    floats = {name: x.requires_grad_() for name, x in given.items() if x.is_floating_point()}
    expected = function(given, weights)
    rng = np.random.default_rng(11)
    cotangents = {name: rng.standard_normal(tuple(y.shape)) for name, y in expected.items()}
    torch.stack([(y * torch.from_numpy(cotangents[name])).sum() for name, y in expected.items()]).sum().backward()

    found = find_backend("numpy").compile(spec.graphs, arrays_by_path, "float64").evaluate(arrays, cotangents)
    assert set(found.outputs) == set(expected)
    for name, y in expected.items():
        close(found.outputs[name], y, name, limit)
    largest = max(float(np.abs(gradient).max()) for gradient in found.gradients.values())
    tensors = {f"input:{name}": x for name, x in floats.items()} | weights
    assert set(found.gradients) == set(tensors)
    for path, tensor in tensors.items():
        gradient = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
        scale = max(float(gradient.abs().max()), 1e-3 * largest)  # a gradient that is 0 in exact arithmetic is noise
        assert np.abs(found.gradients[path] - gradient.numpy()).max() <= limit * scale, path


def _filled(module: torch.nn.Module, weights: Tensors, prefix: str) -> Tensors:
    """The parameters of `module`, which are all of `weights`, with their values."""
    module.double().eval()
    parameters: Tensors = {prefix + path: parameter for path, parameter in module.named_parameters()}
    assert set(parameters) == set(weights)
    with torch.no_grad():
        for path, parameter in parameters.items():
            parameter.copy_(weights[path])
    return parameters
