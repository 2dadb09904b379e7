"""What an entry reads, by `from` or because it follows, and which of its inputs gets what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from netspec.errors import MAX_SHOWN, LanguageError, Location, Mistakes, nearest, printable
from netspec.expand.names import BROKEN, Names, Result
from netspec.graph.graph import Value
from netspec.language.document import NO_KEYS, Node
from netspec.language.scope import Scope, resolved, text_of
from netspec.language.spec import BodySpec, EntrySpec
from netspec.layers.base import InputNames


@dataclass(frozen=True)
class Reads:
    """What there is to read, before it is known for which inputs.

    `inputs` are the names of the inputs where `from` is a mapping. `texts` are the references as they are written.
    `implied` says that nothing is written: it is the entry before, `handed` that a group gives it to its first entry.
    `resolved` says that `from` has been read already, and is not read again. `missing` says why there is nothing.
    """

    results: tuple[Result, ...] = ()
    texts: tuple[str, ...] = ()
    inputs: tuple[str, ...] | None = None
    location: Location | None = None
    implied: bool = False
    handed: bool = False
    resolved: bool = False
    missing: str = ""
    keys: Mapping[str, Location] = field(default_factory=lambda: NO_KEYS)

    @property
    def broken(self) -> bool:
        return any(result.ports is None for result in self.results)


NOTHING = Reads(implied=True, missing="there is nothing above it")


@dataclass(frozen=True)
class Bound:
    """Values by input name; by position where a layer takes any number.

    `texts` are the references that gave them.
    """

    values: Mapping[str, Value]
    texts: Mapping[str, str] = field(default_factory=dict)


Given = Reads | Bound


@dataclass(frozen=True)
class Outcome:
    """What one application of an entry gave, and what it read: None where it is in error."""

    result: Result
    given: Given | None = None


FAILED = Outcome(BROKEN)


class Reader:
    """Looks up references for the entries of one body."""

    def __init__(self, names: Names, below: Sequence[EntrySpec], mistakes: Mistakes) -> None:
        self.names = names
        self.below = below
        self.mistakes = mistakes

    def reads(self, source: Node | None, scope: Scope, label: str, before: Reads) -> Reads:
        """What the key `from` says, else what stands `before`. Raises LanguageError with all mistakes."""
        if source is None or before.resolved:
            return before
        node = resolved(source, scope)
        if isinstance(node.value, dict):
            nodes, inputs = list(node.value.values()), tuple(node.value)
        else:
            nodes, inputs = (node.value if isinstance(node.value, list) else [node]), None
        mistakes = Mistakes()
        results: list[Result] = []
        texts: list[str] = []
        for item in nodes:
            result, text = BROKEN, ""
            with mistakes.collect():
                text = text_of(item, scope, f"{label}: a reference", ": the name of an input or of an entry above")
                result = self.reference(text, label, item.location)
            results.append(result)
            texts.append(text)
        mistakes.raise_all()
        return Reads(tuple(results), tuple(texts), inputs, node.location, keys=node.keys)

    def reference(self, text: str, label: str, location: Location) -> Result:
        """What `name` or `name:port` stands for."""
        name, colon, port = text.partition(":")
        result = self.names.find(name)
        if result is None:
            message = f"{label}: there is nothing called {printable(name[:64])} above{self._hint(name, label)}"
            raise LanguageError(message, location)
        if result.ports is None or not colon:
            return result
        if port not in result.ports:
            known = ", ".join(result.ports)
            raise LanguageError(f"{label}: {name} has no port {printable(port[:64])}: it has {known}", location)
        return Result({port: result.ports[port]})

    def _hint(self, name: str, label: str) -> str:
        if len(self.mistakes.found) >= MAX_SHOWN:  # it looks at every name, for a message that nobody will see
            return ""
        if name == label:
            return "; it is this layer itself"
        if any(entry.name is not None and entry.name.value == name for entry in self.below):
            return "; it stands below, and a layer reads only what stands above it"
        return nearest(name, self.names.known())


def inputs_of(body: BodySpec) -> InputNames | None:
    """The inputs of a block or a group; None where it hands everything to its first entry."""
    return None if body.inputs is None else InputNames(tuple(body.inputs), (), variadic=False)


def bind(given: Given, inputs: InputNames, label: str, location: Location) -> Bound | None:
    """Which input gets what; None where something that is read is in error. Raises LanguageError."""
    if isinstance(given, Bound):
        return given
    if given.broken:
        return None
    if given.inputs is not None:
        return _by_name(given, inputs, label)
    if given.implied and not given.handed and (inputs.variadic or len(inputs.required) != 1):
        if not inputs.required and not inputs.variadic:
            return Bound({})
        what = "any number of inputs, as a list" if inputs.variadic else " and ".join(inputs.required)
        raise LanguageError(f"{label}: from is required: it reads {what}", location)
    if given.handed and not inputs.required and not inputs.variadic:
        return Bound({})
    if given.missing:
        raise LanguageError(f"{label}: from is required: {given.missing}", location)
    values, texts = _values(given, label, location)
    if inputs.variadic:
        names: Sequence[str] = [str(number) for number in range(len(values))]
    else:
        names = inputs.required
        if len(values) != len(names):
            wanted = f"{len(names)} ({', '.join(names)})" if names else "nothing: it reads none"
            more = _by_name_only(inputs) if len(values) > len(names) else ""
            message = f"{label}: from: expected {wanted}, got {len(values)}{more}"
            raise LanguageError(message, given.location or location)
    return Bound(dict(zip(names, values, strict=True)), dict(zip(names, texts, strict=True)))


def _by_name_only(inputs: InputNames) -> str:
    """The hint that optional inputs are given in a mapping; empty where there are none."""
    if not inputs.optional:
        return ""
    each = ", ".join(f"{name}: ..." for name in (*inputs.required, inputs.optional[0]))
    return f"; {', '.join(inputs.optional)} by name only, as in from: {{{each}}}"


def _by_name(given: Reads, inputs: InputNames, label: str) -> Bound:
    assert given.inputs is not None
    known = (*inputs.required, *inputs.optional)
    for name in given.inputs:
        if name not in known:
            other = f"; it has {', '.join(known)}" if known else "; write a list" if inputs.variadic else ""
            hint = nearest(name, known) or other
            message = f"{label}: from: there is no input {printable(name[:64])}{hint}"
            raise LanguageError(message, given.keys.get(name, given.location))
    for name in inputs.required:
        if name not in given.inputs:
            raise LanguageError(f"{label}: from: input {name} is missing", given.location)
    values: dict[str, Value] = {}
    for name, result, text in zip(given.inputs, given.results, given.texts, strict=True):
        found = result.values(text, given.location, label)
        if len(found) != 1:
            raise LanguageError(f"{label}: from: input {name} takes one value, {text} has {len(found)}", given.location)
        values[name] = found[0]
    texts = dict(zip(given.inputs, given.texts, strict=True))
    return Bound({name: values[name] for name in known if name in values}, texts)


def _values(given: Reads, label: str, location: Location) -> tuple[list[Value], list[str]]:
    """All values that are read, in order, each with its reference: a parallel loop gives several."""
    values: list[Value] = []
    texts: list[str] = []
    for number, result in enumerate(given.results):
        text = given.texts[number]
        found = result.values(text or "the entry before", given.location or location, label)
        values += found
        texts += [text] * len(found)
    return values, texts


def stand_in(given: Given, label: str, location: Location) -> Result:
    """What the name of an absent entry stands for: its input, of which there must be exactly one."""
    if isinstance(given, Bound):
        results: tuple[Result, ...] = tuple(Result({name: value}) for name, value in given.values.items())
    else:
        results = given.results
    if len(results) != 1:
        what = f"{len(results)} inputs" if results else "no input"
        raise LanguageError(f"{label}: else is required: it is absent, and has {what} to stand for", location)
    return results[0]
