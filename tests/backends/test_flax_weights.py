"""Weights of real Flax layers, nnx and linen, become ours: the models give the same numbers."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx, traverse_util

import netspec
from netspec.errors import NetspecError

SEED = 3
IMAGES = np.random.default_rng(1).normal(size=(2, 3, 8, 7)).astype(np.float32)

CNN = """
netspec: 1
inputs: {x: {shape: [batch, 3, 8, 7]}}
layers:
  - {name: conv1, type: conv2d, out_channels: 4, kernel_size: [3, 2], stride: [2, 1]}
  - {name: bn, type: batch_norm}
  - {name: depthwise, type: conv2d, out_channels: 8, kernel_size: 2, groups: 4, bias: false}
  - relu
  - {name: conv2, type: conv2d, out_channels: 6, kernel_size: 1, groups: 2}
  - flatten
  - {name: norm, type: layer_norm, eps: 1.0e-6}
  - {name: fc1, type: linear, out_features: 5}
  - {name: fc2, type: linear, out_features: 5, bias: false}
"""


class NnxNet(nnx.Module):
    """The same, channels last."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.conv1 = nnx.Conv(3, 4, (3, 2), strides=(2, 1), padding="VALID", rngs=rngs)
        self.bn = nnx.BatchNorm(4, use_running_average=True, rngs=rngs)
        self.depthwise = nnx.Conv(4, 8, (2, 2), padding="VALID", feature_group_count=4, use_bias=False, rngs=rngs)
        self.conv2 = nnx.Conv(8, 6, (1, 1), feature_group_count=2, rngs=rngs)
        self.drop = nnx.Dropout(0.5, deterministic=True, rngs=rngs)
        self.norm = nnx.LayerNorm(6 * 2 * 5, use_fast_variance=False, rngs=rngs)
        self.fc1 = nnx.Linear(6 * 2 * 5, 5, rngs=rngs)
        self.fc2 = nnx.Linear(5, 5, use_bias=False, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = nnx.relu(self.depthwise(self.bn(self.conv1(x))))
        x = self.drop(self.conv2(x))
        return self.fc2(self.fc1(self.norm(x.reshape(x.shape[0], -1))))


class LinenNet(linen.Module):
    """The same, with the names that linen gives."""

    @linen.compact
    def __call__(self, x: Any) -> Any:
        x = linen.Conv(4, (3, 2), strides=(2, 1), padding="VALID")(x)
        x = linen.BatchNorm(use_running_average=True)(x)
        x = linen.relu(linen.Conv(8, (2, 2), padding="VALID", feature_group_count=4, use_bias=False)(x))
        x = linen.Conv(6, (1, 1), feature_group_count=2)(x)
        x = linen.LayerNorm(use_fast_variance=False)(x.reshape(x.shape[0], -1))
        x = linen.Dense(5)(x)
        return linen.Dense(5, use_bias=False)(x)


def shaken(tree: Any) -> Any:
    """Every number replaced by one of its own, variances above 0: zeros and ones would hide an exchange."""
    rng = np.random.default_rng(SEED)

    def draw(leaf: Any) -> Any:
        numbers = rng.uniform(0.2, 1.2, leaf.shape) if leaf.ndim == 1 else rng.normal(0, 0.4, leaf.shape)
        return jnp.asarray(numbers, leaf.dtype)

    return jax.tree.map(draw, tree)


def nnx_net() -> tuple[Any, Any]:
    model = NnxNet(nnx.Rngs(0))
    nnx.update(model, shaken(nnx.state(model, nnx.Not(nnx.RngState))))
    return model, nnx.state(model)


def channels_last(images: Any) -> Any:
    return jnp.asarray(np.moveaxis(images, 1, -1))


def assert_close(ours: Any, theirs: Any) -> None:
    theirs = np.asarray(theirs)
    assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()


@pytest.mark.parametrize("form", [lambda state: state, nnx.to_pure_dict], ids=["state", "pure dict"])
def test_nnx(form: Callable[[Any], Any]) -> None:
    model, state = nnx_net()
    weights = netspec.weights_from_flax(netspec.loads(CNN), form(state))
    ours = netspec.build(netspec.loads(CNN), "numpy", weights=weights)
    assert_close(ours(IMAGES), model(channels_last(IMAGES)))


@pytest.mark.parametrize("sep", [None, "/", "."])
def test_linen(sep: str | None) -> None:
    """Nested, flat by tuples, and flat by texts; the layers are found by their order."""
    variables = shaken(LinenNet().init(jax.random.key(0), channels_last(IMAGES)))
    tree = variables if sep is None else traverse_util.flatten_dict(variables, sep=sep)
    for each in (tree, traverse_util.flatten_dict(variables)):
        weights = netspec.weights_from_flax(netspec.loads(CNN), each)
        ours = netspec.build(netspec.loads(CNN), "numpy", weights=weights)
        assert_close(ours(IMAGES), LinenNet().apply(variables, channels_last(IMAGES)))


class Norms(linen.Module):
    @linen.compact
    def __call__(self, x: Any) -> Any:
        x = linen.Conv(6, (2, 2), padding="VALID")(x)
        x = linen.PReLU()(linen.GroupNorm(3, use_fast_variance=False)(x))
        x = linen.InstanceNorm(use_fast_variance=False)(x)
        x = linen.LayerNorm(use_fast_variance=False)(x.reshape(x.shape[0], -1))
        return linen.Dense(5)(linen.RMSNorm()(x))


def test_norms_and_prelu() -> None:
    spec = netspec.loads("""
netspec: 1
inputs: {x: {shape: [batch, 3, 8, 7]}}
layers:
  - {name: conv, type: conv2d, out_channels: 6, kernel_size: 2}
  - {name: groups, type: group_norm, num_groups: 3, eps: 1.0e-6}
  - prelu
  - {name: InstanceNorm_0, type: instance_norm, affine: true, eps: 1.0e-6}
  - flatten
  - {name: norm, type: layer_norm, eps: 1.0e-6}
  - {name: rms, type: rms_norm}
  - {name: fc, type: linear, out_features: 5}
""")
    variables = shaken(Norms().init(jax.random.key(0), channels_last(IMAGES)))
    ours = netspec.build(spec, "numpy", weights=netspec.weights_from_flax(spec, variables, {"GroupNorm_0": "groups"}))
    assert_close(ours(IMAGES), Norms().apply(variables, channels_last(IMAGES)))


class Words(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.table = nnx.Embed(11, 6, rngs=rngs)
        self.blocks = nnx.List([nnx.Linear(6, 6, rngs=rngs) for _ in range(3)])
        self.last = nnx.LayerNorm(6, use_fast_variance=False, rngs=rngs)

    def __call__(self, tokens: Any) -> Any:
        x = self.table(tokens)
        for block in self.blocks:
            x = nnx.tanh(block(x))
        return self.last(x)


def test_embedding_layers_in_a_list_and_rename() -> None:
    spec = netspec.loads(
        """
netspec: 1
inputs: {tokens: {shape: [batch, time], dtype: int64}}
layers:
  - {name: embed, type: embedding, num_embeddings: 11, embedding_dim: 6}
  - {name: body.0.fc, type: linear, out_features: 6}
  - tanh
  - {name: body.1.fc, type: linear, out_features: 6}
  - tanh
  - {name: body.2.fc, type: linear, out_features: 6}
  - tanh
  - {name: norm, type: layer_norm, eps: 1.0e-6}
"""
    )
    model = Words(nnx.Rngs(0))
    nnx.update(model, shaken(nnx.state(model)))
    tokens = np.array([[3, 0, 10, 4], [5, 5, 1, 9]])
    for rename in ({}, {"table": "embed", "blocks.2": "body.2.fc"}):
        weights = netspec.weights_from_flax(spec, nnx.state(model), rename)
        assert_close(netspec.build(spec, "numpy", weights=weights)(tokens), model(jnp.asarray(tokens)))


# -------------------------------------------------------------------------------------------------------------- refused


def refusal(text: str, tree: Any, rename: dict[str, str] | None = None) -> str:
    with pytest.raises(NetspecError) as caught:
        netspec.weights_from_flax(netspec.loads(text), tree, rename)
    return str(caught.value)


TWO = """
netspec: 1
inputs: {x: {shape: [batch, 4]}}
layers:
  - {name: a, type: linear, out_features: 4}
  - {name: b, type: linear, out_features: 4}
"""
DENSE = {"kernel": np.ones((4, 4), np.float32), "bias": np.ones(4, np.float32)}


def test_an_order_that_names_do_not_tell_is_refused() -> None:
    """Sorted by name, as trees of JAX are, `head` comes before `stem`."""
    message = refusal(TWO, {"stem": DENSE, "head": DENSE})
    assert message == "linear: their names do not tell their order: stem, head; ours are a, b; use rename"
    message = refusal(TWO, {"fc": DENSE, "fc_0": DENSE})
    assert message == "linear: their names do not tell their order: fc, fc_0; ours are a, b; use rename"
    assert netspec.weights_from_flax(netspec.loads(TWO), {"stem": DENSE, "head": DENSE}, {"stem": "a"})


def test_what_is_left_on_either_side_is_listed() -> None:
    message = refusal(TWO, {"fc_0": DENSE})
    assert message == "linear: 2 of ours are left: a, b; 1 of theirs: fc_0"
    norm = {"scale": np.ones(4, np.float32), "bias": np.ones(4, np.float32)}
    message = refusal(TWO, {"fc_0": DENSE, "fc_1": DENSE, "ln": norm})
    assert message == "ln: no layer of the model has its weights"
    assert refusal(TWO, {"fc_0": DENSE, "fc_1": DENSE}, {"fc_0": "c"}) == (
        "rename: fc_0 becomes c, which is no layer with weights\nlinear: 2 of ours are left: a, b; 1 of theirs: fc_1"
    )


@pytest.mark.parametrize(
    ("a", "message"),
    [
        ({"kernel": DENSE["kernel"]}, "a (linear) has bias and kernel, but a has kernel"),
        (
            {**DENSE, "kernel": np.ones((3, 4), np.float32)},
            "a.weight: expected [4, 4], but a gives [4, 3] of [3, 4]",
        ),
        ({"scale": DENSE["bias"], "bias": DENSE["bias"]}, "a of Flax is no linear"),
        ({"kernel": np.ones((4, 2, 2), np.float32)}, "a of Flax is no linear"),
        (
            {"kernel": np.ones((4, 1, 1, 1, 2, 2), np.float32)},
            "a: no layer of ours has arrays like its kernel [4, 1, 1, 1, 2, 2]",
        ),
        ({"kernel": np.ones((4, 4), np.int32)}, "a.kernel: expected an array of floats, got int32"),
    ],
    ids=["missing", "misshapen", "other kind", "attention", "no kind", "integers"],
)
def test_what_does_not_fit_is_refused(a: Any, message: str) -> None:
    assert refusal(TWO, {"a": a, "b": DENSE}) == message


RESHAPED = """
netspec: 1
inputs: {x: {shape: [batch, 4]}}
layers:
  - {name: a, type: linear, out_features: 12}
  - {type: reshape, shape: [-1, 3, 2, 2]}
  - {name: conv, type: conv2d, out_channels: 2, kernel_size: 1}
"""

CUT = """
netspec: 1
inputs: {x: {shape: [batch, 4, 3, 2]}}
layers:
  - {name: cut, type: reshape, shape: [-1, 6, 4]}
  - {type: flatten}
  - {name: a, type: linear, out_features: 2}
"""


def test_an_order_of_features_that_cannot_be_followed_is_refused() -> None:
    kernel = np.ones((1, 1, 3, 2), np.float32)
    tree = {
        "a": {"kernel": np.ones((4, 12), np.float32), "bias": np.ones(12, np.float32)},
        "conv": {"kernel": kernel, "bias": np.ones(2, np.float32)},
    }
    assert refusal(RESHAPED, tree).startswith("conv: what it reads was made of features, so Keras and Flax")
    tree = {"a": {"kernel": np.ones((24, 2), np.float32), "bias": np.ones(2, np.float32)}}
    assert "a: Keras and Flax put channels last, so cut (reshape) gives them other features" in refusal(CUT, tree)


SHARED = """
netspec: 1
inputs: {x: {shape: [batch, 4, 3, 2]}, z: {shape: [batch, 24]}}
layers:
  - {name: flat, type: flatten, from: x}
  - {name: a, type: linear, out_features: 2}
  - {name: again, share: a, from: OTHER}
  - {type: add, from: [a, again]}
"""


def test_a_shared_layer_reads_one_order() -> None:
    kernel = np.arange(48, dtype=np.float32).reshape(24, 2)
    tree = {"a": {"kernel": kernel, "bias": np.ones(2, np.float32)}}
    weights = netspec.weights_from_flax(netspec.loads(SHARED.replace("OTHER", "flat")), tree)
    assert (weights["a.weight"][:, 1] == kernel[4]).all()  # our second feature is their pixel (0, 1), channel 0
    assert "a (shared) gives them other features" in refusal(SHARED.replace("OTHER", "z"), tree)
