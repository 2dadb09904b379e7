"""Sines and cosines of positions, in TensorFlow."""

from __future__ import annotations

import tensorflow as tf


def sin_cos(positions: tf.Tensor, x: tf.Tensor, *, count: int, base: float) -> tuple[tf.Tensor, tf.Tensor]:
    dtype = tf.float64 if x.dtype == tf.float64 else tf.float32
    frequencies = tf.constant([base ** (-k / count) for k in range(count)], dtype)
    angles = tf.cast(positions, dtype)[..., None] * frequencies
    return tf.cast(tf.sin(angles), x.dtype), tf.cast(tf.cos(angles), x.dtype)
