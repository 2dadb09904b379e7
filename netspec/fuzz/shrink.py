"""Cuts a failing spec down to the smallest one that fails in the same way."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from netspec.errors import NetspecError
from netspec.fuzz.generator import FuzzedGraph, written
from netspec.fuzz.references import bodies, changed, changed_entry, entries, names_of, names_read, references_of
from netspec.layers import LAYER_TYPES
from netspec.layers.base import input_names

Data = dict[str, Any]
Fails = Callable[[FuzzedGraph], bool]
# Candidates that are run, at most: each is a compilation on the backend that fails.
MAX_TRIALS = 300
# Keys of a spec and of an entry that can be left out as they are.
SPEC_KEYS = ("description", "x-note", "freeze", "defaults", "params", "let", "blocks")
FIXED_KEYS = {"name", "type", "from", "layers"}


def shrink(graph: FuzzedGraph, fails: Fails, trials: int = MAX_TRIALS) -> FuzzedGraph:
    """The smallest spec found that still fails; `fails` runs a graph and says whether it fails in the same way.

    Greedy: the first smaller spec that the front end takes and that fails becomes the next to be cut, until none is
    left or `trials` have been run.
    """
    best, left = graph, trials
    plainer = replace(best, dims={}, whole=False)
    for simple in (replace(best, dims={}), replace(best, whole=False), plainer):
        if simple != best and fails(simple):
            best = simple
    data = _written_out(best.data)
    plain = replace(best, data=data, text=written(data, "yaml"), style="yaml")
    if data != best.data and _loads(plain) and fails(plain):
        best = plain
    progress = True
    while progress and left > 0:
        progress = False
        for data in smaller(best.data):
            candidate = replace(best, data=data, text=written(data, "yaml"), style="yaml")
            if not _loads(candidate):
                continue
            left -= 1
            if fails(candidate):
                best, progress = candidate, True
                break
            if left == 0:
                break
    return best


def _written_out(spec: Mapping[str, Any]) -> Data:
    """Every entry has a name, and says what it reads where that is the one before it: so that each can be cut out."""
    layers: list[Data] = []
    for place, each in enumerate(spec["layers"]):
        entry = {"type": each} if isinstance(each, str) else dict(each)
        entry.setdefault("name", f"entry{place}")
        layer = LAYER_TYPES.get(entry.get("type", ""))
        if place and layer is not None and len(input_names(layer).required) == 1:
            entry.setdefault("from", layers[-1]["name"])
        layers.append(entry)
    return {**spec, "layers": layers}


def _loads(graph: FuzzedGraph) -> bool:
    try:
        _ = graph.load().graphs
    except NetspecError:
        return False
    return True


def smaller(spec: Mapping[str, Any]) -> Iterator[Data]:
    """Specs with one thing less, the largest cuts first."""
    yield from _fewer_outputs(spec)
    yield from _without_entries(spec)
    yield from _flatter(spec)
    for key in SPEC_KEYS:
        if key in spec:
            yield {name: value for name, value in spec.items() if name != key}
    yield from _fewer_inputs(spec)
    yield from _fewer_keys(spec)
    yield from _smaller_numbers(spec)


def _fewer_outputs(spec: Mapping[str, Any]) -> Iterator[Data]:
    outputs = spec["outputs"]
    if len(outputs) > 1:
        for name, reference in outputs.items():
            yield {**spec, "outputs": {name: reference}}
        for name in outputs:
            yield {**spec, "outputs": {each: value for each, value in outputs.items() if each != name}}
    for name, reference in outputs.items():
        if isinstance(reference, dict):
            yield {**spec, "outputs": {**outputs, name: reference["from"]}}


def _without_entries(spec: Mapping[str, Any]) -> Iterator[Data]:
    """Without an entry at all, and with what reads it reading one of its inputs."""
    for place in reversed(range(len(spec["layers"]))):
        entry = spec["layers"][place]
        rest = [*spec["layers"][:place], *spec["layers"][place + 1 :]]
        yield {**spec, "layers": rest}
        if isinstance(entry, dict) and "name" in entry:
            for reference in dict.fromkeys(references_of(entry)):
                yield _redirected({**spec, "layers": rest}, entry["name"], reference)
            # An input of the model in its place cuts off all that leads here; any small shape may do.
            for shape in (["batch", 3], ["batch", 2, 3], ["batch", 2, 4, 4]):
                inputs = {**spec["inputs"], f"in_{entry['name']}": {"shape": shape}}
                yield _redirected({**spec, "layers": rest, "inputs": inputs}, entry["name"], f"in_{entry['name']}")


def _redirected(spec: Data, name: str, reference: str) -> Data:
    """With everything that reads `name`, or a port of it, reading `reference`."""

    def change(old: str) -> str:
        return reference if old.partition(":")[0] == name else old

    layers = [changed_entry(entry, change, lambda path: path) for entry in spec["layers"]]
    return {**spec, "layers": layers, "outputs": changed(spec["outputs"], change)}


def _flatter(spec: Mapping[str, Any]) -> Iterator[Data]:
    """A group as its entries, a block as a group."""
    for place, entry in enumerate(spec["layers"]):
        if not isinstance(entry, dict):
            continue
        if "layers" in entry:
            inner = [dict(each) if isinstance(each, dict) else {"type": each} for each in entry["layers"]]
            inner[-1]["name"] = entry.get("name", f"last{place}")
            if "from" in entry:
                inner[0].setdefault("from", entry["from"])
            layers = [*spec["layers"][:place], *inner, *spec["layers"][place + 1 :]]
            yield _written_out({**spec, "layers": layers})
        block = spec.get("blocks", {}).get(entry.get("type"))
        if block is not None and isinstance(entry.get("from"), dict):
            given = entry["from"]
            body = [changed_entry(each, partial(_given, given)) for each in block["layers"]]
            group = {key: value for key, value in entry.items() if key not in ("type", "from")} | {"layers": body}
            layers = [*spec["layers"][:place], group, *spec["layers"][place + 1 :]]
            yield _written_out({**spec, "layers": layers})


def _given(given: Mapping[str, str], name: str) -> str:
    return given.get(name, name)


def _fewer_inputs(spec: Mapping[str, Any]) -> Iterator[Data]:
    read = {name for body in bodies(spec) for entry in body for name in names_of(entry)} | names_read(spec["outputs"])
    for name, held in spec["inputs"].items():
        if name not in read and len(spec["inputs"]) > 1:
            yield {**spec, "inputs": {each: value for each, value in spec["inputs"].items() if each != name}}
        for key in ("default", "dtype"):
            if key in held:
                less = {each: value for each, value in held.items() if each != key}
                yield {**spec, "inputs": {**spec["inputs"], name: less}}


def _fewer_keys(spec: Mapping[str, Any]) -> Iterator[Data]:
    count = len(list(_entries(spec)))
    for place in range(count):
        for key in list(_entries(spec))[place]:
            if key not in FIXED_KEYS:
                changed_spec: Data = copy.deepcopy(dict(spec))
                del list(_entries(changed_spec))[place][key]
                yield changed_spec


def _smaller_numbers(spec: Mapping[str, Any]) -> Iterator[Data]:
    """Each whole number of an entry or of an input's shape as 1, 2, or one less; each expression as a small number."""
    for path, value in [*_leaves(spec["inputs"], ("inputs",)), *_leaves(spec["layers"], ("layers",))]:
        if type(value) is int:
            numbers = [less for less in dict.fromkeys((1, 2, value - 1)) if 0 < less < value]
        else:
            numbers = [1, 2, 3] if isinstance(value, str) and value.startswith("$(") and value.endswith(")") else []
        for number in numbers:
            changed_spec: Data = copy.deepcopy(dict(spec))
            holder: Any = changed_spec
            for step in path[:-1]:
                holder = holder[step]
            holder[path[-1]] = number
            yield changed_spec


def _leaves(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """What is no mapping and no list, with the steps that lead to it."""
    if not isinstance(value, dict | list):
        yield path, value
        return
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _leaves(inner, (*path, key))


def _entries(spec: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield from entries(spec["layers"])
    for block in spec.get("blocks", {}).values():
        yield from entries(block["layers"])
