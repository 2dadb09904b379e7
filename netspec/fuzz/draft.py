"""A spec that grows: plain data and what is known of its values, asked of the front end at every step."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netspec.analysis.index_bounds import index_bounds
from netspec.errors import NetspecError
from netspec.fuzz.references import changed_entry, references_of
from netspec.graph.dims import evaluate
from netspec.graph.graph import Graph
from netspec.graph.indices import read_as_indices
from netspec.graph.types import INTEGERS
from netspec.spec import Spec, loads

Entry = dict[str, Any]
# Above so many elements, at the sizes below, a value is too large to be worth its time.
MAX_ELEMENTS = 3000
MAX_INPUTS = 5


@dataclass(frozen=True)
class Held:
    """A value that entries may read: its reference, its sizes (a number, or the text of a symbolic one), its dtype."""

    reference: str
    shape: tuple[int | str, ...]
    dtype: str

    @property
    def rank(self) -> int:
        return len(self.shape)


@dataclass
class Draft:
    """The spec so far. `trials` counts what the front end was asked, `refused` what it did not take."""

    rng: random.Random
    spec: dict[str, Any] = field(default_factory=lambda: {"netspec": 1, "name": "fuzzed", "inputs": {}, "layers": []})
    values: list[Held] = field(default_factory=list)
    trials: int = 0
    refused: int = 0
    _count: int = 0

    @property
    def layers(self) -> list[Any]:
        layers: list[Any] = self.spec["layers"]
        return layers

    def name(self, stem: str) -> str:
        """A name that no entry has."""
        self._count += 1
        return f"{stem}{self._count}"

    def read(self, spec: Mapping[str, Any]) -> Spec | None:
        """The spec that the front end makes of plain data, with both graphs; None where it refuses.

        Or where an integer input holds no index: nobody could say what numbers to give it.
        """
        self.trials += 1
        try:
            loaded = loads(json.dumps(spec), file="draft.json")
            pair = loaded.graphs
        except NetspecError:
            self.refused += 1
            return None
        return (
            None
            if any(_unbounded(graph) or _out_of_range(graph) for graph in (pair.inference, pair.training))
            else loaded
        )

    def add(self, entries: Sequence[Entry], references: Iterable[str]) -> bool:
        """Append entries, and hold the values that `references` name; False where the spec is refused."""
        names = list(dict.fromkeys(references))
        outputs = {f"o{place}": name for place, name in enumerate(names)}
        loaded = self.read({**(self._alone(entries) or self._whole(entries)), "outputs": outputs})
        if loaded is None:
            return False
        found = [output.value.type for output in loaded.inference.outputs]
        sizes = dict.fromkeys(loaded.inference.symbols(), 5)
        every = [value.type for node in loaded.training.primitives() for value in node.outputs]
        if any(evaluate(type.size, sizes) > MAX_ELEMENTS for type in every):
            return False
        self.spec["layers"] = [*self.layers, *entries]
        for name, type in zip(names, found, strict=True):
            shape = tuple(size if isinstance(size, int) else str(size) for size in type.shape)
            self.values.append(Held(name, shape, type.dtype))
        return True

    def _whole(self, entries: Sequence[Entry]) -> dict[str, Any]:
        return {**self.spec, "layers": [*self.layers, *entries]}

    def _alone(self, entries: Sequence[Entry]) -> dict[str, Any] | None:
        """Entries alone, on inputs of the types that they read: what is there already need not be read each time.

        None where an input can have no such type: sizes that are computed, integers that a layer gives.
        """
        held = {value.reference: value for value in self.values}
        own = {entry["name"] for entry in entries}
        read = [name for entry in entries for name in references_of(entry) if name.partition(":")[0] not in own]
        inputs: dict[str, Any] = {}
        given: dict[str, str] = {}
        for reference in dict.fromkeys(read):
            value = held[reference]
            index = value.dtype in INTEGERS and reference not in self.spec["inputs"]
            if index or any(isinstance(size, str) and not size.isidentifier() for size in value.shape):
                return None
            given[reference] = f"given{len(given)}"
            inputs[given[reference]] = _input(value.shape, value.dtype)
        symbols = {size for each in self.spec["inputs"].values() for size in each["shape"] if isinstance(size, str)}
        inputs |= {f"size_{symbol}": {"shape": [symbol]} for symbol in sorted(symbols)}
        layers = [changed_entry(entry, lambda reference: given.get(reference, reference)) for entry in entries]
        return {**self.spec, "inputs": inputs, "layers": layers}

    def add_input(self, shape: Sequence[int | str], dtype: str = "float") -> Held:
        """A new input of the model: what it is sure to take."""
        name = self.name({"float": "x", "bool": "flags"}.get(dtype, "index"))
        self.spec["inputs"] = {**self.spec["inputs"], name: _input(shape, dtype)}
        held = Held(name, tuple(shape), dtype)
        self.values.append(held)
        return held

    def need(self, shape: Sequence[int | str], dtype: str = "float", fresh: bool = False) -> Held:
        """Some value of this type: one that is there, a parameter, or a new input."""
        wanted = tuple(shape)
        there = [held for held in self.values if (held.shape, held.dtype) == (wanted, dtype)]
        if there and not fresh and self.rng.random() < 0.8:
            return self.rng.choice(there)
        symbolic = any(isinstance(size, str) and not size.isidentifier() for size in wanted)
        if dtype == "float" and not any(isinstance(size, str) for size in wanted) and self.rng.random() < 0.4:
            name = self.name("p")
            entry = {"name": name, "type": "parameter", "shape": list(wanted), "init": {"type": "normal", "std": 0.5}}
            if self.add([entry], [name]):
                return self.values[-1]
        if symbolic or len(self.spec["inputs"]) >= MAX_INPUTS:
            return self._made(wanted, dtype)
        return self.add_input(wanted, dtype)

    def _made(self, shape: tuple[int | str, ...], dtype: str) -> Held:
        """A value of a shape that no input can have: zeros or ones of it; else an input all the same."""
        if dtype == "float":
            name = self.name("c")
            entry = {"name": name, "type": self.rng.choice(["zeros", "ones"]), "shape": written_shape(shape)}
            if self.add([entry], [name]):
                return self.values[-1]
        return self.add_input([size if isinstance(size, int) or size.isidentifier() else 3 for size in shape], dtype)


def _input(shape: Sequence[int | str], dtype: str) -> dict[str, Any]:
    return {"shape": list(shape)} | ({} if dtype == "float" else {"dtype": dtype})


def _unbounded(graph: Graph) -> bool:
    """Whether some integers that are read are not indices of anything."""
    integers = {entry.name: entry.value for entry in graph.inputs if entry.value.type.dtype in INTEGERS}
    if not integers:
        return False
    read = {value for node in graph.nodes for value in node.inputs} | {output.value for output in graph.outputs}
    bounded = index_bounds(graph)
    return any(value in read and name not in bounded for name, value in integers.items())


def _out_of_range(graph: Graph) -> bool:
    """Whether it reads integers as indices that it computes and nothing is known of: each framework reads its own."""
    read = read_as_indices(graph.nodes)
    return any(
        value in read and node.op.index_range(types) is None and not node.op.moved(types)
        for node in graph.all_primitives()
        for types in [tuple(each.type for each in node.inputs)]
        for value in node.outputs
    )


def written_shape(shape: Iterable[int | str]) -> list[int | str]:
    """Sizes as a field takes them: a symbolic one is an expression."""
    return [size if isinstance(size, int) else f"$({size})" for size in shape]
