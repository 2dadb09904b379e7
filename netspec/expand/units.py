"""What an entry applies: a layer, a block or a group. Each is prepared once it is known what it reads, then called."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from netspec.errors import FollowsError, LanguageError, Mistake, Mistakes, NetspecError, ShapeError, nearest, printable
from netspec.expand.formulas import formula_fields, formula_inputs
from netspec.expand.freezing import OwnFrozen
from netspec.expand.names import Names, Result
from netspec.expand.reading import NOTHING, Bound, Given, Reads, inputs_of
from netspec.expand.ties import tied_paths
from netspec.graph.builder import Entry
from netspec.graph.dims import format_shape
from netspec.graph.graph import Origin, Value
from netspec.language.entries import check_layer_type, is_expression
from netspec.language.names import check_identifier, check_name
from netspec.language.scope import Scope, value_of
from netspec.language.spec import BlockSpec, BodySpec, EntrySpec, Named, is_block
from netspec.layers import LAYER_TYPES
from netspec.layers.base import InputNames, Layer, input_names
from netspec.layers.formula import Formula

if TYPE_CHECKING:
    from netspec.expand.body import Body


USED = "; in block "


@dataclass
class Application:
    """One entry being applied: where, under which path, and how messages call it."""

    entry: EntrySpec
    scope: Scope
    path: str
    label: str
    frozen: OwnFrozen


class Unit(ABC):
    """What an entry applies. `inputs` are what it reads; None where it hands everything to its first entry."""

    inputs: InputNames | None

    def __init__(self, body: Body, at: Application) -> None:
        self.body = body
        self.at = at
        self.context = body.context

    @abstractmethod
    def prepare(self, given: Given | None) -> None:
        """Evaluate all that is written. Raises LanguageError with all mistakes of the entry."""

    @abstractmethod
    def call(self, given: Given) -> Result:
        """Emit it."""


class LayerUnit(Unit):
    """One layer."""

    def __init__(self, body: Body, at: Application, type: str) -> None:
        super().__init__(body, at)
        self.type = type
        self.cls = LAYER_TYPES[type]
        self.layer: Layer | None = self.context.layers.get(at.path)
        if isinstance(self.layer, Formula):
            self.inputs = InputNames(self.layer.variables, (), variadic=False)
        elif self.cls is Formula:
            self.inputs = formula_inputs(at.entry, at.scope)
        else:
            self.inputs = input_names(self.cls)

    def prepare(self, given: Given | None) -> None:
        at, entry = self.at, self.at.entry
        mistakes = Mistakes()
        with mistakes.collect():
            self.layer = self._configured(given)
        freezing = self.context.freezing
        self.target = Entry(Origin(at.path, entry.location), shared=bool(self.context.again))
        self.target.frozen = lambda name: freezing.param(at.frozen, name)
        self.target.fixed = lambda name: freezing.buffer(at.frozen, name)
        with mistakes.collect():
            inherited, own = self.context.configurator.initializers(self.type, entry, at.scope, at.label)
            self.target.inherited, self.target.initializers = inherited, own
        with mistakes.collect():
            if entry.tie is not None:
                tied = self.target.tied = tied_paths(entry.tie, at, self.body.enclosing, self.context.builder)
                for name in (name for name in self.target.initializers if name in tied):
                    message = f"{at.label}: init of {name}: it is tied to {tied[name]}, which has its own"
                    raise LanguageError(message, entry.keys["init"])
        mistakes.raise_all()

    def _configured(self, given: Given | None) -> Layer:
        """The layer with its fields. One that is applied once more may see other shapes, so it is made anew."""
        at, first = self.at, self.layer
        if first is not None and not self.context.again:
            return first
        derived: dict[str, Any] = {}
        if self.cls is Formula:
            if given is None:
                raise FollowsError
            assert isinstance(given, Bound)
            derived = formula_fields(at.entry, given, at.scope, at.label)
        made = self.context.configurator.layer(self.type, at.entry, at.scope, at.label, derived)
        self.context.layers.setdefault(at.path, made)
        return first if first is not None and first == made else made

    def call(self, given: Given) -> Result:
        assert self.layer is not None and isinstance(given, Bound)
        at, bound, names = self.at, given, input_names(self.cls)
        self.context.charge(at.entry.location, layers=1)
        required = [value for name, value in bound.values.items() if name not in names.optional]
        optional = {name: value for name, value in bound.values.items() if name in names.optional}
        try:
            outputs = self.context.builder.call(self.layer, self.target, required, optional)
        except NetspecError as error:
            reads = "; it reads " + ", and ".join(dict.fromkeys(map(_described, bound.values.values())))
            suffix = reads if isinstance(error, ShapeError) and bound.values else ""
            raise type(error)(
                m._replace(message=f"{at.label}: {m.message}{suffix}", location=m.location or at.entry.location)
                for m in error.mistakes
            ) from None
        ports = dict(zip(self.layer.port_names(len(outputs)), outputs, strict=True))
        return Result(ports, "all" if self.layer.numbered_ports else "main")


class BodyUnit(Unit):
    """A block or a group: a body with names of its own."""

    spec: BodySpec
    names: Names

    def call(self, given: Given) -> Result:
        from netspec.expand.body import Body  # a body holds units, and a unit a body

        at = self.at
        if isinstance(given, Reads):
            first = replace(given, implied=True, handed=True, resolved=False)
        else:
            for name, value in given.values.items():
                self.names.add(name, Result({name: value}))
            main = next(iter(given.values), None)
            first = NOTHING if main is None else Reads((self.names.results[main],), (main,), implied=True)
        inner = Body(self.context, self.spec, self.names, (at.path, *self.body.enclosing), at.frozen)
        result = inner.expand(first)
        self.hand_up(inner.mistakes)
        return result

    @abstractmethod
    def hand_up(self, mistakes: Mistakes) -> None:
        """Take over the mistakes of the body."""

    def declare(self, params: Sequence[tuple[str, Named]]) -> None:
        """Claim the names of a block's params, of inputs and of let; let is evaluated when it is asked for."""
        scope, mistakes = self.names.scope, Mistakes()
        groups = (("a param", params), ("a let", tuple(self.spec.let.items())))
        for what, named in groups:
            for name, (key, node) in named:
                with mistakes.collect(key):
                    check_identifier(name, what, key)
                    scope.claim(name, what, key)
                    scope.define_later(name, lambda node=node: value_of(node, scope), key)  # type: ignore[misc]
        for name, key in (self.spec.inputs or {}).items():
            with mistakes.collect(key):
                check_name(name, "an input", key)
                scope.claim(name, "an input", key)
        mistakes.raise_all()


