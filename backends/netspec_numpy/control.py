"""Control flow in NumPy: loops and branches of Python, and the way back through what they ran.

A body is a function of arrays that remembers its runs: `pull_back` takes the cotangents of its outputs back along the
last run that is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np

from netspec_numpy.interpreter import RunnableBody
from netspec_numpy.windows import Array

Arrays = Sequence[Array]


def scan(
    *inputs: Array,
    body: RunnableBody,
    slice_axes: Sequence[int],
    stack_axes: Sequence[int],
    carried: int,
    reverse: bool,
) -> tuple[Array, ...]:
    sliced, state, same = _split(inputs, len(slice_axes), carried)
    given: list[tuple[Array, ...]] = []
    for step in _steps(sliced[0].shape[slice_axes[0]], reverse):
        slices = [np.asarray(x.take(step, axis)) for x, axis in zip(sliced, slice_axes, strict=True)]
        results = body(*slices, *state, *same)
        state = results[:carried]
        given.append(results[carried:])
    if reverse:
        given.reverse()
    return (*state, *(np.stack(each, axis) for each, axis in zip(zip(*given, strict=True), stack_axes, strict=True)))


def scan_vjp(
    dys: Arrays,
    xs: Arrays,
    ys: Arrays,
    body: RunnableBody,
    slice_axes: Sequence[int],
    stack_axes: Sequence[int],
    carried: int,
    reverse: bool,
) -> tuple[Array, ...]:
    sliced, _, same = _split(xs, len(slice_axes), carried)
    flows = [np.zeros_like(x) for x in sliced]
    state, around = dys[:carried], [np.zeros_like(x) for x in same]
    for step in _steps(sliced[0].shape[slice_axes[0]], not reverse):
        stacked = [dy.take(step, axis) for dy, axis in zip(dys[carried:], stack_axes, strict=True)]
        slices, state, rest = _split(body.pull_back([*state, *stacked]), len(slice_axes), carried)
        for flow, piece, axis in zip(flows, slices, slice_axes, strict=True):
            flow[(slice(None),) * axis + (step,)] = piece
        around = [x + y for x, y in zip(around, rest, strict=True)]
    return (*flows, *state, *around)


def while_loop(*inputs: Array, body: RunnableBody, carried: int, condition: int, limit: int) -> tuple[Array, ...]:
    _, state, same = _split(inputs, 0, carried)
    for turn in count():
        if turn == limit or not state[condition]:
            break
        state = body(*state, *same)
    return tuple(state)


def while_vjp(
    dys: Arrays, xs: Arrays, ys: Arrays, body: RunnableBody, carried: int, condition: int, limit: int
) -> tuple[Array, ...]:
    state, around = dys, [np.zeros_like(x) for x in xs[carried:]]
    while body.runs:
        _, state, rest = _split(body.pull_back(state), 0, carried)
        around = [x + y for x, y in zip(around, rest, strict=True)]
    return (*state, *around)


def cond(which: Array, *operands: Array, branches: Sequence[RunnableBody]) -> tuple[Array, ...]:
    return branches[int(which)](*operands)


def cond_vjp(dys: Arrays, xs: Arrays, ys: Arrays, branches: Sequence[RunnableBody]) -> tuple[Array | None, ...]:
    return (None, *branches[int(xs[0])].pull_back(dys))


def custom_gradient(*operands: Array, body: RunnableBody, backward: RunnableBody) -> tuple[Array, ...]:
    return body(*operands)


def custom_gradient_vjp(
    dys: Arrays, xs: Arrays, ys: Arrays, body: RunnableBody, backward: RunnableBody
) -> tuple[Array | None, ...]:
    given = [dy for dy, y in zip(dys, ys, strict=True) if y.dtype.kind == "f"]
    found: Any = iter(backward(*xs, *ys, *given))
    return tuple(next(found) if x.dtype.kind == "f" else None for x in xs)


def _split(values: Arrays, sliced: int, carried: int) -> tuple[Arrays, Arrays, Arrays]:
    """What is sliced, what is carried, what is the same in every step."""
    return values[:sliced], values[sliced : sliced + carried], values[sliced + carried :]


def _steps(length: int, reverse: bool) -> range:
    return range(length - 1, -1, -1) if reverse else range(length)
