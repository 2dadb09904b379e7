"""Recurrent layers as torch modules: torch's own state, states that move between both, copies, hooks, training."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import netspec

FIELDS = "hidden_size: 4, num_layers: 2, bidirectional: true, dropout: 0.5"
KEYWORDS: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "dropout": 0.5, "batch_first": True}


def module(type: str, fields: str = FIELDS) -> nn.Module:
    """Inputs x [batch, time, 3] and lengths; output and last state."""
    spec = netspec.loads(
        "{netspec: 1, inputs: {x: {shape: [batch, time, 3]}, lengths: {shape: [batch], dtype: int64}}, "
        f"layers: [{{name: l, type: {type}, {fields}, from: {{x: x, lengths: lengths}}}}], "
        "outputs: {y: l, h: l:h_n}}"
    )
    native: nn.Module = netspec.build(spec, "torch").native
    return native


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(3, 5, 3), torch.tensor([5, 1, 3])


def of_torch(own: nn.Module, x: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    y, last = own(packed)
    return pad_packed_sequence(y, batch_first=True)[0], last[0] if isinstance(last, tuple) else last


@pytest.mark.parametrize(("type", "own"), [("lstm", nn.LSTM), ("gru", nn.GRU), ("rnn", nn.RNN)])
def test_the_state_is_torch_s_and_goes_both_ways(type: str, own: Any) -> None:
    native, theirs = module(type), own(3, 4, **KEYWORDS)
    assert list(native.state_dict()) == [f"l.{name}" for name in theirs.state_dict()]
    native.get_submodule("l").load_state_dict(theirs.state_dict())
    x, lengths = inputs()
    for ours, expected in zip(native.eval()(x, lengths).values(), of_torch(theirs.eval(), x, lengths), strict=True):
        torch.testing.assert_close(ours, expected)
    with torch.no_grad():
        for parameter in native.parameters():
            parameter.mul_(0.5)
    theirs.load_state_dict(native.get_submodule("l").state_dict())
    torch.testing.assert_close(native(x, lengths)["y"], of_torch(theirs, x, lengths)[0])


@pytest.mark.parametrize(("type", "own"), [("lstm", nn.LSTM), ("gru", nn.GRU), ("rnn", nn.RNN)])
def test_training_draws_the_masks_and_has_the_gradients_of_torch(type: str, own: Any) -> None:
    """From the same seed."""
    native, theirs = module(type).train(), own(3, 4, **KEYWORDS).train()
    native.get_submodule("l").load_state_dict(theirs.state_dict())
    x, lengths = inputs()
    found: list[torch.Tensor] = []
    for run in (lambda: native(x, lengths).values(), lambda: of_torch(theirs, x, lengths)):
        torch.manual_seed(7)
        y, last = run()
        (y.square().sum() + last.sum()).backward()
        found.append(y.detach())
    torch.testing.assert_close(*found)
    assert not torch.equal(found[0], native.eval()(x, lengths)["y"])
    for ours, expected in zip(native.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, expected.grad)


def test_copies_pickles_and_hooks() -> None:
    native = module("gru", "hidden_size: 4, recurrent_bias: false, reverse: true").eval()
    x, lengths = inputs()
    expected = native(x, lengths)
    for twin in (copy.deepcopy(native), pickle.loads(pickle.dumps(native))):
        assert list(twin.state_dict()) == ["l.weight_ih_l0", "l.weight_hh_l0", "l.bias_ih_l0"]
        for ours, theirs in zip(twin(x, lengths).values(), expected.values(), strict=True):
            torch.testing.assert_close(ours, theirs)
    seen: list[Any] = []
    native.get_submodule("l").register_forward_hook(lambda module, args, y: seen.append(y[0].shape))
    native(x, lengths)
    assert seen == [(3, 5, 4)]


@pytest.mark.parametrize("type", ["lstm", "gru", "rnn"])
def test_narrow_floats(type: str) -> None:
    """bfloat16 all through, near to float32; the states of an empty sequence are of that type too."""
    native = module(type).eval()
    x, lengths = inputs()
    expected = native(x, lengths)
    for ours, wide in zip(native.bfloat16()(x.bfloat16(), lengths).values(), expected.values(), strict=True):
        assert ours.dtype == torch.bfloat16
        torch.testing.assert_close(ours.float(), wide, atol=2e-2, rtol=0)


def test_a_sequence_without_lengths_compiles_and_exports() -> None:
    """Packed sequences do not: torch takes their lengths to the host."""
    spec = netspec.loads(
        "{netspec: 1, inputs: {x: {shape: [batch, time, 3]}}, layers: [{name: l, type: lstm, hidden_size: 4}]}"
    )
    native = netspec.build(spec, "torch").native.eval()
    x, _ = inputs()
    program = torch.export.export(native, (x,))
    torch.testing.assert_close(program.module()(x), native(x))
