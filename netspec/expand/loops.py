"""`repeat` and `parallel`: the copies of an entry, what each reads, and what the loop gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from netspec.errors import LanguageError, Location, TooLargeError, printable
from netspec.expand.context import MAX_LAYERS
from netspec.expand.names import BROKEN, Result
from netspec.expand.reading import FAILED, Bound, Given, Outcome, Reads, bind, inputs_of, stand_in
from netspec.expressions.parser import contains
from netspec.expressions.values import Value as Plain
from netspec.graph.graph import Value
from netspec.language.names import check_identifier
from netspec.language.scope import Scope, resolved, value_of
from netspec.language.spec import EntrySpec, Loop
from netspec.layers import LAYER_TYPES
from netspec.layers.base import InputNames, input_names
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


def first_scope(turns: list[Copy], around: Scope) -> Scope:
    """What the first copy sees, whose `from` all of `repeat` reads; of no copies the index alone."""
    return turns[0].scope if turns else _scope(0, {}, around, Location("", 0, 0))


def feed(given: Given, result: Result, label: str, location: Location) -> Given:
    """What the next copy of `repeat` reads: outputs replace the inputs of their names, a single one the first input.

    The references stay as they are written: a formula calls its variables by them.
    Raises LanguageError where there are several outputs, or none, and no input is called like one.
    """
    ports = result.ports
    assert ports is not None
    names = list(given.values) if isinstance(given, Bound) else [*(given.inputs or ())]
    replaced = {name: Result({name: value}) for name, value in ports.items() if name in names}
    single = len(ports) == 1 or result.plain == "main"
    if not replaced and not single:
        outputs, inputs = ", ".join(ports) or "none", ", ".join(names) or "which have no names"
        message = f"{label}: repeat: none of its outputs ({outputs}) is called like an input ({inputs})"
        raise LanguageError(message, location)
    if isinstance(given, Bound):
        if not replaced and names:
            replaced = {names[0]: result}
        return replace(given, values={**given.values, **{name: each.main for name, each in replaced.items()}})
    results, texts = list(given.results) or [result], given.texts or (label,)
    for number, each in {names.index(name): each for name, each in replaced.items()}.items() or {0: result}.items():
        results[number] = each
    return replace(given, results=tuple(results), texts=texts, implied=True, handed=True, missing="")


@dataclass
class Copies:
    """All copies of one entry in a body. `path` is the loop's own; None where each copy has a name or a position."""

    body: Body
    entry: EntrySpec
    frame: Frame
    label: str
    turns: list[Copy]
    path: str | None
    present: int = 0  # how many copies are not absent

    def expand(self, before: Given) -> Result:
        """What the loop gives: the last copy's outputs, or all outputs of a parallel one."""
        assert self.entry.loop is not None
        return self._parallel(before) if self.entry.loop.kind == "parallel" else self._repeat(before)

    def again(self, given: Given, label: str) -> Outcome:
        """All copies once more, on what is given instead of `from`."""
        assert self.path is not None
        with self.body.context.applying_again(self.path, self.entry.location):
            return Outcome(replace(self, entry=replace(self.entry, source=None)).expand(given), given)

    def _repeat(self, before: Given) -> Result:
        given, last = before, None
        if isinstance(given, Reads):
            around = first_scope(self.turns, self.frame.scope)
            given = replace(self.body.reader.reads(self.entry.source, around, self.label, given), resolved=True)
        for turn in self.turns:
            frame = self._charged(turn)
            if self.body.present(self.entry, turn.scope):
                outcome = self._copy(frame, turn.number, given)
                if outcome.given is None or outcome.result.ports is None:
                    return BROKEN
                given, last = outcome.given, outcome.result
            elif self.entry.otherwise is None:
                self._name_absent(turn, last if last is not None else self._untouched(given))
                continue
            else:
                last = self.body.absent(self.entry, frame, given, self.label)
                self._name_absent(turn, last)
                if last.ports is None:
                    return BROKEN
            given = feed(given, last, self.label, self.entry.location)
        return self._untouched(given) if last is None else last

    def _untouched(self, given: Given) -> Result:
        """What no copy at all gives: its input; of several those that its outputs would replace."""
        inputs, outputs = self._signature()
        location = self.entry.location
        if isinstance(given, Reads):
            if not outputs and (len(given.results) == 1 or (given.results and inputs is None)):
                return given.results[0]
            bound = None if inputs is None or given.missing else bind(given, inputs, self.label, location)
            if bound is None:
                return BROKEN if given.broken else stand_in(given, self.label, location)
            given = bound
        if outputs and all(name in given.values for name in outputs):
            return Result({name: given.values[name] for name in outputs}, "only")
        if len(outputs) > 1 or not given.values:
            return stand_in(given, self.label, location)
        name, value = next(iter(given.values.items()))
        return Result({name: value})

    def _signature(self) -> tuple[InputNames | None, tuple[str, ...]]:
        """The inputs and the named outputs of what is repeated, as far as they are known without evaluating it."""
        name = None if self.entry.type is None else self.entry.type.value
        body = self.entry.body
        if isinstance(name, str) and name in LAYER_TYPES:
            return input_names(LAYER_TYPES[name]), ()
        if isinstance(name, str) and name in self.body.context.spec.blocks:
            body = self.body.context.spec.blocks[name].body
        return (None, ()) if body is None else (inputs_of(body), tuple(body.outputs))

    def _parallel(self, before: Given) -> Result:
        ports: dict[str, Value] = {}
        broken = False
        for turn in self.turns:
            frame = self._charged(turn)
            if self.body.present(self.entry, turn.scope):
                result = self._copy(frame, turn.number, before).result
            else:
                result = self.body.absent(self.entry, frame, before, self.label)
                self._name_absent(turn, result)
            if result.ports is None:
                broken = True
                continue
            values = list(result.ports.values())[: 1 if result.plain == "main" else None]
            if len(values) != 1:
                message = f"{self.label}: parallel: a copy gives one output, copy {turn.number} has {len(values)}"
                raise LanguageError(message, self.entry.location)
            ports[str(turn.number)] = values[0]
        return BROKEN if broken else Result(ports, "all")

    def _name_absent(self, turn: Copy, result: Result) -> None:
        """What an absent copy stands for, under its name, if it has one of its own."""
        if self.path is None and self.entry.name is not None and not self.body.context.again:
            self.body.names.add(self.body.claim(self.entry.name, turn.scope), result)

    def _charged(self, turn: Copy) -> Frame:
        self.body.context.charge(self.entry.location)
        return replace(self.frame, scope=turn.scope)

    def _copy(self, frame: Frame, number: int, given: Given) -> Outcome:
        """One copy; its mistakes are kept, as each copy may have its own."""
        body, entry = self.body, self.entry
        outcome = FAILED
        with body.mistakes.collect(entry.location):
            self.present += 1
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
        turns = copies(entry.loop, frame.scope, label)
        if turns:
            body.context.claim(path, entry.location)
        loop = Copies(body, entry, frame, label, turns, path)
        again = loop.again
        result = loop.expand(before)
        body.position += 1 if loop.present else 0
    body.names.add(name, result, again)
    return result, name
