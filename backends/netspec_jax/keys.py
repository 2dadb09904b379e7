"""Random keys: each random primitive of a pass has its own, and in a loop another one in each turn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import jax

from netspec.backend import Lowerings
from netspec.graph import ops

Values = tuple[Any, ...]
Body = Callable[..., Values]


def with_keys(lowerings: Lowerings, key: Any) -> Lowerings:
    """The table with a key for each random primitive, in the order of the graph."""
    keys = _Keys(key)

    def draw(form: Callable[..., Any], *inputs: Any, **attributes: Any) -> Any:
        return form(*inputs, key=keys.next(), **attributes)

    table = {op: partial(draw, form) if op.random else form for op, form in lowerings.items()}
    for op, numbered in ((ops.Scan, _scan), (ops.While, _while_loop), (ops.Cond, _cond)):
        table[op] = partial(numbered, keys, lowerings[op])
    table[ops.CustomGradient] = partial(_custom_gradient, keys, lowerings[ops.CustomGradient])
    return table


class _Keys:
    """The key of the part of the graph that JAX traces now, and how many were made of it.

    JAX may trace a body more than once: every time its keys are numbered from 0, so that it draws the same.
    """

    def __init__(self, key: Any) -> None:
        self._key, self._numbers = key, count()

    def next(self) -> Any:
        return jax.random.fold_in(self._key, next(self._numbers))

    def run(self, body: Body, key: Any, *values: Any) -> Values:
        """What `body` gives, with keys that are made of `key`."""
        outer = self._key, self._numbers
        self._key, self._numbers = key, count()
        try:
            return body(*values)
        finally:
            self._key, self._numbers = outer


def _scan(
    keys: _Keys, form: Callable[..., Values], *inputs: Any, body: Body, slice_axes: Any, carried: int, **rest: Any
) -> Values:
    """A scan that carries a key besides, the first of what is carried."""
    first = len(slice_axes)
    step = _stepped(keys, body, first)
    given = (*inputs[:first], keys.next(), *inputs[first:])
    return form(*given, body=step, slice_axes=slice_axes, carried=carried + 1, **rest)[1:]


def _while_loop(
    keys: _Keys, form: Callable[..., Values], *inputs: Any, body: Body, carried: int, condition: int, limit: int
) -> Values:
    step = _stepped(keys, body, 0)
    return form(keys.next(), *inputs, body=step, carried=carried + 1, condition=condition + 1, limit=limit)[1:]


def _stepped(keys: _Keys, body: Body, place: int) -> Body:
    """`body` with a key among its inputs, at `place`, and the key of the next turn in front of its outputs."""

    def step(*values: Any) -> Values:
        following, own = jax.random.split(values[place])
        return (following, *keys.run(body, own, *values[:place], *values[place + 1 :]))

    return step


def _cond(keys: _Keys, form: Callable[..., Values], which: Any, *operands: Any, branches: tuple[Body, ...]) -> Values:
    return form(which, keys.next(), *operands, branches=tuple(partial(keys.run, branch) for branch in branches))


def _custom_gradient(keys: _Keys, form: Callable[..., Values], *operands: Any, body: Body, backward: Body) -> Values:
    parts = {name: partial(keys.run, part, keys.next()) for name, part in (("body", body), ("backward", backward))}
    return form(*operands, **parts)
