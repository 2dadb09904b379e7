"""Control flow on TensorFlow: scan, while, cond, and gradients that a spec gives itself.

XLA compiles all of it where the user asks, but not the gradients of branches, nor of loops over symbolic sizes: of
TensorFlow's optionals it knows nothing, and in a loop it wants all sizes known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import tensorflow as tf

from netspec.backend import BodyFunction
from netspec.graph import ops
from netspec.graph.graph import all_primitives

Values = tuple[Any, ...]
Body = Callable[..., Sequence[Any]]

# More steps than 64 traced for seconds and ran no faster; nor do steps of many primitives.
MAX_UNROLLED = 64
MAX_PRIMITIVES = 1000
# How many copies of what is traced now stand in the graph: of loops within loops, not all can be unrolled.
_copies: ContextVar[int] = ContextVar("copies", default=1)


def scan(
    *inputs: Any,
    body: BodyFunction,
    slice_axes: tuple[int, ...],
    stack_axes: tuple[int, ...],
    carried: int,
    reverse: bool,
    type_of: Callable[[str], tf.DType],
) -> Values:
    """Step after step in one straight line where there are few, else tf.while_loop over TensorArrays.

    `type_of` gives TensorFlow's type for a dtype of the graph. Slices by `x[t]` instead took 2.3 times as long in
    training.
    """
    count = len(slice_axes)
    sliced, firsts, same = _split(inputs, count, count + carried)
    sizes = [x.shape[axis] for x, axis in zip(sliced, slice_axes, strict=True)]
    steps = next((size for size in sizes if size is not None), None)

    def step(slices: Sequence[Any], carry: Sequence[Any]) -> tuple[Values, Values]:
        results = _tensors(body(*slices, *carry, *same))
        return _of_shapes(results[:carried], carry), results[carried:]

    if steps is not None and _is_small(body, steps * _copies.get()):
        slices = [tf.unstack(x, axis=axis) for x, axis in zip(sliced, slice_axes, strict=True)]
        lasts, rows = _unrolled(step, steps, slices, firsts, reverse)
        return (*lasts, *(tf.stack(row, axis) for row, axis in zip(rows, stack_axes, strict=True)))
    walked = [_move(x, axis, 0) for x, axis in zip(sliced, slice_axes, strict=True)]
    types = [type_of(result.dtype) for result in body.body.output_types[carried:]]
    lasts, stacks = _looped(step, walked, firsts, types, reverse)
    for stack in stacks:
        stack.set_shape([steps, *stack.shape[1:]])
    return (*lasts, *(_move(stack, 0, axis) for stack, axis in zip(stacks, stack_axes, strict=True)))


def _is_small(body: BodyFunction, copies: int) -> bool:
    count = sum(1 for _ in all_primitives(body.body.nodes))
    return copies <= MAX_UNROLLED and copies * count <= MAX_PRIMITIVES


def _unrolled(
    step: Callable[..., tuple[Values, Values]],
    steps: int,
    slices: Sequence[Sequence[Any]],
    carry: Values,
    reverse: bool,
) -> tuple[Values, list[tuple[Any, ...]]]:
    token = _copies.set(_copies.get() * steps)
    try:
        given = []
        for t in reversed(range(steps)) if reverse else range(steps):
            carry, results = step([x[t] for x in slices], carry)
            given.append(results)
    finally:
        _copies.reset(token)
    return carry, list(zip(*(reversed(given) if reverse else given), strict=True))


def _looped(
    step: Callable[..., tuple[Values, Values]],
    walked: Sequence[Any],
    carry: Values,
    types: Sequence[tf.DType],
    reverse: bool,
) -> tuple[Values, list[Any]]:
    size = tf.shape(walked[0])[0]
    slices = [tf.TensorArray(x.dtype, size, element_shape=x.shape[1:]).unstack(x) for x in walked]
    shapes: list[tf.TensorShape] = []

    def turn(t: Any, carry: Values, rows: Sequence[Any]) -> tuple[Any, Values, list[Any]]:
        place = size - 1 - t if reverse else t
        carry, results = step([x.read(place) for x in slices], carry)
        shapes[:] = [result.shape for result in results]
        return t + 1, carry, [row.write(place, result) for row, result in zip(rows, results, strict=True)]

    rows = [tf.TensorArray(type, size) for type in types]
    _, carry, rows = tf.while_loop(lambda t, *_: t < size, turn, (tf.constant(0), carry, rows), maximum_iterations=size)
    stacked = [row.stack() for row in rows]
    for x, shape in zip(stacked, shapes, strict=True):
        x.set_shape([None, *shape])
    return carry, stacked


def while_loop(*inputs: Any, body: Body, carried: int, condition: int, limit: int) -> Values:
    """tf.while_loop."""
    firsts, _, same = _split(inputs, carried, carried)
    return tuple(
        tf.while_loop(
            lambda *carry: carry[condition],
            lambda *carry: _of_shapes(_tensors(body(*carry, *same)), carry),
            firsts,
            maximum_iterations=limit,
        )
    )


def cond(which: Any, *operands: Any, branches: tuple[Body, ...]) -> Values:
    """tf.cond or tf.switch_case."""
    given = _tensors(operands)
    which = tf.convert_to_tensor(which)
    forms = [lambda branch=branch: _tensors(branch(*given)) for branch in branches]
    if which.dtype == tf.bool:
        return tuple(tf.cond(which, forms[1], forms[0]))
    return tuple(tf.switch_case(tf.cast(which, tf.int32), forms))


def custom_gradient(*operands: Any, body: Body, backward: Body) -> Values:
    """tf.custom_gradient. The gradient of `backward` itself is its true one."""

    @tf.custom_gradient
    def forward(*operands: Any) -> tuple[Values, Callable[..., list[Any]]]:
        outputs = _tensors(body(*operands))

        def back(*cotangents: Any) -> list[Any]:
            along = [g for g, y in zip(cotangents, outputs, strict=True) if y.dtype.is_floating]
            gradients = iter(_tensors(backward(*operands, *outputs, *along)))
            return [next(gradients) if x.dtype.is_floating else None for x in operands]

        return outputs, back

    return tuple(forward(*_tensors(operands)))


def _split(inputs: Sequence[Any], first: int, second: int) -> tuple[Values, Values, Values]:
    """The three parts of the inputs, variables read once, in front of a loop."""
    given = _tensors(inputs)
    return given[:first], given[first:second], given[second:]


def _tensors(values: Sequence[Any]) -> Values:
    return tuple(tf.convert_to_tensor(value) for value in values)


def _of_shapes(values: Sequence[Any], before: Sequence[Any]) -> Values:
    """What is carried keeps its type: the step may know less of its sizes than what went in tells."""
    for value, old in zip(values, before, strict=True):
        value.set_shape(old.shape)
    return tuple(values)


def _move(x: tf.Tensor, source: int, target: int) -> tf.Tensor:
    if source == target:
        return x
    axes = [axis for axis in range(len(x.shape)) if axis != source]
    axes.insert(target, source)
    return tf.transpose(x, axes)


CONTROL: dict[type[ops.Op], Callable[..., Any]] = {
    ops.Scan: scan,
    ops.While: while_loop,
    ops.Cond: cond,
    ops.CustomGradient: custom_gradient,
}
