"""What only the torch backend promises: its native object is a module like any other, and keeps a module's manners."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn.utils import parametrize
from torch.utils.checkpoint import checkpoint

import netspec
import netspec_torch
from netspec.errors import BackendError, InputError
from netspec.graph import ops
from netspec.graph.builder import Builder, Entry
from netspec.graph.dims import symbol
from netspec.graph.graph import GraphPair, Origin, Value
from netspec.graph.invariants import check_pair
from netspec.graph.types import TensorType
from netspec.layers.activation import Gelu, LeakyRelu, Relu, Softmax, Tanh
from netspec.layers.base import Layer
from netspec.layers.convolution import Conv2d
from netspec.layers.linear import Embedding, Linear
from netspec.layers.normalization import BatchNorm, LayerNorm
from netspec.layers.pooling import MaxPool2d
from netspec.layers.regularization import Dropout
from netspec.layers.tensor import Add, Concat, Flatten, Mul
from netspec.passes.noise_inputs import noise_inputs
from netspec_torch.module import SourceModule

Body = Callable[["Spec"], dict[str, Value]]


class Spec:
    """A Builder with a word for what a spec would say: `spec.add("conv1", Conv2d(...), x)`."""

    def __init__(self, training: bool) -> None:
        self.builder = Builder("tiny", training)

    def input(self, name: str, *shape: Any, dtype: Any = "float") -> Value:
        sizes = [symbol(size) if isinstance(size, str) else size for size in shape]
        return self.builder.input(name, TensorType(tuple(sizes), dtype))

    def add(
        self, path: str, layer: Layer, *inputs: Value, frozen: bool = False, tied: Mapping[str, str] | None = None
    ) -> Value:
        entry = Entry(Origin(path, None), frozen=lambda _: frozen, fixed=lambda _: frozen, tied=tied or {})
        return self.builder.call(layer, entry, inputs)[0]


def graphs(body: Body) -> GraphPair:
    made = []
    for training in (False, True):
        spec = Spec(training)
        made.append(spec.builder.finish(body(spec)))
    return check_pair(GraphPair(*made))


def weights(pair: GraphPair, seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    found = {}
    for held in pair.inference.state:
        drawn = rng.standard_normal(held.value.shape)
        found[held.path] = np.abs(drawn) + 0.5 if held.path.endswith("running_var") else drawn * 0.4
    return found


def build(body: Body, dtype: Any = "float64", **options: Any) -> Any:
    pair = graphs(body)
    return netspec_torch.backend.compile(pair, weights(pair), dtype, **options)


def small_net(spec: Spec) -> dict[str, Value]:
    """Odd and even sizes, a group, an unnamed entry, batch norm, dropout, non-zero biases."""
    x = spec.input("image", "batch", 3, 9, 8)
    x = spec.add("stem.conv", Conv2d(out_channels=4, kernel_size=3, stride=(2, 1), padding=1), x)
    x = spec.add("stem.norm", BatchNorm(), x)
    x = spec.add("stem.act", LeakyRelu(negative_slope=0.1), x)
    x = spec.add("layer1.0.conv1", Conv2d(out_channels=6, kernel_size=2, bias=False), x)
    x = spec.add("layer1.0.bn-1", BatchNorm(stats_decay=0.7), x)
    x = spec.add("pool", MaxPool2d(kernel_size=2), x)
    x = spec.add("flat", Flatten(), x)
    x = spec.add("drop", Dropout(p=0.25), x)
    return {"logits": spec.add("fc", Linear(out_features=5), x)}


class SmallNet(nn.Module):
    """The same net, written by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.ModuleDict({"conv": nn.Conv2d(3, 4, 3, stride=(2, 1), padding=1), "norm": nn.BatchNorm2d(4)})
        block = {"conv1": nn.Conv2d(4, 6, 2, bias=False), "bn-1": nn.BatchNorm2d(6, momentum=0.3)}
        self.layer1 = nn.ModuleDict({"0": nn.ModuleDict(block)})
        self.fc = nn.Linear(36, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.leaky_relu(self.stem["norm"](self.stem["conv"](x)), 0.1)
        x = self.layer1.get_submodule("0.bn-1")(self.layer1.get_submodule("0.conv1")(x))
        x = nn.functional.max_pool2d(x, 2).flatten(1)
        y: torch.Tensor = self.fc(nn.functional.dropout(x, 0.25, self.training))
        return y


def image(seed: int = 1, batch: int = 3) -> torch.Tensor:
    return torch.randn(batch, 3, 9, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gradients(module: nn.Module, y: torch.Tensor) -> list[torch.Tensor]:
    r = torch.randn(y.shape, generator=torch.Generator().manual_seed(9), dtype=y.dtype)
    return list(torch.autograd.grad((y * r).sum(), list(module.parameters())))


def buffers(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.named_buffers()}


def by_hand(model: Any) -> SmallNet:
    """The hand-written net with the weights of `model`, in eval mode; its state dict counts batches too."""
    hand = SmallNet().double().eval()
    hand.load_state_dict(model.native.state_dict(), strict=False)
    return hand


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


# torch's transformations.


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


# The text.


def test_the_forward_can_be_read() -> None:
    native = build(small_net).native
    text = inspect.getsource(type(native).forward)
    assert text.startswith("def forward(self, image):\n    if self.training:\n")
    assert "self._modules['stem']._modules['conv'](image)" in text
    assert text.count("torch.dropout") == 1
    assert "conv2d(out_channels=4, kernel_size=3, stride=(2, 1), padding=1, dilation=1" in repr(native)
    assert "(bn-1): batch_norm(eps=1e-05, stats_decay=0.7" in repr(native)
    assert repr(native).startswith("tiny(\n  (stem): Group(")


def test_inputs_go_by_position_and_by_name() -> None:
    def body(spec: Spec) -> dict[str, Value]:
        left, right = spec.input("left", "batch", 3), spec.input("class", "batch", 3)
        return {"sum": spec.add("a", Add(), left, right), "product": spec.add("m", Mul(), left, right)}

    model = build(body)
    a, b = torch.rand(2, 3, dtype=torch.float64), torch.rand(2, 3, dtype=torch.float64)
    for outputs in (model.native(a, b), model.native(left=a, class_=b), model(a, b), model(**{"class": b, "left": a})):
        assert list(outputs) == ["sum", "product"]
        torch.testing.assert_close(outputs["sum"], a + b)
        torch.testing.assert_close(outputs["product"], a * b)


AWKWARD_NAMES = ["train", "type", "forward", "training", "class", "_modules", "0", "a-b", "self", "torch", "form"]


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_an_entry_may_be_called_anything(name: str) -> None:
    def body(spec: Spec) -> dict[str, Value]:
        x = spec.add(f"{name}.{name}", Linear(out_features=4), spec.input(name, "batch", 3))
        return {name: spec.add("norm", BatchNorm(), x)}

    model = build(body)
    native = model.native
    held = native.state_dict()
    assert list(held)[:2] == [f"{name}.{name}.weight", f"{name}.{name}.bias"]
    x = torch.randn(5, 3, dtype=torch.float64)
    plain = x @ held[f"{name}.{name}.weight"].T + held[f"{name}.{name}.bias"]
    for module in (native, copy.deepcopy(native), pickle.loads(pickle.dumps(native))):
        y = nn.functional.batch_norm(
            plain, held["norm.running_mean"], held["norm.running_var"], held["norm.weight"], held["norm.bias"]
        )
        torch.testing.assert_close(module(x), y)
    torch.compiler.reset()
    torch.testing.assert_close(torch.compile(native, backend="aot_eager", fullgraph=True)(x), native(x))
    native.load_state_dict(held)
    if name not in dir(nn.Module()):  # torch looks for the module by that attribute
        torch.testing.assert_close(functional_call(native, held, (x,)), native(x))
    found = model.evaluate({name: x.numpy()}, {name: np.ones((5, 4))}, training=True)
    assert found.gradients[f"{name}.{name}.weight"].shape == (4, 3)


def test_no_name_becomes_code() -> None:
    evil = 'x"]; raise SystemExit; ["'

    def body(spec: Spec) -> dict[str, Value]:
        return {evil: spec.add(evil, Linear(out_features=2), spec.input(evil, "batch", 3))}

    model = build(body)
    x = np.ones((2, 3))
    expected = x @ model.weights()[f"{evil}.weight"].T + model.weights()[f"{evil}.bias"]
    np.testing.assert_allclose(model(x).detach(), expected)


# Shared and tied layers, symbolic sizes.


def test_a_layer_applied_twice_is_one_submodule() -> None:
    def body(spec: Spec) -> dict[str, Value]:
        x = spec.input("x", "batch", 2, 6, 5)
        y = spec.add("tower", Conv2d(out_channels=2, kernel_size=3, stride=2, padding="same"), x)
        y = spec.add("tower", Conv2d(out_channels=2, kernel_size=3, stride=2, padding="same"), y)
        y = spec.add("norm", BatchNorm(), y)
        return {"y": spec.add("norm", BatchNorm(), y)}

    native = build(body).native
    calls: list[int] = []
    hook = native.tower.register_forward_hook(lambda module, args, y: calls.append(y.shape[-1]))
    x = torch.randn(4, 2, 6, 5, dtype=torch.float64)
    native.train()
    mean, var = native.norm.running_mean.clone(), native.norm.running_var.clone()
    y = native(x)
    hook.remove()
    assert calls == [3, 2]
    assert list(native.state_dict()) == [
        "tower.weight",
        "tower.bias",
        "norm.weight",
        "norm.bias",
        "norm.running_mean",
        "norm.running_var",
    ]
    # 6 x 5 gets (0, 1) and (1, 1), 3 x 3 gets (1, 1) and (1, 1).
    z = x
    for pads in ((1, 1, 0, 1), (1, 1, 1, 1)):
        z = nn.functional.conv2d(nn.functional.pad(z, pads), native.tower.weight, native.tower.bias, stride=2)
    for _ in range(2):
        z = nn.functional.batch_norm(z, mean, var, native.norm.weight, native.norm.bias, True)
    torch.testing.assert_close(y, z)
    torch.testing.assert_close(native.norm.running_mean, mean)
    torch.testing.assert_close(native.norm.running_var, var)
    twin = pickle.loads(pickle.dumps(native)).eval()
    torch.testing.assert_close(twin(x), native.eval()(x))


@pytest.mark.parametrize("bias", [True, False])
def test_a_tied_parameter_is_there_once(bias: bool) -> None:
    def body(spec: Spec) -> dict[str, Value]:
        x = spec.input("tokens", "batch", "time", dtype="int64")
        x = spec.add("embed", Embedding(num_embeddings=7, embedding_dim=3), x)
        tied = {"weight": "embed.weight"}
        return {"logits": spec.add("head", Linear(out_features=7, bias=bias), x, tied=tied)}

    model = build(body)
    native = model.native
    assert list(native.state_dict()) == ["embed.weight", *(["head.bias"] if bias else [])]
    tokens = torch.tensor([[0, 6, 2], [3, 3, 1]])
    table = native.embed.weight
    expected = table[tokens] @ table.T + (native.head.bias if bias else 0)
    torch.testing.assert_close(native(tokens), expected)
    found = model.gradients(tokens, cotangent=np.ones((2, 3, 7)))
    np.testing.assert_allclose(found["embed.weight"], torch.autograd.grad(expected.sum(), table)[0])
    torch.testing.assert_close(copy.deepcopy(native)(tokens), expected)


class Halves(Layer):
    """Scales each half of the time axis by a number of its own: a body that needs sizes as numbers."""

    type: Literal["halves"] = "halves"

    def expand(self, b: Builder, x: Value) -> Value:
        batch, time, features = x.shape
        split = b.reshape(x, (batch, 2, time // 2, features))
        y = split * b.reshape(b.param("weight", (2,), "ones"), (2, 1, 1))
        return b.reshape(y, (batch, time // 2 * 2, features))


def test_a_layer_gets_the_sizes_it_cannot_see() -> None:
    def body(spec: Spec) -> dict[str, Value]:
        n = symbol("n")
        x = spec.builder.input("x", TensorType((symbol("batch"), n * 2, 3)))
        count = spec.input("count", "n", 3)
        y = spec.add("halves", Halves(), x)
        return {"y": spec.add("add", Add(), y, spec.add("twice", Concat(dim=0), count, count))}

    model = build(body)
    for n in (2, 5):
        x, count = torch.randn(4, 2 * n, 3, dtype=torch.float64), torch.randn(n, 3, dtype=torch.float64)
        scale = model.native.halves.weight.repeat_interleave(n)[:, None]
        torch.testing.assert_close(model(x, count), x * scale + torch.cat([count, count]))
    assert "def forward(self, x, n)" in inspect.getsource(type(model.native.halves).forward)


@pytest.mark.parametrize("padding", ["same", "same_lower"])
def test_same_padding_of_symbolic_sizes(padding: Literal["same", "same_lower"]) -> None:
    def body(spec: Spec) -> dict[str, Value]:
        x = spec.input("x", "batch", 2, "height", "width")
        layer = Conv2d(out_channels=4, kernel_size=(3, 2), stride=(2, 3), dilation=(2, 1), padding=padding, groups=2)
        return {"y": spec.add("conv", layer, x)}

    native = build(body).native
    for height, width in ((7, 8), (8, 9), (5, 7), (2, 1)):
        pads: list[int] = []
        for size, window, stride in ((width, 2, 3), (height, 5, 2)):
            total = max((-(-size // stride) - 1) * stride + window - size, 0)
            pads += [total - total // 2, total // 2] if padding == "same_lower" else [total // 2, total - total // 2]
        x = torch.randn(2, 2, height, width, dtype=torch.float64)
        padded = nn.functional.pad(x, pads)
        expected = nn.functional.conv2d(
            padded, native.conv.weight, native.conv.bias, stride=(2, 3), dilation=(2, 1), groups=2
        )
        torch.testing.assert_close(native(x), expected)


# Fused forms: each means what the body means, at kinks too.


def fused_cases() -> list[tuple[Layer, tuple[int, ...]]]:
    return [
        (Linear(out_features=4), (5, 3)),
        (Linear(out_features=4, bias=False, weight_layout="in_out"), (5, 2, 3)),
        (Linear(out_features=4, weight_layout="in_out"), (5, 3)),
        (Conv2d(out_channels=4, kernel_size=(2, 3), stride=2, padding=((0, 1), (2, 0)), groups=2), (2, 4, 7, 6)),
        (Conv2d(out_channels=4, kernel_size=3, dilation=2, padding="same", bias=False), (2, 3, 7, 6)),
        (BatchNorm(eps=1e-3, stats_decay=0.6), (5, 3, 4)),
        (BatchNorm(affine=False, running_var="biased"), (5, 3, 4, 2)),
        (BatchNorm(stats_decay=0.0), (5, 3)),
        (LayerNorm(eps=1e-2, dim=(-1, -2)), (5, 3, 4)),
        (LayerNorm(bias=False), (5, 3, 4)),
        (LayerNorm(elementwise_affine=False), (5, 3, 4)),
        (LeakyRelu(negative_slope=0.3), (5, 3)),
        (LeakyRelu(negative_slope=-0.5), (5, 3)),
        (Gelu(), (5, 3)),
        (Softmax(dim=1), (5, 3, 4)),
    ]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("layer", "shape"), fused_cases(), ids=[f"{case[0].type}-{number}" for number, case in enumerate(fused_cases())]
)
def test_fused_forms_mean_the_body(layer: Layer, shape: tuple[int, ...], training: bool) -> None:
    def body(spec: Spec) -> dict[str, Value]:
        return {"y": spec.add("layer", layer, spec.input("x", "batch", *shape[1:]))}

    pair = graphs(body)
    plain = netspec_torch.TorchBackend(fused={})
    rng = np.random.default_rng(3)
    x = np.round(rng.standard_normal(shape), 1)
    x.flat[::4] = 0.0  # kinks
    results = []
    for backend in (netspec_torch.backend, plain):
        model = backend.compile(pair, weights(pair), "float64")
        y = model(x, training=training)
        results.append(model.evaluate({"x": x}, {"y": np.random.default_rng(5).standard_normal(y.shape)}, training))
    moving = {"layer.running_mean", "layer.running_var"} if training and isinstance(layer, BatchNorm) else set()
    assert set(results[0].updates) == moving
    for part in ("outputs", "gradients", "updates"):
        fused, expected = getattr(results[0], part), getattr(results[1], part)
        assert list(fused) == list(expected)
        for name in fused:
            np.testing.assert_allclose(fused[name], expected[name], rtol=1e-11, atol=1e-12, err_msg=f"{part} {name}")


def test_layer_norm_over_a_symbolic_size_runs_its_body() -> None:
    def body(spec: Spec) -> dict[str, Value]:
        layer = LayerNorm(dim=(-1, -2), elementwise_affine=False)
        return {"y": spec.add("norm", layer, spec.input("x", "batch", "time", 3))}

    x = torch.randn(2, 5, 3, dtype=torch.float64)
    torch.testing.assert_close(build(body)(x), nn.functional.layer_norm(x, (5, 3)))


def test_the_body_moves_buffers_in_place_too() -> None:
    def body(spec: Spec) -> dict[str, Value]:
        return {"y": spec.add("norm", BatchNorm(), spec.input("x", "batch", 3))}

    pair = graphs(body)
    native: Any = netspec_torch.TorchBackend(fused={}).compile(pair, weights(pair), "float64").native.train()
    held = native.norm.running_mean
    before = held.clone()
    for _ in range(2):
        native(torch.randn(4, 3, dtype=torch.float64)).sum().backward()
    assert native.norm.running_mean is held
    assert not held.requires_grad
    assert not torch.equal(held, before)


def test_uneven_padding_of_pools() -> None:
    class Pools(Layer):
        type: Literal["pools"] = "pools"

        def expand(self, b: Builder, x: Value) -> Value:
            window = ((3, 2), (2, 1), ((1, 0), (0, 1)))
            whole = b.apply(ops.AveragePool(*window), x)
            inside = b.apply(ops.AveragePool(*window, count_include_pad=False), x)
            return b.concat([b.apply(ops.MaxPool(*window), x), whole, inside], 1)

    model = build(lambda spec: {"y": spec.add("pools", Pools(), spec.input("x", "batch", 1, 4, 3))})
    x = -torch.rand(2, 1, 4, 3, dtype=torch.float64) - 1
    largest, whole, inside = model(x).unbind(1)
    padded = nn.functional.pad(x, (0, 1, 1, 0), value=float("nan"))[:, 0]
    for i in range(2):
        for j in range(3):
            window = padded[:, 2 * i : 2 * i + 3, j : j + 2].flatten(1)
            torch.testing.assert_close(largest[:, i, j], window.nan_to_num(-9.0).amax(1))
            torch.testing.assert_close(whole[:, i, j], window.nansum(1) / 6)
            torch.testing.assert_close(inside[:, i, j], window.nanmean(1))


# The model around the module.


def test_evaluate_moves_nothing_and_reports_what_would_move() -> None:
    model = build(small_net)
    before = {name: value.clone() for name, value in model.native.state_dict().items()}
    pointers = {name: value.data_ptr() for name, value in model.native.state_dict().items()}
    model.native.fc.train()
    torch.manual_seed(0)
    with torch.no_grad():
        found = model.evaluate({"image": image().numpy()}, {"logits": np.ones((3, 5))}, training=True)
    after = model.native.state_dict()
    torch.testing.assert_close(dict(after), before, rtol=0, atol=0)
    assert {name: value.data_ptr() for name, value in after.items()} == pointers
    assert [each.training for each in (model.native, model.native.fc, model.native.stem)] == [False, True, False]
    assert all(parameter.grad is None for parameter in model.native.parameters())
    assert set(found.gradients) == {name for name, _ in model.native.named_parameters()} | {"input:image"}
    torch.manual_seed(0)
    y = model(image(), training=True)
    np.testing.assert_allclose(found.outputs["logits"], y.detach(), rtol=1e-12)
    moved = dict(model.native.named_buffers())
    assert set(found.updates) == set(moved)
    for name, value in found.updates.items():
        np.testing.assert_allclose(value, moved[name], rtol=1e-12)


def test_evaluate_without_cotangents_and_of_what_nothing_reaches() -> None:
    def body(spec: Spec) -> dict[str, Value]:
        x = spec.input("x", "batch", 3)
        return {"y": spec.add("fc", Linear(out_features=2), x), "z": spec.add("relu", Relu(), x)}

    model = build(body)
    x = np.array([[1.0, -2.0, 0.0]])
    assert model.evaluate({"x": x}).gradients == {}
    found = model.evaluate({"x": x}, {"z": np.ones((1, 3))}).gradients
    np.testing.assert_array_equal(found["fc.weight"], np.zeros((2, 3)))
    np.testing.assert_array_equal(found["input:x"], [[1.0, 0.0, 0.0]])


def test_noise_from_outside_comes_in_as_an_input() -> None:
    pair = graphs(
        lambda spec: {"y": spec.add("drop", Dropout(p=0.2), spec.input("x", "batch", 3))},
    )
    pair = GraphPair(pair.inference, noise_inputs(pair.training)[0])
    model = netspec_torch.backend.compile(pair, {}, "float64")
    (name,) = [entry.name for entry in pair.training.inputs if entry.name != "x"]
    x, mask = np.ones((2, 3)), np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    found = model.evaluate({"x": x, name: mask}, {"y": np.ones((2, 3))}, training=True)
    np.testing.assert_allclose(found.outputs["y"], mask * 1.25)
    np.testing.assert_allclose(found.gradients["input:x"], mask * 1.25)
    np.testing.assert_allclose(model(x).numpy(), x)


def test_weights_go_out_as_copies_and_come_in_in_place() -> None:
    model = build(small_net, "float32")
    parameter = model.native.fc.weight
    held = model.weights()
    assert list(held) == list(model.native.state_dict())
    held["fc.weight"][:] = 0
    assert not torch.equal(parameter, torch.zeros_like(parameter))
    fresh = weights(model.graphs, seed=8)
    model.load_weights(fresh)
    assert model.native.fc.weight is parameter
    assert parameter.requires_grad
    for name, value in model.weights().items():
        np.testing.assert_array_equal(value, fresh[name].astype("float32"))


def test_numpy_inputs_are_shared_where_they_can_be() -> None:
    model = build(small_net)
    type = model.graphs.inference.inputs[0].value.type
    array = image().numpy().copy()
    assert model.to_native("image", array, type).data_ptr() == array.ctypes.data
    locked = array.copy()
    locked.flags.writeable = False
    for other in (locked, array[:, :, ::-1], np.asfortranarray(array), array.astype(">f8")):
        np.testing.assert_array_equal(model.to_native("image", other, type).numpy(), other)


def test_arrays_of_another_dtype_are_refused() -> None:
    model = build(small_net, "float32")
    with pytest.raises(InputError, match=r"^input image: expected float32, got float64$"):
        model(image())
    with pytest.raises(InputError, match=r"^input image: expected float32, got int64$"):
        model(np.ones((1, 3, 9, 8), dtype="int64"))
    assert model(image().numpy()).dtype == torch.float32


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision(dtype: Literal["bfloat16", "float16"]) -> None:
    model = build(small_net, dtype)
    assert {value.dtype for value in model.native.state_dict().values()} == {getattr(torch, dtype)}
    y = model(image().numpy())
    exact = build(small_net)(image())
    torch.testing.assert_close(y.double(), exact, rtol=0.05, atol=0.1)
    assert model.weights()["fc.bias"].dtype == ("float32" if dtype == "bfloat16" else dtype)
    assert model.gradients(image().numpy(), cotangent=np.ones((3, 5)))["fc.bias"].tolist() == [3.0] * 5


@pytest.mark.parametrize("device", ["cuda", "warp", "cpu:nine"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(BackendError, match=rf"^device {device} is not there for torch: [^\n]+$"):
        build(small_net, device=device)


def test_a_planted_lowering_is_used_and_the_backend_pickles() -> None:
    planted = netspec_torch.TorchBackend(lowerings={**netspec_torch.backend.lowerings, ops.Tanh: torch.sigmoid})
    pair = graphs(lambda spec: {"y": spec.add("act", Tanh(), spec.input("x", "batch", 2))})
    for backend in (planted, pickle.loads(pickle.dumps(planted))):
        y = backend.compile(pair, {}, "float64")(np.zeros((1, 2)))
        assert y.tolist() == [[0.5, 0.5]]
    assert isinstance(pickle.loads(pickle.dumps(netspec_torch.backend)), netspec_torch.TorchBackend)


def test_the_package_imports_no_torch_until_it_compiles() -> None:
    paths = [str(Path(netspec_torch.__file__).parents[1]), str(Path(netspec.__file__).parents[1])]
    program = f"import sys\nsys.path[:0] = {paths!r}\nimport netspec_torch\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], timeout=60, check=True)


def test_layers_that_differ_in_size_alone_share_their_code() -> None:
    def body(spec: Spec) -> dict[str, Value]:
        x = spec.input("x", "batch", 4)
        for number, size in enumerate((3, 3, 5)):
            x = spec.add(str(number), Linear(out_features=size), x)
        return {"y": x}

    first, second, third = build(body).native.children()
    assert isinstance(first, SourceModule)
    assert type(first) is type(second)
    assert type(first) is not type(third)
    assert type(first).forward is type(third).forward
