"""What only the torch backend promises of its native object: the state, modes, copies and hooks of any module."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.utils import parametrize

import netspec
import netspec_torch
from netspec.graph.graph import Value
from netspec.layers.convolution import Conv2d
from netspec.layers.linear import Linear
from netspec.layers.normalization import BatchNorm
from tests.backends.torch_graphs import SmallNet, Spec, buffers, build, by_hand, gradients, image, small_net

# State.


def test_state_dict_is_that_of_a_hand_written_module() -> None:
    model = build(small_net)
    hand = by_hand(model)
    expected = [name for name in hand.state_dict() if not name.endswith("num_batches_tracked")]
    assert list(model.native.state_dict()) == expected
    assert list(model.native.state_dict()) == [held.path for held in model.graphs.inference.state]
    assert [name for name, _ in model.native.named_buffers()] == [name for name in expected if "running" in name]
    assert [name for name, _ in model.native.named_parameters()] == [name for name, _ in hand.named_parameters()]


def test_it_computes_what_a_hand_written_module_does() -> None:
    model = build(small_net)
    hand = by_hand(model)
    for training in (False, True):
        model.native.train(training)
        hand.train(training)
        results = []
        for module in (hand, model.native):
            torch.manual_seed(4)  # the dropout
            x = image().requires_grad_()
            y = module(x)
            results.append([y, *gradients(module, y)])
        for expected, got in zip(*results, strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    moved = {name: value for name, value in hand.named_buffers() if "running" in name}
    for name, value in model.native.named_buffers():
        torch.testing.assert_close(value, moved[name], rtol=1e-12, atol=1e-12)


def test_a_state_dict_of_torchs_own_batch_norm_is_taken() -> None:
    model = build(small_net)
    hand = SmallNet().double().eval()
    assert any(name.endswith("num_batches_tracked") for name in hand.state_dict())
    model.native.load_state_dict(hand.state_dict())
    torch.testing.assert_close(model.native(image()), hand(image()))
    parent = nn.Sequential(model.native)
    parent.load_state_dict({f"0.{name}": value for name, value in hand.state_dict().items()})
    with pytest.raises(RuntimeError, match=r"Unexpected key.*stem\.norm\.extra"):
        model.native.load_state_dict({**hand.state_dict(), "stem.norm.extra": torch.zeros(1)})
    with pytest.raises(RuntimeError, match=r"Missing key.*fc\.bias"):
        model.native.load_state_dict({name: v for name, v in hand.state_dict().items() if name != "fc.bias"})


def test_frozen_parameters_need_no_gradient_and_frozen_statistics_stay() -> None:
    def body(spec: Spec) -> dict[str, Value]:
        x = spec.add("stem", Linear(out_features=4), spec.input("x", "batch", 3), frozen=True)
        x = spec.add("norm", BatchNorm(), x, frozen=True)
        return {"y": spec.add("head", Linear(out_features=2), x)}

    model = build(body)
    frozen = {name for name, value in model.native.named_parameters() if not value.requires_grad}
    assert frozen == {"stem.weight", "stem.bias", "norm.weight", "norm.bias"}
    assert all(isinstance(value, nn.Parameter) for value in model.native.parameters())
    x = torch.randn(5, 3, dtype=torch.float64)
    expected, before = model.native(x), buffers(model.native)
    model.native.train()
    torch.testing.assert_close(model.native(x), expected)
    torch.testing.assert_close(buffers(model.native), before)
    found = model.gradients(x, cotangent=np.ones((5, 2)), inputs=True)
    assert set(found) == {"head.weight", "head.bias", "input:x"}
    assert np.abs(found["input:x"]).max() > 0


def test_building_draws_nothing_from_torchs_generator() -> None:
    before = torch.get_rng_state()
    build(small_net)
    assert torch.equal(torch.get_rng_state(), before)


# Modes.


def test_train_and_eval_choose_the_graph_from_any_side() -> None:
    native = build(small_net).native
    assert not native.training
    x = image()
    quiet = native(x)
    torch.testing.assert_close(native(x), quiet)
    parent = nn.Sequential(native).train()
    before = buffers(native)
    assert not torch.equal(parent(x), quiet)
    assert all(not torch.equal(value, before[name]) for name, value in native.named_buffers())
    parent.eval()
    native.load_state_dict(before, strict=False)
    torch.testing.assert_close(native(x), quiet)


def test_a_submodule_in_eval_mode_keeps_its_statistics() -> None:
    native = build(small_net).native.train()
    native.stem.norm.eval()
    before = buffers(native)
    native(image())
    moved = {name for name, value in native.named_buffers() if not torch.equal(value, before[name])}
    assert moved == {"layer1.0.bn-1.running_mean", "layer1.0.bn-1.running_var"}


@pytest.mark.parametrize("kind", ["unbiased", "biased"])
def test_statistics_move_in_place(kind: Literal["unbiased", "biased"]) -> None:
    def body(spec: Spec) -> dict[str, Value]:
        x = spec.input("x", "batch", 3, 5)
        return {"y": spec.add("norm", BatchNorm(stats_decay=0.8, running_var=kind), x)}

    native = build(body).native.train()
    mean, var = native.norm.running_mean, native.norm.running_var
    x = torch.randn(4, 3, 5, dtype=torch.float64) * 3 + 1
    expected_mean = 0.8 * mean + 0.2 * x.mean((0, 2))
    expected_var = 0.8 * var + 0.2 * x.var((0, 2), correction=1 if kind == "unbiased" else 0)
    native(x)
    assert native.norm.running_mean is mean
    assert native.norm.running_var is var
    torch.testing.assert_close(mean, expected_mean)
    torch.testing.assert_close(var, expected_var)


def test_functional_call_moves_the_buffers_it_is_given() -> None:
    native = build(small_net).native.train()
    own = buffers(native)
    state = {name: value.detach().clone() for name, value in native.state_dict().items()}
    functional_call(native, state, (image(),))
    torch.testing.assert_close(buffers(native), own, rtol=0, atol=0)
    assert all(not torch.equal(state[name], own[name]) for name in own)
    native(image())
    torch.testing.assert_close(buffers(native), {name: state[name] for name in own})


# Copies.


def test_to_double_moves_parameters_and_buffers() -> None:
    native = build(small_net, "float32").native
    expected = native(image().float())
    assert native.double() is native
    assert {value.dtype for value in native.state_dict().values()} == {torch.float64}
    torch.testing.assert_close(native(image()).float(), expected)


def test_a_deep_copy_is_independent() -> None:
    native = build(small_net).native
    expected = native(image())
    twin = copy.deepcopy(native)
    assert type(twin) is type(native)
    with torch.no_grad():
        for parameter in native.parameters():
            parameter.zero_()
    native.train()(image())
    assert not twin.training
    torch.testing.assert_close(twin(image()), expected)


def test_it_survives_torch_save_and_keeps_its_mode() -> None:
    native = build(small_net).native.train()
    file = io.BytesIO()
    torch.save(native, file)
    file.seek(0)
    twin = torch.load(file, weights_only=False)
    assert twin.training
    torch.testing.assert_close(twin.eval()(image()), native.eval()(image()))


def test_a_fresh_process_unpickles_it_without_a_spec(tmp_path: Path) -> None:
    def padded_at_run_time(spec: Spec) -> dict[str, Value]:
        x = spec.input("image", "batch", 3, "height", "width")
        return {"y": spec.add("conv", Conv2d(out_channels=2, kernel_size=3, stride=2, padding="same"), x)}

    native, other = build(small_net).native, build(padded_at_run_time).native
    held = (native, image(), native(image()), other, other(image()))
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(held))
    code = """
