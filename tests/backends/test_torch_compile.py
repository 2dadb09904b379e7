"""torch's transformations on the native module: compile, export, vmap, functional gradients, checkpointing."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.utils.checkpoint import checkpoint

import netspec_torch
from tests.backends.torch_graphs import buffers, build, gradients, graphs, image, small_net, weights


@pytest.mark.parametrize("training", [False, True])
def test_torch_compile(training: bool) -> None:
    torch.compiler.reset()
    native = build(small_net).native.train(training)
    native.training = False  # no dropout, which draws other numbers when compiled; the layers below keep their mode
    twin = copy.deepcopy(native)
    expected, got = native(image()), torch.compile(twin, backend="aot_eager", fullgraph=True)(image())
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(gradients(twin, got), gradients(native, expected))
    torch.testing.assert_close(buffers(twin), buffers(native))


def test_torch_compile_follows_the_mode() -> None:
    torch.compiler.reset()
    native = build(small_net).native
    compiled = torch.compile(native, backend="aot_eager", fullgraph=True)
    quiet = native(image())
    torch.testing.assert_close(compiled(image()), quiet)
    native.train()
    before = buffers(native)
    assert not torch.allclose(compiled(image()), quiet)
    assert not torch.equal(native.stem.norm.running_var, before["stem.norm.running_var"])
    native.eval()
    native.load_state_dict(before, strict=False)
    torch.testing.assert_close(compiled(image()), quiet)


@pytest.mark.parametrize("training", [False, True])
def test_torch_export_keeps_the_batch_symbolic(training: bool) -> None:
    native = build(small_net).native.train(training)
    native.training = False  # as above
    batch = torch.export.Dim("batch", min=2, max=64)
    exported = torch.export.export(native, (image(),), dynamic_shapes={"image": {0: batch}}).module()
    before = buffers(native)
    torch.testing.assert_close(exported(image(batch=7)), native(image(batch=7)))
    torch.testing.assert_close(buffers(exported), buffers(native))
    assert all(torch.equal(value, before[name]) is not training for name, value in native.named_buffers())


def test_vmap_over_stacked_models() -> None:
    pair = graphs(small_net)
    natives = [netspec_torch.backend.compile(pair, weights(pair, seed), "float64").native for seed in range(3)]
    stacked = stack_module_state(natives)
    x = image()
    results = vmap(lambda params, held: functional_call(natives[0], (params, held), (x,)))(*stacked)
    torch.testing.assert_close(results, torch.stack([native(x) for native in natives]))


def test_functional_gradient() -> None:
    native = build(small_net).native
    params = {name: value.detach() for name, value in native.named_parameters()}
    found = grad(lambda params: functional_call(native, params, (image(),)).square().sum())(params)
    expected = torch.autograd.grad(native(image()).square().sum(), list(native.parameters()))
    torch.testing.assert_close(list(found.values()), list(expected))


def test_activation_checkpoint() -> None:
    native = build(small_net).native
    y = checkpoint(native, image(), use_reentrant=False)
    torch.testing.assert_close(gradients(native, y), gradients(native, native(image())))
