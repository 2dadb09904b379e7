"""Control flow on JAX: scan, while, cond, and gradients that a spec gives itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from netspec.graph import ops

Values = tuple[Any, ...]
Body = Callable[..., Values]


def scan(
    *inputs: Any, body: Body, slice_axes: tuple[int, ...], stack_axes: tuple[int, ...], carried: int, reverse: bool
) -> Values:
    """lax.scan, which walks along the first axis.

    The products with what is sliced stay inside: out of the loop they took 1.6 times as long in an LSTM.
    """
    sliced, firsts, same = _split(inputs, len(slice_axes), carried)

    def step(carry: Values, slices: Values) -> tuple[Values, Values]:
        results = _arrays(body(*slices, *carry, *same))
        return _alike(results[:carried], carry), results[carried:]

    walked = tuple(jnp.moveaxis(x, axis, 0) for x, axis in zip(sliced, slice_axes, strict=True))
    lasts, stacked = lax.scan(step, _arrays(firsts), walked, reverse=reverse)
    return (*lasts, *(jnp.moveaxis(x, 0, axis) for x, axis in zip(stacked, stack_axes, strict=True)))


def while_loop(*inputs: Any, body: Body, carried: int, condition: int, limit: int) -> Values:
    """lax.while_loop; where derivatives are asked for, a scan of `limit` steps, of which those after the end are empty.

    JAX has no reverse mode through a loop of unknown length. Memory for the derivatives is that of `limit` steps.
    """
    firsts, _, same = _split(_arrays(inputs), carried, 0)

    def step(carry: Values, same: Values) -> Values:
        return _alike(_arrays(body(*carry, *same)), carry)

    def loop(firsts: Values, same: Values) -> Values:
        def goes_on(state: tuple[Any, Values]) -> Any:
            return (state[0] < limit) & state[1][condition]

        return lax.while_loop(goes_on, lambda state: (state[0] + 1, step(state[1], same)), (0, firsts))[1]

    def bounded(firsts: Values, same: Values) -> Values:
        def turn(carry: Values, _: None) -> tuple[Values, None]:
            return lax.cond(carry[condition], lambda carry: step(carry, same), lambda carry: carry, carry), None

        return lax.scan(turn, firsts, length=limit)[0]

    either = jax.custom_jvp(loop)
    either.defjvp(lambda primals, tangents: jax.jvp(bounded, primals, tangents))
    return either(firsts, same)


def cond(which: Any, *operands: Any, branches: tuple[Body, ...]) -> Values:
    """lax.cond or lax.switch; under vmap over `which` all branches run. A number out of range means the nearest."""
    forms = [lambda *operands, branch=branch: _arrays(branch(*operands)) for branch in branches]
    return lax.switch(jnp.asarray(which, jnp.int32), forms, *_arrays(operands))


def custom_gradient(*operands: Any, body: Body, backward: Body) -> Values:
    """jax.custom_vjp. JAX knows no forward mode of it: jvp, and with that hessian, of a model that holds one is a
    TypeError of JAX's own; grad, grad of grad and vmap work."""
    floats = [position for position, x in enumerate(_arrays(operands)) if jnp.issubdtype(x.dtype, jnp.floating)]

    def forward(*operands: Any) -> tuple[Values, tuple[Values, Values]]:
        outputs = _arrays(body(*operands))
        return outputs, (operands, outputs)

    def back(residuals: tuple[Values, Values], cotangents: Values) -> Values:
        operands, outputs = residuals
        along = [g for g, y in zip(cotangents, outputs, strict=True) if jnp.issubdtype(y.dtype, jnp.floating)]
        found = _arrays(backward(*operands, *outputs, *along))
        gradients: list[Any] = [None] * len(operands)
        for position, gradient in zip(floats, found, strict=True):
            gradients[position] = gradient.astype(operands[position].dtype)
        return tuple(gradients)

    function = jax.custom_vjp(lambda *operands: _arrays(body(*operands)))
    function.defvjp(forward, back)
    return function(*_arrays(operands))


def _split(inputs: Values, first: int, second: int) -> tuple[Values, Values, Values]:
    return inputs[:first], inputs[first : first + second], inputs[first + second :]


def _arrays(values: Values) -> Values:
    """A constant lowers to a Python number, which control flow cannot carry."""
    return tuple(jnp.asarray(value) for value in values)


def _alike(values: Values, before: Values) -> Values:
    """In the types of the step before: a constant comes in the widest."""
    return tuple(value.astype(old.dtype) for value, old in zip(values, before, strict=True))


CONTROL: dict[type[ops.Op], Callable[..., Any]] = {
    ops.Scan: scan,
    ops.While: while_loop,
    ops.Cond: cond,
    ops.CustomGradient: custom_gradient,
}
