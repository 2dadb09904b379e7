"""What `scan`, `while` and `gradient` share: a mapping of options, and a unit's call as a body of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netspec.errors import LanguageError, ShapeError, printable
from netspec.expand.names import BROKEN, Result
from netspec.expand.reading import Bound, Given
from netspec.expand.units import LayerUnit, Unit
from netspec.graph.builder import Builder
from netspec.graph.graph import Body, Origin, Value
from netspec.graph.types import TensorType
from netspec.language.document import Node
from netspec.language.scope import Scope, resolved


def own_inputs(unit: Unit, given: Given, what: str, node: Node) -> Bound:
    """What a unit reads that runs in `what`. Raises LanguageError for a layer and for a group without inputs."""
    at = unit.at
    if isinstance(unit, LayerUnit):
        message = f"{at.label}: {what}: a layer does not run in a {what}: put it in a group with inputs"
        raise LanguageError(message, node.location)
    if not isinstance(given, Bound):
        message = f"{at.label}: {what}: a group that runs in a {what} writes its inputs"
        raise LanguageError(message, at.entry.location)
    return given


def written_keys(node: Node, scope: Scope, label: str, example: dict[str, str]) -> dict[str, Node]:
    """The mapping that `label` is written as: the keys of `example`, all of them. Raises LanguageError."""
    written = resolved(node, scope)
    if not isinstance(written.value, dict):
        shape = ", ".join(f"{key}: {value}" for key, value in example.items())
        raise LanguageError(f"{label}: expected a mapping such as {{{shape}}}", node.location)
    for key in written.value:
        if key not in example:
            message = f"{label}: unknown key {printable(key[:64])}; known are {', '.join(example)}"
            raise LanguageError(message, written.keys[key])
    for key in example:
        if key not in written.value:
            raise LanguageError(f"{label}: {key} is required", node.location)
    return written.value


def body_of(
    call: Callable[[Bound], Result],
    given: Bound,
    types: Sequence[TensorType],
    where: str,
    builder: Builder,
    origin: Origin,
) -> tuple[Body, Result]:
    """What `call` emits for inputs of `types`, as a body; and what it gives, by name, of values of that body."""
    result = BROKEN

    def step(*values: Value) -> list[Value]:
        nonlocal result
        result = call(Bound(dict(zip(given.values, values, strict=True)), given.texts))
        return list((result.ports or {}).values())

    return builder.body(step, types, where, origin), result


def check_carried(name: str, before: Value, after: Value, label: str, node: Node) -> None:
    """What is carried keeps its type from run to run. Raises ShapeError."""
    if before.type != after.type:
        message = f"{label}: {name} is carried: it goes in as {before.type} and comes out as {after.type}"
        raise ShapeError(message, node.location)
