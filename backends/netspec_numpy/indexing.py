"""Picking elements by index, and the sums over letters: forwards, and what flows back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netspec_numpy.windows import Array


def select(x: Array, axis: int, index: int) -> Array:
    return np.asarray(np.take(x, index, axis))


def select_vjp(dy: Array, x: Array, axis: int, index: int) -> Array:
    dx = np.zeros_like(x)
    np.moveaxis(dx, axis, 0)[index] = dy
    return dx


def top_k(x: Array, k: int, axis: int) -> tuple[Array, Array]:
    """Both of a stable sort, in which equals keep their order."""
    indices = np.take(np.argsort(-x, axis, kind="stable"), range(k), axis)
    return np.take_along_axis(x, indices, axis), indices


def top_k_vjp(dy: Array, x: Array, indices: Array, axis: int) -> Array:
    dx = np.zeros_like(x)
    np.put_along_axis(dx, indices, dy, axis)
    return dx


def sequence_mask(x: Array, size: int) -> Array:
    return np.asarray(np.arange(size) < x[..., None])


def one_hot(x: Array, size: int) -> Array:
    return np.asarray(x[..., None] == np.arange(size))


def einsum(*xs: Array, equation: str) -> Array:
    return np.asarray(np.einsum(equation, *xs, optimize=True))


def einsum_vjp(dy: Array, xs: Sequence[Array], equation: str) -> tuple[Array, ...]:
    """Of each operand: the product of the cotangent and the other operands, summed over what the operand has not."""
    operands, output = equation.split("->")
    terms = operands.split(",")
    flows = []
    for position, (letters, x) in enumerate(zip(terms, xs, strict=True)):
        others = [output, *terms[:position], *terms[position + 1 :]]
        unique = "".join(dict.fromkeys(letters))
        known = "".join(letter for letter in unique if letter in "".join(others))
        flow = einsum(dy, *xs[:position], *xs[position + 1 :], equation=f"{','.join(others)}->{known}")
        flow = np.expand_dims(flow, [axis for axis, letter in enumerate(unique) if letter not in known])
        if unique == letters:
            flows.append(np.broadcast_to(flow, x.shape))
            continue
        dx = np.zeros_like(x)
        np.einsum(f"{letters}->{unique}", dx)[...] = flow  # which is a view of dx
        flows.append(dx)
    return tuple(flows)