import pickle, sys, torch
native, x, expected, other, padded = pickle.load(open("model.pickle", "rb"))
torch.testing.assert_close(native(x), expected)
torch.testing.assert_close(other(x), padded)
before = native.stem.norm.running_mean.clone()
native.train()(x).sum().backward()
assert not torch.equal(before, native.stem.norm.running_mean)
assert "netspec.language" not in sys.modules
print(list(native.state_dict()))
"""
    paths = [str(Path(netspec_torch.__file__).parents[1]), str(Path(netspec.__file__).parents[1])]
    program = f"import sys\nsys.path[:0] = {paths!r}\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(list(native.state_dict()))


# Hooks and surgery.


def test_hooks_of_submodules_fire() -> None:
    native = build(small_net).native
    seen: list[tuple[int, ...]] = []
    native.layer1.get_submodule("0.conv1").register_forward_hook(lambda module, args, y: seen.append(tuple(y.shape)))
    native(image())
    assert seen == [(3, 6, 4, 7)]


def test_parametrizations_and_exchanged_submodules_hold() -> None:
    class Doubled(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * x

    native = build(small_net).native
    features = native(image()) - native.fc.bias
    parametrize.register_parametrization(native.fc, "weight", Doubled())
    torch.testing.assert_close(native(image()) - native.fc.bias, 2 * features)
    torch.testing.assert_close(copy.deepcopy(native)(image()), native(image()))
    native.fc = nn.Linear(36, 2, dtype=torch.float64)
    assert native(image()).shape == (3, 2)
