"""What a spec can say beside its layers: each feature rewrites a valid draft, and stays where the front end takes it.

A feature is a function of a draft that gives the changed spec, or None where there is nothing to change. A new key of
the language is one more function in FEATURES.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from netspec.fuzz.control_features import branches, by_mode, gradient, scan, while_loop
from netspec.fuzz.draft import Draft, Entry, Held
from netspec.fuzz.recipes import recipe
from netspec.fuzz.references import changed_entry, names_of, names_read, references_of
from netspec.layers import LAYER_TYPES

Feature = Callable[[Draft], dict[str, Any] | None]
# What has a weight in most cases: what is shared, tied and started otherwise.
WEIGHTY = {
    *("linear", "embedding", "batch_norm", "layer_norm", "rms_norm", "group_norm", "prelu"),
    *(f"{stem}{rank}d" for stem in ("conv", "conv_transpose") for rank in (1, 2, 3)),
}
INITIALIZERS = (
    "ones",
    {"type": "normal", "std": 0.4},
    {"type": "uniform", "low": -0.5, "high": 0.75},
    "xavier_uniform",
)


def apply_features(draft: Draft, count: int) -> None:
    """Try so many features; `draft.spec` becomes what the front end took."""
    for feature in draft.rng.choices(FEATURES, k=count):
        changed_spec = feature(draft)
        if changed_spec is not None and draft.read(changed_spec) is not None:
            draft.spec = changed_spec


def _layers(draft: Draft, single: bool = False) -> list[Entry]:
    """Entries that are layers of their own; with `single` those with exactly one input."""
    named = [entry for entry in draft.layers if isinstance(entry, dict) and "name" in entry]
    found = [entry for entry in named if entry.get("type", "") in LAYER_TYPES]
    return [entry for entry in found if isinstance(entry.get("from"), str)] if single else found


def _with(draft: Draft, entry: Entry, **keys: Any) -> dict[str, Any]:
    """The spec with one entry given further keys."""
    return _replaced(draft, entry, {**entry, **keys})


def _replaced(draft: Draft, entry: Entry, new: Entry) -> dict[str, Any]:
    spec = copy.copy(draft.spec)
    place = next(place for place, each in enumerate(draft.layers) if each is entry)
    spec["layers"] = list(draft.layers)
    spec["layers"][place] = new
    return spec


def _values(draft: Draft) -> dict[str, Held]:
    return {held.reference: held for held in draft.values}


def _keeps_type(draft: Draft, entry: Entry) -> bool:
    held = _values(draft)
    x, y = held.get(entry["from"]), held.get(entry["name"])
    return x is not None and y is not None and (x.shape, x.dtype) == (y.shape, y.dtype)


def frozen(draft: Draft) -> dict[str, Any] | None:
    found = _layers(draft)
    return (
        _with(draft, draft.rng.choice(found), frozen=draft.rng.choice((True, True, False, "weights")))
        if found
        else None
    )


def freeze(draft: Draft) -> dict[str, Any]:
    names = [entry["name"] for entry in draft.layers if isinstance(entry, dict) and "name" in entry] or ["*"]
    chosen = draft.rng.choice(names)
    globs = draft.rng.choice((["*"], [chosen], ["*", f"!{chosen}"], [f"{chosen[:3]}*"], ["*.bias"]))
    return {**draft.spec, "freeze": globs}


def init(draft: Draft) -> dict[str, Any] | None:
    found = [entry for entry in _layers(draft) if entry["type"] in WEIGHTY]
    if not found:
        return None
    entry, name = draft.rng.choice(found), draft.rng.choice(("weight", "weight", "bias"))
    fan = name == "weight" and "norm" not in entry["type"] and entry["type"] != "prelu"  # two dimensions or more
    start = draft.rng.choice([each for each in INITIALIZERS if fan or each != "xavier_uniform"])
    return _with(draft, entry, init={name: start})


def defaults(draft: Draft) -> dict[str, Any] | None:
    """A field of an entry moves to where it holds for all entries of the type."""
    fields = [
        (entry, key) for entry in _layers(draft) for key in entry if key in LAYER_TYPES[entry["type"]].model_fields
    ]
    fields = [
        (entry, key) for entry, key in fields if key != "type" and key != "value" and entry["type"] != "parameter"
    ]
    if not fields or "defaults" in draft.spec:
        return None
    entry, key = draft.rng.choice(fields)
    spec = _replaced(draft, entry, {each: value for each, value in entry.items() if each != key})
    return {**spec, "defaults": {entry["type"]: {key: entry[key]}}}


def param(draft: Draft) -> dict[str, Any] | None:
    """A number of an entry becomes an expression of a param or of a local name."""
    numbers = [
        (entry, key) for entry in _layers(draft) for key, value in entry.items() if type(value) is int and value > 0
    ]
    if not numbers:
        return None
    entry, key = draft.rng.choice(numbers)
    value, name = entry[key], draft.name("n")
    form = draft.rng.choice(("params", "let", "list", "choice"))
    if form == "params":
        spec = _with(draft, entry, **{key: f"$({name})"})
        return {**spec, "params": {**spec.get("params", {}), name: value}}
    if form == "let":
        spec = _with(draft, entry, **{key: f"$({name} + 1)"})
        return {**spec, "let": {**spec.get("let", {}), name: f"$({value} * 2 // 2 - 1)"}}
    text = f"$([1, {value}, 7][1])" if form == "list" else f"$({value} if {value} > 0 else {value + 1})"
    return _with(draft, entry, **{key: text})


def condition(draft: Draft) -> dict[str, Any] | None:
    """An entry that may be absent, by a param: its name stands for its input, or for another value."""
    found = [entry for entry in _layers(draft, single=True) if "if" not in entry]
    if not found:
        return None
    entry, name = draft.rng.choice(found), draft.name("flag")
    there = draft.rng.random() < 0.7 or not _keeps_type(draft, entry)
    spec = _with(draft, entry, **{"if": f"$({name})"}, **({"else": entry["from"]} if draft.rng.random() < 0.5 else {}))
    return {**spec, "params": {**spec.get("params", {}), name: there}}


def repeat(draft: Draft) -> dict[str, Any] | None:
    """An entry that gives the type it takes runs several times, each time with weights of its own."""
    found = [e for e in _layers(draft, single=True) if _keeps_type(draft, e) and not {"repeat", "tie"} & set(e)]
    found = [e for e in found if _takes_all(e)]
    if not found:
        return None
    entry = draft.rng.choice(found)
    if draft.rng.random() < 0.5:
        return _with(draft, entry, repeat=draft.rng.choice((1, 2, 3)))
    inner = {key: value for key, value in entry.items() if key not in ("name", "from")}
    second = draft.rng.choice(("identity", "tanh", {"type": "formula", "expr": "x * 0.5 + i"}))
    return _replaced(
        draft, entry, {"name": entry["name"], "from": entry["from"], "repeat": 2, "layers": [inner, second]}
    )


def _takes_all(entry: dict[str, Any]) -> bool:
    """Whether an entry takes every number: the logarithm of a logarithm, or of what is 0, is seldom a number."""
    return recipe(entry["type"]).domain == "any"


def parallel(draft: Draft) -> dict[str, Any] | None:
    """Several copies beside each other, and what joins them again."""
    found = [e for e in _layers(draft, single=True) if not {"repeat", "tie", "if"} & set(e)]
    found = [e for e in found if e["type"] != "buffer" and _float(draft, e["name"])]
    if not found:
        return None
    entry, several = draft.rng.choice(found), draft.name("several")
    spec = _with(draft, entry)
    place = next(
        place
        for place, each in enumerate(spec["layers"])
        if isinstance(each, dict) and each.get("name") == entry["name"]
    )
    copies = {**entry, "name": several, "parallel": draft.rng.choice((2, 2, 3))}
    join = {"name": entry["name"], "type": draft.rng.choice(("add", "mul")), "from": several}
    spec["layers"][place : place + 1] = [copies, join]
    return spec


def _float(draft: Draft, reference: str) -> bool:
    held = _values(draft).get(reference)
    return held is not None and held.dtype == "float"


def share(draft: Draft) -> dict[str, Any] | None:
    """An entry applied once more, to another value of the type it takes; the result is an output."""
    found = [e for e in _layers(draft, single=True) if not {"repeat", "parallel", "tie", "if"} & set(e)]
    found = [e for e in found if e["type"] != "buffer" and _values(draft).get(e["from"]) is not None and _takes_all(e)]
    if not found:
        return None
    weighty = [e for e in found if e["type"] in WEIGHTY]
    entry, held = draft.rng.choice(weighty or found), _values(draft)
    x = held[entry["from"]]
    others = [each for each in draft.values if (each.rank, each.dtype) == (x.rank, x.dtype) and _present(draft, each)]
    if not others:
        return None
    name = draft.name("again")
    spec = copy.copy(draft.spec)
    spec["layers"] = [*draft.layers, {"name": name, "share": entry["name"], "from": draft.rng.choice(others).reference}]
    spec["outputs"] = {**spec["outputs"], f"o{len(spec['outputs'])}": name}
    return spec


def _present(draft: Draft, held: Held) -> bool:
    """Whether a value can be referred to at the end of the model: its name may have gone into a group."""
    name = held.reference.partition(":")[0]
    return name in draft.spec["inputs"] or any(e.get("name") == name for e in draft.layers if isinstance(e, dict))


def tie(draft: Draft) -> dict[str, Any] | None:
    """The weight of an entry is that of an equal one above, or of a parameter of its own."""
    found = [e for e in _layers(draft, single=True) if not {"repeat", "tie", "init"} & set(e)]
    found = [e for e in found if e["type"] in WEIGHTY]
    if not found:
        return None
    entry, name = draft.rng.choice(found), draft.name("tied")
    spec = copy.copy(draft.spec)
    twin = {**entry, "name": name, "tie": {"weight": f"{entry['name']}.weight"}}
    if draft.rng.random() < 0.3:
        twin["frozen"] = draft.rng.choice((True, False))
    spec["layers"] = [*draft.layers, twin]
    spec["outputs"] = {**spec["outputs"], f"o{len(spec['outputs'])}": name}
    return spec


def group(draft: Draft) -> dict[str, Any] | None:
    """Neighbours of which only the last is read from outside, as a group, or as a block that names its inputs."""
    if len(draft.layers) < 2:
        return None
    begin = draft.rng.randint(0, len(draft.layers) - 2)
    end = draft.rng.randint(begin + 1, min(begin + 3, len(draft.layers)))
    inside, outside = draft.layers[begin:end], [*draft.layers[:begin], *draft.layers[end:]]
    if not all(isinstance(entry, dict) and "name" in entry for entry in inside):
        return None
    names = [entry["name"] for entry in inside]
    read = {name for entry in outside for name in names_of(entry)} | _read_by_outputs(draft)
    if set(names[:-1]) & read or not references_of(inside[0]):
        return None
    name, as_block = names[-1], draft.rng.random() < 0.5
    given = sorted({each for entry in inside for each in names_of(entry)} - set(names))
    inner = [*inside[:-1], {**inside[-1], "name": f"{name}_in"}]
    spec = copy.copy(draft.spec)
    if not as_block:
        wrapped: Entry = {"name": name, "layers": inner}
        if draft.rng.random() < 0.3:
            wrapped["frozen"] = draft.rng.choice((True, False, "weights"))
    else:
        ports = {each: f"in{place}" for place, each in enumerate(given)}
        block = f"Block{draft.name('')}"
        body = [changed_entry(entry, lambda r: ports.get(r.partition(":")[0], r)) for entry in inner]
        spec["blocks"] = {**spec.get("blocks", {}), block: {"inputs": list(ports.values()), "layers": body}}
        wrapped = {"name": name, "type": block, "from": {port: each for each, port in ports.items()}}
    spec["layers"] = [*draft.layers[:begin], wrapped, *draft.layers[end:]]
    return spec


def _read_by_outputs(draft: Draft) -> set[str]:
    return names_read(draft.spec["outputs"])


def unnamed(draft: Draft) -> dict[str, Any] | None:
    """An entry that reads the one before it need not say so, and one that only its neighbour reads needs no name."""
    spec = copy.copy(draft.spec)
    spec["layers"] = [dict(entry) if isinstance(entry, dict) else entry for entry in draft.layers]
    last: str | None = None
    for entry in spec["layers"]:
        if not isinstance(entry, dict):
            return None
        if last is not None and entry.get("from") == last:
            del entry["from"]
        last = entry.get("name")
    read = _read_by_outputs(draft) | {name for entry in spec["layers"] for name in names_of(entry)}
    for place, entry in enumerate(spec["layers"]):
        if entry.get("name") not in read and entry.get("type") != "parameter":
            entry.pop("name", None)
        if list(entry) == ["type"]:
            spec["layers"][place] = entry["type"]
    return spec


def input_default(draft: Draft) -> dict[str, Any] | None:
    """An input that a call may leave out."""
    found = [name for name, value in draft.spec["inputs"].items() if value.get("dtype", "float") in ("float", "bool")]
    if len(draft.spec["inputs"]) < 2 or not found:
        return None
    name = draft.rng.choice(found)
    value = draft.spec["inputs"][name]
    default = True if value.get("dtype") == "bool" else 0.5
    return {**draft.spec, "inputs": {**draft.spec["inputs"], name: {**value, "default": default}}}


def only_training(draft: Draft) -> dict[str, Any] | None:
    """An output that training alone has."""
    plain = [name for name, reference in draft.spec["outputs"].items() if isinstance(reference, str)]
    if len(plain) < 2:
        return None
    name = draft.rng.choice(plain)
    held = {"from": draft.spec["outputs"][name], "only": "training"}
    return {**draft.spec, "outputs": {**draft.spec["outputs"], name: held}}


def words(draft: Draft) -> dict[str, Any]:
    """What is free in every mapping."""
    return {**draft.spec, "description": "drawn by netspec fuzz", "x-note": {"any": [1, None, "thing"]}}


FEATURES: tuple[Feature, ...] = (
    *(frozen, freeze, init, defaults, param, condition, repeat, parallel, share, tie),
    *(group, group, unnamed, input_default, only_training, words),
    *(scan, while_loop, branches, gradient, by_mode),
)
