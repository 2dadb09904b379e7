"""The zoo beside torchvision's own modules: files go both ways, initial weights have its laws, training is the same."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import netspec
from netspec.compare.tolerance import max_difference
from netspec.weights.initial import initial_weights
from tests.core.fenced_blocks import blocks
from tests.zoo.torchvision_models import torchvision_model
from tests.zoo.torchvision_reference import NAMES, facts, image, weights

Array = NDArray[Any]


def marked(*quick: str) -> list[Any]:
    """All models, those but the quick ones marked `zoo`."""
    return [pytest.param(name, marks=() if name in quick else pytest.mark.zoo) for name in NAMES]


def error(found: Any, expected: Any) -> float:
    exact = np.asarray(expected)
    return max_difference(np.asarray(found), exact) / float(np.abs(exact).max())


@pytest.mark.parametrize("name", marked("resnet18", "squeezenet1_1"))
def test_torchvision_loads_our_file_strictly(name: str, tmp_path: Path) -> None:
    import safetensors.torch
    import torch

    ours = netspec.build(name, "torch", weights=weights(facts(name)))
    ours.save_weights(tmp_path / "ours.safetensors")
    theirs = torchvision_model(name).eval()
    theirs.load_state_dict(safetensors.torch.load_file(tmp_path / "ours.safetensors"), strict=True)
    x = torch.from_numpy(image(facts(name)))
    with torch.no_grad():
        assert error(ours(x), theirs(x)) < 1e-4
    held = theirs.state_dict()
    assert all(torch.equal(value, held[path]) for path, value in ours.native.state_dict().items())


def test_the_page_of_the_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torchvision_model("resnet18")  # skips
    (block,) = blocks("docs/zoo.md", "python")
    monkeypatch.chdir(tmp_path)
    exec(compile(block.text, "docs/zoo.md", "exec"), {})  # noqa: S102
    assert (tmp_path / "mine.safetensors").exists()


@pytest.mark.parametrize("name", marked("resnet18", "squeezenet1_1"))
def test_our_module_loads_a_state_dict_of_torchvision(name: str) -> None:
    import torch

    theirs = torchvision_model(name).eval()
    state = theirs.state_dict()
    ours = netspec.build(name, "torch")
    assert sum(path.endswith("num_batches_tracked") for path in state) == len(state) - len(ours.weights())
    ours.native.load_state_dict(state, strict=True)
    assert all(torch.equal(value, state[path]) for path, value in ours.native.state_dict().items())
    x = torch.from_numpy(image(facts(name)))
    with torch.no_grad():
        assert error(ours(x), theirs(x)) < 1e-4


@pytest.mark.parametrize("name", marked("resnet18", "squeezenet1_1", "densenet121"))
def test_initial_weights_have_the_law_of_torchvision(name: str) -> None:
    drawn = initial_weights(netspec.load(name).inference, seed=3)
    theirs = torchvision_model(name).state_dict()
    for path, ours in drawn.items():
        expected = theirs[path].numpy()
        if np.ptp(expected) == 0:  # zeros or ones
            assert np.array_equal(ours, expected), path
        else:
            assert_same_law(ours.astype(np.float64), expected.astype(np.float64), path)


def assert_same_law(ours: Array, theirs: Array, path: str) -> None:
    """Six standard errors for the mean and the deviation; the tail tells a normal law from a uniform one."""
    deviation, count = theirs.std(), theirs.size
    assert abs(ours.mean() - theirs.mean()) <= 6 * deviation * math.sqrt(2 / count), path
    assert abs(ours.std() / deviation - 1) <= 6 / math.sqrt(count), path
    if count >= 1000:
        tails = [np.abs(array).max() / deviation > 2 for array in (ours, theirs)]  # of a uniform law 1.73
        assert tails[0] == tails[1], path


LARGE = [pytest.param(name, marks=pytest.mark.zoo) for name in ("inception_v3", "resnet50")]


@pytest.mark.parametrize("name", ["resnet18", *LARGE])
def test_training_is_that_of_torchvision(name: str) -> None:
    import torch

    measured = facts(name)
    params: dict[str, Any] = {"dropout": 0.0} if name == "inception_v3" else {}
    options = {**params, "init_weights": False} if params else {}
    ours = netspec.build(netspec.load(name, params=params), "torch", dtype="float64", weights=weights(measured))
    theirs = torchvision_model(name, **options).double().train()
    theirs.load_state_dict({path: torch.from_numpy(array).double() for path, array in weights(measured).items()})

    x = image(measured).astype(np.float64)
    expected = theirs(torch.from_numpy(x))
    expected = (
        {"logits": expected.logits, "aux": expected.aux_logits} if name == "inception_v3" else {"logits": expected}
    )
    cotangents = {key: np.random.default_rng(1).standard_normal(tuple(y.shape)) for key, y in expected.items()}
    sum((y * torch.from_numpy(cotangents[key])).sum() for key, y in expected.items()).backward()
    found = ours.evaluate({"image": x}, cotangents, training=True)

    assert found.outputs.keys() == expected.keys()
    assert all(error(found.outputs[key], y.detach()) < 1e-10 for key, y in expected.items())
    parameters = dict(theirs.named_parameters())
    assert found.gradients.keys() - {"input:image"} == parameters.keys()
    floor = 1e-3 * max(float(parameter.grad.abs().max()) for parameter in parameters.values())
    for path, parameter in parameters.items():
        scale = max(float(parameter.grad.abs().max()), floor)
        assert max_difference(found.gradients[path], parameter.grad.numpy()) <= 1e-10 * scale, path
    for path, buffer in theirs.named_buffers():
        if not path.endswith("num_batches_tracked"):
            assert error(found.updates[path], buffer) < 1e-10, path
