"""The parts of a spec: files, blocks, bodies and entries, all still unevaluated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from netspec.errors import Location, Mistakes
from netspec.language.document import NO_KEYS, Node

VERSION = 1

Nodes = Mapping[str, Node]


class Named(NamedTuple):
    """What stands under a name in a mapping of names, and where the name is written."""

    key: Location
    node: Node


Names = Mapping[str, Named]


@dataclass(frozen=True, eq=False)
class Defaults:
    """The `defaults` of one file: they hold for the entries that are written in it."""

    types: Nodes = field(default_factory=dict)


@dataclass(frozen=True)
class Loop:
    """`repeat`, `parallel`, `scan` or `while` of an entry, and what stands there."""

    kind: Literal["repeat", "parallel", "scan", "while"]
    node: Node


@dataclass(frozen=True)
class EntrySpec:
    """One entry of `layers`: a layer or block (`type`), a group (`body`), another entry once more (`share`) or one
    of several entries (`branches`), which `chooser` chooses.

    All four are None where the entry is in error; it keeps its name, so that what reads it is not in error too.
    """

    location: Location
    defaults: Defaults
    type: Node | None = None
    body: BodySpec | None = None
    share: Node | None = None
    branches: tuple[EntrySpec, ...] | None = None
    chooser: Node | None = None  # the key `cond`
    name: Node | None = None
    source: Node | None = None  # the key `from`
    condition: Node | None = None  # the key `if`
    otherwise: Node | None = None  # the key `else`
    loop: Loop | None = None
    frozen: Node | None = None
    initializers: Node | None = None  # the key `init`
    tie: Node | None = None
    fields: Nodes = field(default_factory=dict)
    keys: Mapping[str, Location] = field(default_factory=lambda: NO_KEYS)

    @property
    def broken(self) -> bool:
        """Whether its structure is in error."""
        return self.type is None and self.body is None and self.share is None and self.branches is None


@dataclass(frozen=True)
class OutputSpec:
    """One output of a body: what it refers to, when it is there, and whether training alone has it."""

    key: Location
    source: Node
    condition: Node | None = None
    training_only: bool = False


@dataclass(frozen=True)
class BodySpec:
    """A list of entries with what they are given and give: of a file, a block or a group."""

    location: Location
    layers: tuple[EntrySpec, ...]
    inputs: Mapping[str, Location] | None = None  # of a block or a group; None where none are written
    let: Names = field(default_factory=dict)
    outputs: Mapping[str, OutputSpec] = field(default_factory=dict)

    @property
    def end(self) -> Location:
        """Where the last entry is written."""
        return self.layers[-1].location if self.layers else self.location


@dataclass(frozen=True)
class BlockSpec:
    """A body with params, under a name of its own. `gradient` names the block that says what flows back through it."""

    key: Location
    params: Names
    body: BodySpec
    gradient: Node | None = None


@dataclass(frozen=True)
class FileSpec:
    """One file as it is written; a part that it does not have is None. `mistakes` are those of its structure.

    `broken_inputs` are those without a right shape. `incomplete` says that a whole part is missing because it is in
    error: an unknown name may be one of its names.
    """

    file: str
    location: Location
    name: Node | None
    include: tuple[Node, ...]
    params: Names
    let: Names
    blocks: Mapping[str, BlockSpec]
    defaults: Defaults
    inputs: Names | None
    layers: tuple[EntrySpec, ...] | None
    outputs: Mapping[str, OutputSpec] | None
    freeze: Node | None
    mistakes: Mistakes
    broken_inputs: frozenset[str] = frozenset()
    incomplete: bool = False


@dataclass(frozen=True)
class ModelSpec:
    """A file with all that it includes, as one. `included` says of each file below it where it is included."""

    file: str
    location: Location
    name: Node | None
    params: Names
    let: Names
    blocks: Mapping[str, BlockSpec]
    inputs: Names
    body: BodySpec
    freeze: Node | None
    defaults: tuple[Defaults, ...]
    mistakes: Mistakes
    included: Mapping[str, Location] = field(default_factory=dict)
    broken_inputs: frozenset[str] = frozenset()
    incomplete: bool = False


def is_free(key: str) -> bool:
    """Whether a key is free for the writer's own notes."""
    return key.startswith("x-") or key == "description"


def is_block(type: str) -> bool:
    """Whether the name of a type is that of a block: it begins with a capital."""
    return type[:1].isupper()
