"""Convolutions of Keras and Flax over lines and volumes: kernels of any rank become ours."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from flax import linen

import netspec

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"  # Keras reads its variables so
)
L = keras.layers
RNG = np.random.default_rng(1)
LINES = RNG.normal(size=(2, 3, 9)).astype(np.float32)
VOLUMES = RNG.normal(size=(2, 3, 4, 5, 3)).astype(np.float32)
LINE_NET = """
netspec: 1
inputs: {x: {shape: [batch, 3, 9]}}
layers:
  - {name: stem, type: conv1d, out_channels: 4, kernel_size: 2, stride: 2}
  - {name: depthwise, type: conv1d, out_channels: 8, kernel_size: 3, groups: 4}
  - {name: up, type: conv_transpose1d, out_channels: 2, kernel_size: 4, stride: 3}
  - {type: max_pool1d, kernel_size: 2}
  - flatten
  - {name: head, type: linear, out_features: 5}
"""
VOLUME_NET = """
netspec: 1
inputs: {x: {shape: [batch, 3, 4, 5, 3]}}
layers:
  - {name: stem, type: conv3d, out_channels: 4, kernel_size: [3, 2, 1], stride: [1, 2, 1]}
  - {name: up, type: conv_transpose3d, out_channels: 2, kernel_size: [1, 2, 3], stride: [2, 1, 1]}
  - {type: avg_pool3d, kernel_size: [1, 2, 1]}
  - flatten
  - {name: head, type: linear, out_features: 5}
"""


def assert_same(net: str, x: Any, weights: Any, theirs: Any) -> None:
    ours = netspec.build(netspec.loads(net), "numpy", weights=weights)(x)
    assert np.abs(ours - np.asarray(theirs)).max() <= 1e-5 * np.abs(ours).max()


def keras_net(net: str) -> Any:
    if net is LINE_NET:
        convolutions = [L.Conv1D(4, 2, strides=2), L.DepthwiseConv1D(3, depth_multiplier=2)]
        rest = [L.Conv1DTranspose(2, 4, strides=3), L.MaxPooling1D(2)]
        return keras.Sequential([keras.Input((9, 3)), *convolutions, *rest, L.Flatten(), L.Dense(5)])
    layers = [L.Conv3D(4, (3, 2, 1), strides=(1, 2, 1)), L.Conv3DTranspose(2, (1, 2, 3), strides=(2, 1, 1))]
    pool = L.AveragePooling3D((1, 2, 1))
    # Keras gives a transposed convolution max(k, s) numbers at the end where k is below the stride: cut to ours.
    return keras.Sequential(
        [keras.Input((4, 5, 3, 3)), *layers, L.Cropping3D(((0, 1), (0, 0), (0, 0))), pool, L.Flatten(), L.Dense(5)]
    )


@pytest.mark.parametrize(("net", "x"), [(LINE_NET, LINES), (VOLUME_NET, VOLUMES)], ids=["lines", "volumes"])
def test_keras(net: str, x: Any, tmp_path: Path) -> None:
    model, rng = keras_net(net), np.random.default_rng(3)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    path = tmp_path / "w.weights.h5"
    model.save_weights(path)
    assert_same(net, x, netspec.weights_from_keras(netspec.loads(net), path), model(np.moveaxis(x, 1, -1)))


class LineNet(linen.Module):
    @linen.compact
    def __call__(self, x: Any) -> Any:
        x = linen.Conv(4, (2,), strides=2, padding="VALID")(x)
        x = linen.Conv(8, (3,), padding="VALID", feature_group_count=4)(x)
        x = linen.ConvTranspose(2, (4,), strides=(3,), padding="VALID")(x)
        x = linen.max_pool(x, (2,), (2,))
        return linen.Dense(5)(x.reshape(x.shape[0], -1))


class VolumeNet(linen.Module):
    @linen.compact
    def __call__(self, x: Any) -> Any:
        x = linen.Conv(4, (3, 2, 1), strides=(1, 2, 1), padding="VALID")(x)
        x = linen.ConvTranspose(2, (1, 2, 3), strides=(2, 1, 1), padding="VALID")(x)[:, :-1]
        x = linen.avg_pool(x, (1, 2, 1), (1, 2, 1))
        return linen.Dense(5)(x.reshape(x.shape[0], -1))


@pytest.mark.parametrize(
    ("net", "model", "x"), [(LINE_NET, LineNet(), LINES), (VOLUME_NET, VolumeNet(), VOLUMES)], ids=["lines", "volumes"]
)
def test_flax(net: str, model: Any, x: Any) -> None:
    last, rng = jnp.asarray(np.moveaxis(x, 1, -1)), np.random.default_rng(3)
    start = model.init(jax.random.key(0), last)
    variables = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), start)
    assert_same(net, x, netspec.weights_from_flax(netspec.loads(net), variables), model.apply(variables, last))
