"""A file and all that it includes, joined to one ModelSpec."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from json import dumps
from typing import Any, TypeVar

from netspec.errors import LanguageError, Location, Mistake, Mistakes, printable
from netspec.language.document import Document, Node
from netspec.language.include_path import IncludePaths
from netspec.language.reader import read_included
from netspec.language.spec import BodySpec, FileSpec, ModelSpec, Named, Names
from netspec.language.structure import INPUTS_REQUIRED, file_spec

MAX_INCLUDES = 64
MAX_DEPTH = 8
MAX_BYTES = 8 * 2**20

WHOLE = ("inputs", "layers", "outputs", "freeze")  # taken whole from an include where the file has none
JOINED = ("params", "let", "blocks")

T = TypeVar("T")


def model_spec(document: Document) -> ModelSpec:
    """The file with what it includes. Mistakes stand in the result; only a file that cannot be read raises."""
    joiner = _Joiner(document)
    joined = joiner.joined(file_spec(document), (os.path.normpath(document.file),))
    mistakes = joiner.mistakes
    body = BodySpec(document.root.location, joined.whole.get("layers", ()), outputs=joined.whole.get("outputs", {}))
    inputs: Names = joined.whole.get("inputs", {})
    incomplete = joiner.incomplete or any(file.incomplete for file in joiner.files)
    for part, message in (("inputs", INPUTS_REQUIRED), ("layers", "layers is required: a list of layers")):
        if part not in joined.whole and not incomplete:  # else what is in error may have had it
            mistakes.add(message, document.root.location)
    return ModelSpec(
        file=document.file,
        location=document.root.location,
        name=joined.file.name,
        params=joined.names["params"],
        let=joined.names["let"],
        blocks=joined.names["blocks"],
        inputs=inputs,
        body=body,
        freeze=joined.whole.get("freeze"),
        defaults=tuple(file.defaults for file in joiner.files),
        mistakes=mistakes,
        included=joiner.included,
        broken_inputs=frozenset().union(*(file.broken_inputs for file in joiner.files)),
        incomplete=incomplete or bool({"inputs", "layers"} - joined.whole.keys()),
    )


@dataclass
class _Joined:
    """A file with what its includes add to it."""

    file: FileSpec
    names: dict[str, Any] = field(default_factory=dict)  # for each of JOINED its names
    whole: dict[str, Any] = field(default_factory=dict)  # those of WHOLE that there are


class _Joiner:
    def __init__(self, document: Document) -> None:
        self.mistakes = Mistakes()
        self.paths = IncludePaths(document.file)
        self.files: list[FileSpec] = []
        self.included: dict[str, Location] = {}
        self.incomplete = False
        self._known: dict[str, _Joined] = {}
        self._count = 0
        self._bytes = 0

    def joined(self, file: FileSpec, chain: tuple[str, ...]) -> _Joined:
        """`file` with its includes; `chain` are the files from the first to this one."""
        self.files.append(file)
        self.mistakes.found += file.mistakes.found
        others: list[_Joined] = []
        for node in file.include:
            with self.mistakes.collect(node.location):
                try:
                    others.append(self._other(node, file.file, chain))
                except LanguageError:
                    self.incomplete = True
                    raise
        result = _Joined(file)
        numbers = {**file.params, **file.let}
        for part in JOINED:
            own: Mapping[str, Any] = getattr(file, part)
            settled = own if part == "blocks" else numbers  # a let of this file may replace an included param
            result.names[part] = {**self._merged(part, settled, file, others), **own}
        for part in WHOLE:
            own_part = getattr(file, part)
            given = [other for other in others if part in other.whole]
            if own_part is not None:
                result.whole[part] = own_part
            elif given:
                result.whole[part] = given[0].whole[part]
                for other in given[1:]:
                    if _differs(other.whole[part], given[0].whole[part]):
                        self._differ(part, file, given[0], other)
        return result

    def _merged(self, part: str, own: Mapping[str, Any], file: FileSpec, others: list[_Joined]) -> dict[str, Any]:
        """What the includes of `file` give that it does not settle itself by `own`."""
        found: dict[str, Any] = {}
        giver: dict[str, _Joined] = {}
        for other in others:
            for name, value in other.names[part].items():
                if name in own:
                    continue
                if name in found and _differs(found[name], value):
                    self._differ(f"{part}: {name}", file, giver[name], other)
                found.setdefault(name, value)
                giver.setdefault(name, other)
        return found

    def _differ(self, what: str, file: FileSpec, one: _Joined, other: _Joined) -> None:
        message = f"{what} differs in {one.file.file} and {other.file.file}: give it in the file that includes both"
        self.mistakes.add(message, file.include[0].location)

    def _other(self, node: Node, file: str, chain: tuple[str, ...]) -> _Joined:
        assert isinstance(node.value, str)
        path = self.paths.resolve(node.value, file, node.location)
        if path in chain:
            circle = " includes ".join(printable(each) for each in (*chain[chain.index(path) :], path))
            raise LanguageError(f"include: a circle: {circle}", node.location)
        self._count += 1
        if self._count > MAX_INCLUDES:
            raise LanguageError(f"include: more than {MAX_INCLUDES} includes in all", node.location)
        if len(chain) > MAX_DEPTH:
            raise LanguageError(f"include: more than {MAX_DEPTH} deep", node.location)
        if path not in self._known:
            self.included.setdefault(path, node.location)
            document, size = read_included(path, self.paths.is_zoo(path), MAX_BYTES - self._bytes)
            self._bytes += size
            self._known[path] = self.joined(file_spec(document), (*chain, path))
        return self._known[path]


def _differs(one: Any, other: Any) -> bool:
    """Whether two files say different things under one name.

    Params, lets, inputs and globs are compared by their values; blocks, layers and outputs of two files always differ.
    """
    if one is other:
        return False
    if isinstance(one, Node) and isinstance(other, Node):
        return dumps(one.plain(), sort_keys=True) != dumps(other.plain(), sort_keys=True)  # 1, 1.0 and true differ
    if isinstance(one, Named) and isinstance(other, Named):
        return _differs(one.node, other.node)
    if isinstance(one, dict) and isinstance(other, dict) and list(one) == list(other):
        return any(_differs(one[name], other[name]) for name in one)
    return True


def with_includes(mistakes: Any, included: Mapping[str, Location]) -> list[Mistake]:
    """Mistakes in included files say where the file is included."""
    found: list[Mistake] = []
    for mistake in mistakes:
        place = included.get(mistake.location.file) if mistake.location else None
        suffix = ""
        while place is not None:
            suffix += f"; included at {place}"
            place = included.get(place.file)
        found.append(mistake._replace(message=mistake.message + suffix) if suffix else mistake)
    return found
