"""Reads and changes the references of a spec in plain data: `from`, `else`, `share`, `cond`, `tie`, `outputs`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Change = Callable[[str], str]


def changed(value: Any, change: Change) -> Any:
    """References of `from` or `outputs`, in whatever form, each changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [changed(each, change) for each in value]
    return {key: changed(each, change) if key != "only" else each for key, each in value.items()}


def changed_entry(entry: Any, change: Change, path: Change | None = None) -> Any:
    """An entry with all its references changed, those inside it too; `path` changes paths of `tie`."""
    if isinstance(entry, str):
        return entry
    new = dict(entry)
    for key in ("from", "else", "share", "cond"):
        if key in new:
            new[key] = changed(new[key], change)
    if "tie" in new:
        new["tie"] = {name: (path or change)(where) for name, where in new["tie"].items()}
    for key in ("layers", "branches"):
        if key in new:
            new[key] = [changed_entry(each, change, path) for each in new[key]]
    return new


def references_in(value: Any) -> list[str]:
    """The references of `from` or `outputs`, in order."""
    found: list[str] = []

    def note(reference: str) -> str:
        found.append(reference)
        return reference

    changed(value, note)
    return found


def names_read(value: Any) -> set[str]:
    """The names, without ports, that `from` or `outputs` refers to."""
    return {reference.partition(":")[0] for reference in references_in(value)}


def names_of(entry: Any) -> set[str]:
    """All names that an entry refers to, those of paths by their first part."""
    found: set[str] = set()

    def note(reference: str) -> str:
        found.add(reference.partition(":")[0])
        return reference

    def note_path(path: str) -> str:
        found.update(path[:place] for place, letter in enumerate(path) if letter == ".")
        found.add(path)
        return path

    changed_entry(entry, note, note_path)
    return found


def references_of(entry: Mapping[str, Any]) -> list[str]:
    """The references of one entry's `from`, in order."""
    return references_in(entry["from"]) if "from" in entry else []


def entries(layers: Any) -> Iterator[dict[str, Any]]:
    """All entries that are mappings, those inside groups too."""
    for entry in layers:
        if isinstance(entry, dict):
            yield entry
            yield from entries((*entry.get("layers", ()), *entry.get("branches", ())))


def bodies(spec: Mapping[str, Any]) -> Iterator[list[Any]]:
    """Every list of entries: the model's, those of blocks, of groups and of branches."""
    for body in (spec, *spec.get("blocks", {}).values()):
        yield body["layers"]
        for entry in entries(body["layers"]):
            for key in ("layers", "branches"):
                if key in entry:
                    yield entry[key]
