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
    function: Callable[[Tensors], torch.Tensor],
    module: torch.nn.Module | None = None,
    prefix: str = "",
    limit: float = LIMIT,
) -> None:
    """The one output of `spec` by the NumPy reference is `function` of the inputs by name, and so are the gradients.

    The weights of `module` are set to those of the spec, of the same names behind `prefix`: each there is one of these,
    and the other way round.
    """
    weights = {path: array.astype("float64") for path, array in draw_weights(spec.inference).items()}
    (output,) = spec.inference.outputs
    parameters: dict[str, torch.nn.Parameter] = {}
    if module is not None:
        module.double().eval()
        parameters = {prefix + path: parameter for path, parameter in module.named_parameters()}
        assert set(parameters) == set(weights)
        module.load_state_dict({path.removeprefix(prefix): torch.from_numpy(array) for path, array in weights.items()})
    given = {name: torch.from_numpy(np.copy(array)) for name, array in arrays.items()}
    floats = {name: x.requires_grad_() for name, x in given.items() if x.is_floating_point()}
    expected = function(given)
    cotangent = np.random.default_rng(11).standard_normal(tuple(expected.shape))
    expected.backward(torch.from_numpy(cotangent))

    model = find_backend("numpy").compile(spec.graphs, weights, "float64")
    found = model.evaluate(arrays, {output.name: cotangent})
    close(found.outputs[output.name], expected, "output", limit)
    largest = max(float(np.abs(gradient).max()) for gradient in found.gradients.values())
    tensors = {f"input:{name}": x for name, x in floats.items()} | parameters
    assert set(found.gradients) == set(tensors)
    for path, tensor in tensors.items():
        gradient = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
        scale = max(float(gradient.abs().max()), 1e-3 * largest)  # a gradient that is 0 in exact arithmetic is noise
        assert np.abs(found.gradients[path] - gradient.numpy()).max() <= limit * scale, path
