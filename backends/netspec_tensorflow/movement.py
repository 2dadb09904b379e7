"""Cutting, turning round, surrounding and picking along an axis, in TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from netspec.graph import ops


def _slice(x: tf.Tensor, axis: int, begin: Any, end: Any, step: int) -> tf.Tensor:
    """tf.slice where it can be: with strided_slice an LSTM took 1.2 times as long in training, for its gradient."""
    if step != 1:
        return x[(*[slice(None)] * axis, slice(begin, end, step))]
    rank = len(x.shape)
    begins, sizes = [0] * rank, [-1] * rank
    begins[axis], sizes[axis] = begin, end - begin
    return tf.slice(x, begins, sizes)


def _pad(x: tf.Tensor, padding: Sequence[tuple[int, int]], value: float) -> tf.Tensor:
    return tf.pad(x, padding, constant_values=tf.constant(value, x.dtype))


def _gather_along(x: tf.Tensor, indices: tf.Tensor, axis: int) -> tf.Tensor:
    """tf.gather, all axes before `axis` a batch, where an index holds for all that is behind it; else `axis` is put
    last, and all others are the batch."""
    rank = len(x.shape)
    before, behind = [*range(axis)], [*range(axis + 1, rank)]
    slices = all(indices.shape[each] == 1 for each in behind)
    batch = before if slices else before + behind
    if any(indices.shape[each] == 1 != x.shape[each] for each in batch):
        sizes, counts = tf.shape(x), tf.shape(indices)
        indices = tf.broadcast_to(indices, [(sizes if each in batch else counts)[each] for each in range(rank)])
    if slices:
        return tf.gather(x, tf.squeeze(indices, behind) if behind else indices, axis=axis, batch_dims=axis)
    there, back = [*before, *behind, axis], [*before, rank - 1, *range(axis, rank - 1)]
    picked = tf.gather(tf.transpose(x, there), tf.transpose(indices, there), axis=rank - 1, batch_dims=rank - 1)
    return tf.transpose(picked, back)


MOVEMENT: dict[type[ops.Op], Callable[..., Any]] = {
    ops.Slice: _slice,
    ops.Flip: lambda x, axes: tf.reverse(x, axis=axes),
    ops.Pad: _pad,
    ops.Gather: lambda table, indices, axis: tf.gather(table, indices, axis=axis),
    ops.GatherAlong: _gather_along,
}
