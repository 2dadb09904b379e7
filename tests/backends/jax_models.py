"""The models that the tests of the JAX backend run, and how near two results must be."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np

import netspec
from netspec_jax.model import JaxModel

# Frozen stem, statistics, random numbers, a stride that leaves the pairs of `same` to the call, two kinds of pooling.
IMAGES = """
netspec: 1
name: images
inputs: {image: {shape: [batch, 3, height, 7]}}
layers:
  - {name: stem, type: conv2d, out_channels: 4, kernel_size: [3, 2], padding: [[1, 0], [2, 1]], frozen: true}
  - {name: norm, type: batch_norm}
  - {name: act, type: leaky_relu}
  - {name: down, type: conv2d, out_channels: 6, kernel_size: 3, stride: 2, padding: same, groups: 2}
  - {name: pool, type: max_pool2d, kernel_size: 2, stride: 1}
  - {name: drop, type: dropout, p: 0.25}
  - {name: mean, type: global_avg_pool}
  - {name: fc, type: linear, out_features: 5}
outputs: {logits: fc}
"""
SMOOTH = """
netspec: 1
inputs: {x: {shape: [batch, 4]}}
layers:
  - {name: a, type: linear, out_features: 3}
  - tanh
  - {name: norm, type: layer_norm}
  - {name: b, type: linear, out_features: 2}
  - {name: p, type: softmax}
outputs: {y: b, p: p}
"""
WORDS = """
netspec: 1
inputs:
  words: {shape: [batch, time], dtype: int64}
  scale: {shape: [batch, time, 4]}
layers:
  - {name: rows, type: embedding, num_embeddings: 6, embedding_dim: 4, padding_idx: 1, from: words}
  - {name: y, type: mul, from: [rows, scale]}
outputs: {y: y}
"""


def build(text: str, **options: Any) -> JaxModel:
    model = netspec.build(netspec.loads(text), "jax", **options)
    assert isinstance(model, JaxModel)
    return model


NOISY = """
netspec: 1
inputs: {x: {shape: [batch, 6]}}
layers:
  - {name: norm, type: batch_norm}
  - {name: drop, type: dropout, p: 0.25}
  - {name: fc, type: linear, out_features: 5}
outputs: {logits: fc}
"""


@cache
def images() -> JaxModel:
    return build(IMAGES)


@cache
def smooth() -> JaxModel:
    return build(SMOOTH)


def draw(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def close(got: Any, expected: Any, tolerance: float = 2e-6) -> None:
    got, expected = np.asarray(got, "float64"), np.asarray(expected, "float64")
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= tolerance * max(np.abs(expected).max(), 1e-3)


def loss(native: Any, inputs: Any, r: Any, params: Any, **options: Any) -> Any:
    y = native.apply(params, native.buffers, inputs, **options)
    y = y[0] if options.get("training") else y
    return jnp.sum(r * (y["y"] if isinstance(y, dict) else y))