class GroupUnit(BodyUnit):
    """Layers in place: they see the names around them."""

    def __init__(self, body: Body, at: Application, spec: BodySpec) -> None:
        super().__init__(body, at)
        self.spec = spec
        self.inputs = inputs_of(spec)
        self.names = Names(Scope(at.scope), body.names)

    def prepare(self, given: Given | None) -> None:
        if self.spec.let or self.spec.inputs:
            self.declare(())

    def hand_up(self, mistakes: Mistakes) -> None:
        self.body.mistakes.found += mistakes.found


class BlockUnit(BodyUnit):
    """A block: it sees its own names, and its file's params, let and symbols."""

    def __init__(self, body: Body, at: Application, name: str, block: BlockSpec) -> None:
        super().__init__(body, at)
        self.name = name
        self.block = block
        self.spec = block.body
        self.inputs = inputs_of(self.spec)
        self.names = Names(Scope(self.context.scope))

    def prepare(self, given: Given | None) -> None:
        at, entry, known = self.at, self.at.entry, self.block.params
        mistakes = Mistakes()
        for key in ("init", "tie"):  # beside the name of a block they are refused where the entry is read
            if key in entry.keys and entry.type is not None and is_expression(entry.type):
                mistakes.add(f"{at.label}: {key}: a block has none: write it at a layer", entry.keys[key])
        arguments = {}
        for key, node in entry.fields.items():
            with mistakes.collect(prefix=f"{at.label}: {key}: "):
                if key not in known:
                    hint = nearest(key, known) or f"; it has {', '.join(known) or 'none'}"
                    raise LanguageError(f"{self.name} has no such param{hint}", entry.keys[key])
                arguments[key] = value_of(node, at.scope)
        for param, (_, node) in known.items():
            if node.value is None and param not in entry.fields:
                mistakes.add(f"{at.label}: {param} of {self.name} is required", entry.location)
        mistakes.raise_all()
        with mistakes.collect():
            self.declare(tuple(known.items()))
        self.hand_up(mistakes)
        for param, value in arguments.items():
            self.names.scope.define(param, value)

    def call(self, given: Given) -> Result:
        if self.block.gradient is None:
            return self.plain_call(given)
        from netspec.expand.gradients import with_gradient  # which holds units, as this one

        if not isinstance(given, Bound):
            raise FollowsError  # its inputs were refused where the block is written
        return with_gradient(self, self.block.gradient, given)

    def plain_call(self, given: Given) -> Result:
        """Emit its body, without a gradient of its own."""
        if self.name in self.context.endless:
            raise FollowsError  # told where the block is written
        if self.name in self.context.open_blocks:
            circle = [*self.context.open_blocks[self.context.open_blocks.index(self.name) :], self.name]
            raise LanguageError(
                f"{self.at.label}: a block contains itself: {', '.join(circle)}", self.at.entry.location
            )
        self.context.open_blocks.append(self.name)
        try:
            return super().call(given)
        finally:
            self.context.open_blocks.pop()

    def hand_up(self, mistakes: Mistakes) -> None:
        """A mistake inside a block says where the block is used, and is told for its first use only."""
        at = self.at
        used = f"{USED}{self.name}, used by {at.label} ({at.entry.location})"
        for mistake in mistakes.found:
            key = mistake.location, mistake.message.removeprefix(f"{at.path}.")
            if USED in mistake.message or key not in self.context.told:  # a block inside has told it just now
                self.context.told.add(key)
                self.body.mistakes.found.append(Mistake(mistake.message + used, mistake.location))


def find_unit(body: Body, at: Application, type: object) -> LayerUnit | BlockUnit:
    """What a type names: a layer, or a block of this file. Raises LanguageError with the nearest name."""
    assert at.entry.type is not None
    location = at.entry.type.location
    if not isinstance(type, str) or not is_block(type):
        return LayerUnit(body, at, check_layer_type(type, location))
    blocks = body.context.spec.blocks
    if type not in blocks:
        if body.context.spec.incomplete:
            raise FollowsError
        hint = nearest(type, [*blocks, *LAYER_TYPES])
        raise LanguageError(f"there is no block {printable(type[:64])}{hint}", location)
    return BlockUnit(body, at, type, blocks[type])


def _described(value: Value) -> str:
    """`[batch, 12] from conv1 (file:line:col)`: the other end of an edge."""
    origin = value.origin
    assert origin is not None
    where = f" ({origin.location})" if origin.location else ""
    return f"{format_shape(value.shape)} from {origin.path}{where}"
