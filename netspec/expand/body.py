"""The entries of a body, in order: each is named, wired to what it reads, and applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from netspec.errors import LanguageError, Location, Mistakes, nearest, printable
from netspec.expand.branching import Branch, branches
from netspec.expand.context import Context
from netspec.expand.freezing import OwnFrozen, own_frozen
from netspec.expand.loops import copies, expand_loop, feed, first_scope
from netspec.expand.names import BROKEN, Names, Result
from netspec.expand.reading import FAILED, Given, Outcome, Reader, Reads, bind, stand_in
from netspec.expand.scanning import scan
from netspec.expand.units import Application, GroupUnit, Unit, find_unit
from netspec.expand.while_loops import while_loop
from netspec.expressions.parser import contains
from netspec.graph.graph import Value
from netspec.language.document import Node
from netspec.language.names import check_name
from netspec.language.scope import Scope, text_of, value_of
from netspec.language.spec import BodySpec, EntrySpec, OutputSpec, is_block
from netspec.layers.validation import shown

SPLICE = "."
COPYING = ("repeat", "parallel")


@dataclass(frozen=True)
class Frame:
    """What holds where an entry is written: the names that its expressions see, and what is frozen around it."""

    scope: Scope
    frozen: OwnFrozen


class Body:
    """The expansion of one body for one mode. A mistake breaks its own entry; what reads it is passed over."""

    def __init__(
        self,
        context: Context,
        spec: BodySpec,
        names: Names,
        enclosing: tuple[str, ...] = ("",),
        frozen: OwnFrozen = None,
    ) -> None:
        """`enclosing` are the paths of the body and of all around it, the innermost first; the model's is empty."""
        self.context = context
        self.spec = spec
        self.names = names
        self.enclosing = enclosing
        self.path = enclosing[0]
        self.frame = Frame(names.scope, frozen)
        self.mistakes = Mistakes()
        self.reader = Reader(names, spec.layers, self.mistakes)
        self.position = 0

    def expand(self, first: Reads) -> Result:
        """What the body gives to others; `first` is what its first entry reads unless it says otherwise."""
        last = self._entries(self.spec.layers, self.frame, first)
        if self.spec.outputs:
            return self._outputs()
        with self.mistakes.collect(self.spec.location):
            return self._last(last, self.spec.end)
        return BROKEN

    def _entries(self, entries: Sequence[EntrySpec], frame: Frame, before: Reads) -> Reads:
        """Expand entries one after the other; what the last of them gives."""
        with self.context.entries(self.spec.location):
            for entry in entries:
                result, name = BROKEN, ""
                with self.mistakes.collect(entry.location):
                    result, name = self._entry(entry, frame, before)
                if result.ports is None and entry.name is not None:
                    self._name_broken(entry.name)
                before = Reads((result,), (name,), implied=True)
        return before

    def _entry(self, entry: EntrySpec, frame: Frame, before: Reads) -> tuple[Result, str]:
        """What an entry gives, and its name: empty where it has none."""
        self.context.charge(entry.location)
        if entry.name is not None and entry.name.value == SPLICE and self._is_spliced(entry):
            return self._splice(entry, frame, before), ""
        if entry.loop is not None and entry.loop.kind in COPYING:
            return expand_loop(self, entry, frame, before)
        if not self.present(entry, frame.scope):
            return self._absent_entry(entry, frame, before)
        outcome, name = self.single(entry, frame, before)
        return outcome.result, name

    def single(self, entry: EntrySpec, frame: Frame, given: Given) -> tuple[Outcome, str]:
        """A present entry, or a copy, that has a name or a position of its own; and that name."""
        outcome, name = FAILED, ""
        position, self.position = self.position, self.position + 1
        if entry.name is None:
            path = self.join(str(position))
            label = f"{path} ({self._kind(entry)})"
        elif entry.name.value == SPLICE:
            path = label = self.path
        else:
            name = self.claim(entry.name, frame.scope)
            path = label = self.join(name)
        with self.mistakes.collect(entry.location):
            if path != self.path:
                self.context.claim(path, entry.location)
            with self.mistakes.collect(entry.location):
                outcome = self.apply(entry, frame, path, label, given)
        if name:
            self.names.add(name, outcome.result, partial(self._again, entry, frame, path))
        return outcome, name

    def apply(self, entry: EntrySpec, frame: Frame, path: str, label: str, given: Given) -> Outcome:
        """Apply what an entry names, under `path`. Raises LanguageError."""
        if entry.broken:
            return FAILED
        if entry.share is not None:
            return self._share(entry, entry.share, frame.scope, label, given)
        if entry.branches is not None:
            return self._branches(entry, entry.branches, frame, path, label, given)
        mistakes = Mistakes()
        prepared = None
        read = self._read(entry, frame.scope, label, given, mistakes)
        with mistakes.collect():
            prepared = self._prepared(entry, frame, path, label, read)
        mistakes.raise_all()
        if prepared is None:
            return FAILED
        unit, ready = prepared
        if entry.loop is not None and entry.loop.kind == "scan":
            return Outcome(scan(unit, entry.loop.node, ready), ready)
        if entry.loop is not None and entry.loop.kind == "while":
            return Outcome(while_loop(unit, entry.loop.node, ready), ready)
        return Outcome(unit.call(ready), ready)

    def _read(self, entry: EntrySpec, scope: Scope, label: str, given: Given, mistakes: Mistakes) -> Given | None:
        """What an entry reads; None where its `from` is in error, which is added to `mistakes`."""
        with mistakes.collect():
            return self.reader.reads(entry.source, scope, label, given) if isinstance(given, Reads) else given
        return None

    def _prepared(self, entry: EntrySpec, frame: Frame, path: str, label: str, given: Given | None) -> Branch | None:
        """What an entry applies, with all that is written there evaluated, and what it reads; None where that is in
        error. Raises LanguageError."""
        mistakes = Mistakes()
        unit: Unit | None = None
        ready: Given | None = None
        frozen = frame.frozen
        with mistakes.collect(prefix=f"{label}: "):
            own = own_frozen(entry.frozen, frame.scope)
            frozen = frozen if own is None else own
        with mistakes.collect():
            unit = self._unit(Application(entry, frame.scope, path, label, frozen))
        with mistakes.collect():
            if unit is not None and given is not None:
                ready = given if unit.inputs is None else bind(given, unit.inputs, label, entry.location)
        with mistakes.collect():
            if unit is not None:
                unit.prepare(ready)
        mistakes.raise_all()
        if ready is None:
            return None
        assert unit is not None
        return Branch(unit, ready)

    def _branches(
        self, entry: EntrySpec, inside: Sequence[EntrySpec], frame: Frame, path: str, label: str, given: Given
    ) -> Outcome:
        """One of `inside` is run, each of which reads what the entry reads."""
        mistakes = Mistakes()
        which: Value | None = None
        with mistakes.collect(prefix=f"{label}: "):
            own = own_frozen(entry.frozen, frame.scope)
            frame = frame if own is None else replace(frame, frozen=own)
        with mistakes.collect():
            which = self._chooser(entry, frame.scope, label)
        read = self._read(entry, frame.scope, label, given, mistakes)
        if isinstance(read, Reads):
            read = replace(read, handed=True)
        found: list[Branch | None] = []
        names = Scope()
        for number, branch in enumerate(inside):
            with mistakes.collect(branch.location):
                found.append(self._branch(branch, number, frame, path, read, names))
        mistakes.raise_all()
        prepared = [branch for branch in found if branch is not None]
        if which is None or read is None or len(prepared) < len(inside):
            return FAILED
        at = Application(entry, frame.scope, path, label, frame.frozen)
        return Outcome(branches(at, which, prepared), read)

    def _branch(
        self, entry: EntrySpec, number: int, frame: Frame, path: str, given: Given | None, names: Scope
    ) -> Branch | None:
        if entry.broken:
            return None
        self.context.charge(entry.location)
        name = str(number)
        if entry.name is not None:
            name = text_of(entry.name, frame.scope, "name")
            if name == SPLICE and entry.body is not None:  # it adds nothing to the path
                return self._prepared(entry, frame, path, f"{path}, branch {number}", given)
            check_name(name, "a branch", entry.name.location)
            names.claim(name, "a branch", entry.name.location)
        inside = f"{path}.{name}" if path else name
        self.context.claim(inside, entry.location)
        label = inside if entry.name is not None else f"{inside} ({self._kind(entry)})"
        return self._prepared(entry, frame, inside, label, given)

    def _chooser(self, entry: EntrySpec, scope: Scope, label: str) -> Value | None:
        """The value that says which branch runs; None where it is in error."""
        assert entry.chooser is not None
        location = entry.chooser.location
        text = text_of(entry.chooser, scope, f"{label}: cond: a reference")
        result = self.reader.reference(text, label, location)
        if result.ports is None:
            return None
        values = result.values(text, location, label)
        if len(values) != 1:
            raise LanguageError(f"{label}: cond: {text} has {len(values)} values: name one, {text}:0", location)
        return values[0]

    def _unit(self, at: Application) -> Unit:
        if at.entry.body is not None:
            return GroupUnit(self, at, at.entry.body)
        assert at.entry.type is not None
        return find_unit(self, at, value_of(at.entry.type, at.scope))

    def _share(self, entry: EntrySpec, node: Node, scope: Scope, label: str, given: Given) -> Outcome:
        name = text_of(node, scope, f"{label}: share")
        if isinstance(given, Reads):
            given = self.reader.reads(entry.source, scope, label, given)
        again = self.names.again(name)
        if again is not None:
            return again(given, label)
        if self.names.find(name) is BROKEN:
            return FAILED
        message = (
            f"{label}: share: there is no entry called {printable(name[:64])} above{nearest(name, self.names.known())}"
        )
        raise LanguageError(message, node.location)

    def _again(self, entry: EntrySpec, frame: Frame, path: str, given: Given, label: str) -> Outcome:
        """The entry once more, under its own path. `given` is what is read instead of its own `from`."""
        with self.context.applying_again(path, entry.location):
            return self.apply(replace(entry, source=None), frame, path, label, given)

    # Splicing.

    def _is_spliced(self, entry: EntrySpec) -> bool:
        """Whether an entry called `.` is a group that is written in the list around it."""
        body, type = entry.body, None if entry.type is None else entry.type.value
        if body is None:
            if not isinstance(type, str) or not (is_block(type) or contains(type)):
                self.names.results.setdefault(SPLICE, BROKEN)
                assert entry.name is not None
                raise LanguageError("a layer is called '.': that is for groups and blocks", entry.name.location)
            return False
        return body.inputs is None and not body.let and not body.outputs

    def _splice(self, entry: EntrySpec, frame: Frame, before: Reads) -> Result:
        assert entry.body is not None
        label = "a spliced group"
        own = own_frozen(entry.frozen, frame.scope)
        inside = replace(frame, frozen=frame.frozen if own is None else own)
        if entry.loop is None:
            if not self.present(entry, frame.scope):
                return self.absent(entry, frame, before, label)
            handed = replace(self.reader.reads(entry.source, frame.scope, label, before), handed=True, implied=True)
            return self._last(self._entries(entry.body.layers, inside, handed), entry.body.end)
        if entry.loop.kind != "repeat":
            raise LanguageError(f"{entry.loop.kind}: a spliced group takes repeat only", entry.loop.node.location)
        turns = copies(entry.loop, frame.scope, label)
        given: Given = self.reader.reads(entry.source, first_scope(turns, frame.scope), label, before)
        for turn in turns:
            self.context.charge(entry.location)
            around = replace(inside, scope=turn.scope)
            if self.present(entry, turn.scope):
                assert isinstance(given, Reads)
                handed = replace(given, handed=True, implied=True, resolved=False)
                result = self._last(self._entries(entry.body.layers, around, handed), entry.body.end)
            elif entry.otherwise is not None:
                result = self.absent(entry, around, given, label)
            else:
                continue
            if result.ports is None:
                return BROKEN
            given = feed(given, result, label, entry.location)
        assert isinstance(given, Reads)
        return given.results[0] if given.results else stand_in(given, label, entry.location)

    # Names, presence, outputs.

    def present(self, entry: EntrySpec, scope: Scope) -> bool:
        """Whether the `if` of an entry is true. Raises LanguageError where it is no flag."""
        return entry.condition is None or _flag(entry.condition, scope)

    def absent(self, entry: EntrySpec, frame: Frame, given: Given, label: str) -> Result:
        """What an absent entry stands for: `else`, or its input. Raises LanguageError."""
        if entry.otherwise is not None:
            text = text_of(entry.otherwise, frame.scope, f"{label}: else")
            return self.reader.reference(text, label, entry.otherwise.location)
        if isinstance(given, Reads):
            given = self.reader.reads(entry.source, frame.scope, label, given)
        return stand_in(given, label, entry.location)

    def _absent_entry(self, entry: EntrySpec, frame: Frame, given: Given) -> tuple[Result, str]:
        name = "" if entry.name is None or entry.name.value == SPLICE else self.claim(entry.name, frame.scope)
        label = self.join(name) if name else self.unnamed(entry)
        result = BROKEN
        with self.mistakes.collect(entry.location):
            result = self.absent(entry, frame, given, label)
        if name:  # `share` applies it once more: it is absent there too
            again = replace(entry, source=None)
            self.names.add(name, result, lambda given, label: Outcome(self.absent(again, frame, given, label), given))
        return result, name

    def claim(self, node: Node, scope: Scope) -> str:
        """The name of an entry. Whatever is wrong with it, what reads the entry is not in error too."""
        own = self.names.scope
        try:
            name = text_of(node, scope, "name")
        except LanguageError:
            own.incomplete = True
            raise
        try:
            check_name(name, "a layer", node.location)
            own.claim(name, "a layer", node.location)
        except LanguageError:
            self.names.results.setdefault(name.partition(":")[0], BROKEN)
            raise
        return name

    def _name_broken(self, node: Node) -> None:
        """Have what reads an entry that is in error be in no error too, even if its name was not come to."""
        if not isinstance(node.value, str) or contains(node.value):
            self.names.scope.incomplete = True
        elif node.value not in self.names.results:
            self.names.add(node.value, BROKEN)

    def join(self, name: str) -> str:
        """The path of what is called `name` here."""
        return f"{self.path}.{name}" if self.path else name

    def unnamed(self, entry: EntrySpec) -> str:
        """How messages call an entry by its position."""
        return f"{self.join(str(self.position))} ({self._kind(entry)})"

    def _kind(self, entry: EntrySpec) -> str:
        if entry.type is not None:
            return printable(str(entry.type.value)[:64])
        if entry.branches is not None:
            return "branches"
        return "group" if entry.body is not None else "share"

    def _last(self, last: Reads, end: Location) -> Result:
        """The output of entries that name none: that of the last of them, which stands at `end`."""
        if last.broken:
            return BROKEN
        if len(last.results) != 1 or last.results[0].plain == "all":
            every = (value for result in last.results for value in result.values("the last entry", None))
            return Result({str(n): value for n, value in enumerate(every)}, "all")
        last.results[0].require_single(last.texts[0], end)
        return Result({"output": last.results[0].main}, "only")

    def _outputs(self) -> Result:
        found: dict[str, Value] = {}
        complete = True
        for name, output in self.spec.outputs.items():
            value: Value | None = None
            with self.mistakes.collect(output.key):
                check_name(name, "an output", output.key)
                if output.condition is not None and not _flag(output.condition, self.frame.scope):
                    continue
                value = self._output(name, output)
            if value is None:
                complete = False
            elif self.context.builder.training or not output.training_only:
                found[name] = value
        return Result(found, "only") if complete else BROKEN

    def _output(self, name: str, output: OutputSpec) -> Value | None:
        label = f"output {name}"
        text = text_of(output.source, self.frame.scope, f"{label}: a reference")
        result = self.reader.reference(text, label, output.source.location)
        if result.ports is None:
            return None
        values = result.values(text, output.source.location)
        if len(values) != 1:
            raise LanguageError(f"{label}: {text} has {len(values)} values: name one, {text}:0", output.source.location)
        return values[0]


def _flag(node: Node, scope: Scope) -> bool:
    value = value_of(node, scope)
    if not isinstance(value, bool):
        raise LanguageError(f"if: expected true or false, got {shown(value)}", node.location)
    return value
