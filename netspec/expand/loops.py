"""`repeat` and `parallel`: the copies of an entry, what each reads, and what the loop gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from netspec.errors import LanguageError, Location, printable
from netspec.expand.context import MAX_LAYERS, TooLargeError
from netspec.expand.names import BROKEN, Result
from netspec.expand.reading import FAILED, Bound, Given, Outcome, Reads
from netspec.expressions.parser import contains
from netspec.expressions.values import Value as Plain
from netspec.graph.graph import Value
from netspec.language.names import check_identifier
from netspec.language.scope import Scope, resolved, value_of
from netspec.language.spec import EntrySpec, Loop
from netspec.layers.validation import shown

if TYPE_CHECKING:
    from netspec.expand.body import Body, Frame

INDEX = "i"


class Copy(NamedTuple):
    """One turn of a loop: its number, and the scope with its variables."""

    number: int
    scope: Scope


def copies(loop: Loop, around: Scope, label: str) -> list[Copy]:
    """The turns of a loop. Raises LanguageError, or TooLargeError before anything of that size is made."""
    node = resolved(loop.node, around)
    variables: dict[str, tuple[Location, list[Plain]]] = {}
    if isinstance(node.value, dict):
        for name, child in node.value.items():
            check_identifier(name, f"{label}: a variable of {loop.kind}", node.keys[name])
            values = value_of(child, around)
            if not isinstance(values, list):
                message = f"{label}: {loop.kind} over {name}: expected a list, got {shown(values)}"
                raise LanguageError(message, child.location)
            variables[name] = (node.keys[name], values)
        lengths = {name: len(values) for name, (_, values) in variables.items()}
        if len(set(lengths.values())) != 1:
            told = ", ".join(f"{name} has {length}" for name, length in lengths.items()) or "none is given"
            raise LanguageError(f"{label}: {loop.kind} walks lists of one length together: {told}", node.location)
        count = next(iter(lengths.values()))
    else:
        count = _count(value_of(node, around), loop, label)
    if count > MAX_LAYERS:
        raise TooLargeError(f"{label}: {loop.kind} {count:,} times: more than {MAX_LAYERS:,} layers", node.location)
    return [Copy(number, _scope(number, variables, around, node.location)) for number in range(count)]


def _count(value: Plain, loop: Loop, label: str) -> int:
    if type(value) is int and value >= 0:
        return value
    expected = "an integer from 0 up, or a mapping of lists such as {width: [8, 16]}"
    raise LanguageError(f"{label}: {loop.kind}: expected {expected}, got {shown(value)}", loop.node.location)


def _scope(
    number: int, variables: Mapping[str, tuple[Location, list[Plain]]], around: Scope, location: Location
) -> Scope:
    scope = Scope(around)
    scope.claim(INDEX, "the index of a loop", location)
    scope.define(INDEX, number)
    for name, (key, values) in variables.items():
        scope.claim(name, "a variable of a loop", key)
        scope.define(name, values[number])
    return scope


def feed(given: Given, result: Result, label: str, location: Location) -> Given:
    """What the next copy of `repeat` reads: outputs replace the inputs of their names, a single one the first input."""
    assert result.ports is not None
    if isinstance(given, Reads):
        return Reads((result,), (label,), implied=True, handed=True)
    known = {name: value for name, value in result.ports.items() if name in given.values}
    if not known and given.values:
        if result.plain == "only" and len(result.ports) > 1:
            outputs, inputs = ", ".join(result.ports), ", ".join(given.values)
            message = f"{label}: repeat: none of its outputs ({outputs}) is called like an input ({inputs})"
            raise LanguageError(message, location)
        known = {next(iter(given.values)): next(iter(result.ports.values()))}
    return Bound({**given.values, **known}, {**given.texts, **dict.fromkeys(known, label)})


@dataclass
class Copies:
    """All copies of one entry in a body. `path` is the loop's own; None where each copy has a name or a position."""

    body: Body
    entry: EntrySpec
    frame: Frame
    label: str
    turns: list[Copy]
    path: str | None

    def expand(self, before: Given) -> Result:
        """What the loop gives: the last copy's outputs, or all outputs of a parallel one."""
        assert self.entry.loop is not None
        return self._parallel(before) if self.entry.loop.kind == "parallel" else self._repeat(before)

    def again(self, given: Given, label: str) -> Outcome:
        """All copies once more, on what is given instead of `from`."""
        with self.body.context.again():
            return Outcome(replace(self, entry=replace(self.entry, source=None)).expand(given), given)

    def _repeat(self, before: Given) -> Result:
        given, last = before, None
        for turn in self.turns:
            frame = self._charged(turn)
            if not self.body.present(self.entry, turn.scope):
                last = None
                if self.path is None and self.entry.name is not None:
                    self.body.name_absent(self.entry, frame, given, self.label)
                continue
            outcome = self._copy(frame, turn.number, given)
            if outcome.given is None or outcome.result.ports is None:
                return BROKEN
            last = outcome.result
            given = feed(outcome.given, last, self.label, self.entry.location)
        return self.body.absent(self.entry, self.frame, given, self.label) if last is None else last

    def _parallel(self, before: Given) -> Result:
        ports: dict[str, Value] = {}
        broken = False
        for turn in self.turns:
            frame = self._charged(turn)
            if self.body.present(self.entry, turn.scope):
                result = self._copy(frame, turn.number, before).result
            else:
                result = self.body.absent(self.entry, frame, before, self.label)
            if result.ports is None:
                broken = True
            else:
                name = f"{self.label}.{turn.number}"
                ports[str(turn.number)] = result.values(name, self.entry.location)[0]
        return BROKEN if broken else Result(ports, "all")

    def _charged(self, turn: Copy) -> Frame:
        self.body.context.charge(self.entry.location)
        return replace(self.frame, scope=turn.scope)

    def _copy(self, frame: Frame, number: int, given: Given) -> Outcome:
        """One copy; its mistakes are kept, as each copy may have its own."""
        body, entry = self.body, self.entry
        outcome = FAILED
        with body.mistakes.collect(entry.location):
            if self.path is None:
                return body.single(entry, frame, given)[0]
            path = f"{self.path}.{number}"
            body.context.claim(path, entry.location)
            with body.mistakes.collect(entry.location):
                outcome = body.apply(entry, frame, path, path, given)
        return outcome


def expand_loop(body: Body, entry: EntrySpec, frame: Frame, before: Reads) -> tuple[Result, str]:
    """What a loop gives, and its name: empty where it has none."""
    assert entry.loop is not None
    written = None if entry.name is None else entry.name.value
    label = body.unnamed(entry) if entry.name is None else printable(str(written)[:64])
    if entry.name is None or (isinstance(written, str) and contains(written)):
        turns = copies(entry.loop, frame.scope, label)
        return Copies(body, entry, frame, label, turns, None).expand(before), ""
    name = body.claim(entry.name, frame.scope)
    result, again = BROKEN, None
    with body.mistakes.collect(entry.location):
        path = body.join(name)
        body.context.claim(path, entry.location)
        turns = copies(entry.loop, frame.scope, label)
        body.position += 1 if turns else 0
        loop = Copies(body, entry, frame, label, turns, path)
        again = loop.again
        result = loop.expand(before)
    body.names.add(name, result, again)
    return result, name
