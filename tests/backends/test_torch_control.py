"""Control flow on torch: what a module with loops and branches still keeps of any module's manners."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

import netspec
import netspec_torch
from netspec.spec import load, loads
from tests.backends.control_graphs import NOISY, agree, assert_drawn_anew

CASES = Path(__file__).parents[1] / "conformance/cases"
RNN = """\
netspec: 1
inputs: {x: {shape: [batch, time, 3]}, h: {shape: [batch, 4]}}
blocks:
  Cell:
    inputs: [x, h]
    layers:
      - {name: both, type: concat, from: [x, h], dim: 1}
      - {name: fc, type: linear, out_features: 4}
      - {name: next, type: tanh}
    outputs: {h: next, y: fc}
layers:
  - {name: rnn, type: Cell, scan: {over: [x], dim: 1}, from: {x: x, h: h}}
outputs: {h: "rnn:h", y: "rnn:y"}
"""


def rnn() -> Any:
    return netspec.build(loads(RNN), "torch").native


def given(time: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(time)
    return torch.randn(2, time, 3, generator=generator), torch.randn(2, 4, generator=generator)


def test_outputs_and_gradients_of_bodies_in_layers() -> None:
    agree(netspec_torch.backend)


def test_copies_and_pickles_run_alike() -> None:
    for name in ("control", "custom_gradients"):
        spec = load(CASES / f"{name}.yaml")
        model = netspec.build(spec, "torch")
        first = model.native
        for other in (copy.deepcopy(first), pickle.loads(pickle.dumps(first))):
            assert list(other.state_dict()) == list(first.state_dict())
            assert type(other) is type(first)
    module = rnn()
    expected = module(*given())
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        for key, y in other(*given()).items():
            assert torch.equal(y, expected[key])


def test_layers_in_a_scan_are_submodules_that_are_called_at_each_step() -> None:
    module = rnn()
    calls: list[torch.Size] = []
    module.rnn.fc.register_forward_hook(lambda _, inputs, output: calls.append(output.shape))
    module(*given(6))
    assert calls == [torch.Size([2, 4])] * 6
    torch.nn.utils.parametrize.register_parametrization(module.rnn.fc, "weight", Doubled())
    x, h = given(1)
    by_hand = torch.cat((x[:, 0], h), 1) @ module.rnn.fc.weight.T + module.rnn.fc.bias
    assert torch.allclose(module(x, h)["y"][:, 0], by_hand)


class Doubled(torch.nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return 2 * weight


def test_second_derivatives_and_transforms_go_through() -> None:
    spec = load(CASES / "custom_gradients.yaml")
    module = netspec.build(spec, "torch", dtype="float64").native
    seq, index = torch.randn(2, 3, 4, dtype=torch.float64), torch.tensor([1, 4])

    def sig(x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = module(x, seq, index)["sig"]
        return found

    x = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(sig, (x,))
    jacobian = torch.func.jacrev(sig)(x)
    expected = torch.autograd.functional.jacobian(sig, x)
    assert torch.allclose(jacobian, expected)


def test_each_turn_draws_anew() -> None:
    module = netspec.build(loads(NOISY), "torch").native.train()
    found = module(torch.ones(4, 5, 50))
    assert_drawn_anew(found["steps"].numpy(), found["turns"].numpy())


def test_compile_unrolls_a_scan_and_export_fixes_its_length() -> None:
    module = rnn()
    compiled = torch.compile(module, backend="eager")
    for time in (4, 6):
        for key, y in compiled(*given(time)).items():
            assert torch.allclose(y, module(*given(time))[key])
    exported = torch.export.export(module, given(4)).module()
    np.testing.assert_allclose(exported(*given(4))["y"].detach(), module(*given(4))["y"].detach(), rtol=1e-6)
