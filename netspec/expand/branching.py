"""`branches`: one of several layers, blocks or groups runs, chosen by a value of the call."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from netspec.errors import LanguageError, NetspecError, ShapeError
from netspec.expand.names import BROKEN, Result
from netspec.expand.reading import Given
from netspec.expand.units import Application, Unit
from netspec.graph.graph import Origin, Value
from netspec.graph.ops import Cond


class Branch(NamedTuple):
    """One branch, prepared, and what it reads."""

    unit: Unit
    given: Given


def branches(at: Application, which: Value, prepared: Sequence[Branch]) -> Result:
    """What the branch that `which` chooses gives. Each reads the values around it, so that it needs no operands."""
    builder = prepared[0].unit.context.builder
    origin = Origin(at.path, at.entry.location)
    results: list[Result] = []

    def step(branch: Branch) -> list[Value]:
        results.append(branch.unit.call(branch.given))
        return list((results[-1].ports or {}).values())

    bodies = tuple(builder.body(partial(step, branch), (), "in a branch", origin) for branch in prepared)
    if any(result.ports is None for result in results):
        return BROKEN
    for branch, result in zip(prepared, results, strict=True):
        _check_alike(at.label, prepared[0], results[0], branch, result)
    assert results[0].ports is not None
    try:
        outputs = builder.emit_control(Cond(bodies), (which,), 1, origin)
    except NetspecError as error:
        raise type(error)(f"{at.label}: cond: {error.mistakes[0].message}", at.entry.keys["cond"]) from None
    plain = results[0].plain if len({result.plain for result in results}) == 1 else "only"
    return Result(dict(zip(results[0].ports, outputs, strict=True)), plain)


def _check_alike(label: str, first: Branch, one: Result, other: Branch, two: Result) -> None:
    """All branches give outputs of the same names and types; single ones may be called as they like."""
    assert one.ports is not None and two.ports is not None
    location = other.unit.at.entry.location
    names, others = list(one.ports), list(two.ports)
    if names != others and not len(names) == len(others) == 1:
        message = f"branch {other.unit.at.label} gives {', '.join(others)}, {first.unit.at.label} {', '.join(names)}"
        raise LanguageError(f"{label}: {message}: the same outputs are needed, in one order", location)
    for name, x, y in zip(names, one.ports.values(), two.ports.values(), strict=True):
        if x.type != y.type:
            message = f"branch {other.unit.at.label} gives {y.type} as {name}, {first.unit.at.label} {x.type}"
            raise ShapeError(f"{label}: {message}: one type is needed", location)
