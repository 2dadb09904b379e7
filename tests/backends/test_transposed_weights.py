"""Transposed convolutions of Keras and Flax, whose kernels lie in other orders and one of them the other way round."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from flax import linen, nnx

import netspec
from netspec.errors import NetspecError

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"  # Keras reads its variables so
)
IMAGES = np.random.default_rng(1).normal(size=(2, 3, 5, 4)).astype(np.float32)
NET = """
netspec: 1
inputs: {x: {shape: [batch, 3, 5, 4]}}
layers:
  - {name: stem, type: conv2d, out_channels: 4, kernel_size: 1}
  - {name: up, type: conv_transpose2d, out_channels: 2, kernel_size: [3, 4], stride: [2, 3]}
  - flatten
  - {name: fc, type: linear, out_features: 5}
"""


def assert_same(weights: Any, theirs: Any) -> None:
    ours = netspec.build(netspec.loads(NET), "numpy", weights=weights)(IMAGES)
    assert np.abs(ours - np.asarray(theirs)).max() <= 1e-5 * np.abs(ours).max()


def test_keras(tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            *(keras.Input((5, 4, 3)), layers.Conv2D(4, 1)),
            *(layers.Conv2DTranspose(2, (3, 4), strides=(2, 3)), layers.Flatten(), layers.Dense(5)),
        ]
    )
    rng = np.random.default_rng(3)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    path = tmp_path / "w.weights.h5"
    model.save_weights(path)
    assert_same(netspec.weights_from_keras(netspec.loads(NET), path), model(np.moveaxis(IMAGES, 1, -1)))


class LinenNet(linen.Module):
    transpose_kernel: bool

    @linen.compact
    def __call__(self, x: Any) -> Any:
        x = linen.Conv(4, (1, 1))(x)
        flag = self.transpose_kernel
        x = linen.ConvTranspose(2, (3, 4), strides=(2, 3), padding="VALID", transpose_kernel=flag)(x)
        return linen.Dense(5)(x.reshape(x.shape[0], -1))


@pytest.mark.parametrize("transpose_kernel", [False, True])
def test_flax(transpose_kernel: bool) -> None:
    model, x = LinenNet(transpose_kernel), jnp.asarray(np.moveaxis(IMAGES, 1, -1))
    rng = np.random.default_rng(3)
    variables = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), model.init(jax.random.key(0), x)
    )
    assert_same(netspec.weights_from_flax(netspec.loads(NET), variables), model.apply(variables, x))


def test_as_many_channels_in_as_out_do_not_tell() -> None:
    text = """
netspec: 1
inputs: {x: {shape: [batch, 3, 5, 4]}}
layers: [{name: up, type: conv_transpose2d, out_channels: 3, kernel_size: 2}]
"""
    state = nnx.to_pure_dict(nnx.state(nnx.ConvTranspose(3, 3, (2, 2), rngs=nnx.Rngs(0))))
    with pytest.raises(NetspecError, match="transpose_kernel") as caught:
        netspec.weights_from_flax(netspec.loads(text), {"up": state})
    assert str(caught.value) == (
        "up: with 3 channels in and out it does not tell whether transpose_kernel was set; convert this layer by hand"
    )
