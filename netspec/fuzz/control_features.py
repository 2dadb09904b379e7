"""Loops, branches and gradients of one's own, put behind a value of a draft: features like those of `features`."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from netspec.fuzz.draft import Draft, Entry, Held
from netspec.fuzz.references import references_of

# Forwards, and what flows back: the true derivative, and others that are wrong on purpose.
GRADIENTS = (
    ("x / sqrt(x * x + 1)", "grad_y * (1 - y * y) / sqrt(x * x + 1)"),
    ("tanh(x) + 0.5 * x", "grad_y * 0.25 + 0 * x * y"),
    ("where(x > 0, x, 0.5 * x)", "where(abs(x) < 1, grad_y, 0) - 0.125 * y"),
)


def scan(draft: Draft) -> dict[str, Any] | None:
    """A group along one dimension of a value: a state is carried, another output stacked, a third input stays."""
    held = _chosen(draft, 2)
    if held is None:
        return None
    dim = draft.rng.randrange(held.rank)
    start, name = draft.name("start"), draft.name("scan")
    body: list[Any] = [
        {"name": "mixed", "type": "formula", "from": {"a": "s", "b": "h", "k": "k"}, "expr": "tanh(a + 0.5 * b) + k"},
        {"name": "more", "from": "mixed", **_layer(draft, _without(held, dim))},
    ]
    entry: Entry = {
        "name": name,
        "from": {"s": held.reference, "h": start, "k": start},
        "scan": {"over": ["s"], "dim": dim if draft.rng.random() < 0.6 else dim - held.rank},
        "inputs": ["s", "h", "k"],
        "layers": body,
        "outputs": {"h": "mixed", "y": "more"},
    }
    first: Entry = {"name": start, "type": "mean", "dim": dim, "from": held.reference}
    return _behind(draft, [first, entry], [f"{name}:h", f"{name}:y"])


def while_loop(draft: Draft) -> dict[str, Any] | None:
    """A group that runs while a count is below a number: it stops there, at the limit, or never begins."""
    held = _chosen(draft, 1)
    if held is None:
        return None
    zero, ever, name = draft.name("zero"), draft.name("ever"), draft.name("while")
    last, begins = draft.rng.choice((0.5, 1.5, 9)), draft.rng.choice((0.5, 0.5, 0.5, -0.5))  # no rounding decides
    entry: Entry = {
        "name": name,
        "from": {"v": held.reference, "n": zero, "busy": ever, "w": held.reference},
        "while": {"condition": "busy", "limit": draft.rng.choice((1, 2, 3))},
        "inputs": ["v", "n", "busy", "w"],
        "layers": [
            {"name": "step", "from": "v", **_layer(draft, held.shape, random=False)},
            {"name": "next", "type": "formula", "from": {"a": "step", "w": "w"}, "expr": "tanh(a) + 0.25 * w"},
            {"name": "n1", "type": "formula", "from": "n", "expr": "x + 1"},
            {"name": "go", "type": "formula", "from": "n1", "expr": f"x < {last}"},
        ],
        "outputs": {"v": "next", "n": "n1", "busy": "go"},
    }
    before: list[Entry] = [
        {"name": zero, "type": "zeros", "shape": []},
        {"name": ever, "type": "formula", "from": zero, "expr": f"x < {begins}"},
    ]
    return _behind(draft, [*before, entry], [f"{name}:v", f"{name}:n"])


def branches(draft: Draft) -> dict[str, Any] | None:
    """One of several layers and groups, by a flag or a number that a call gives."""
    held = _chosen(draft, 1)
    if held is None:
        return None
    by_flag = draft.rng.random() < 0.5
    chooser, name = draft.name("choice"), draft.name("cond")
    found: list[Any] = [_layer(draft, held.shape), {"name": "deep", "layers": _two(draft, held.shape)}]
    if not by_flag:
        found.append("identity")
    draft.rng.shuffle(found)
    entry: Entry = {"name": name, "from": held.reference, "cond": chooser, "branches": found}
    spec = _behind(draft, [entry], [name])
    return {**spec, "inputs": {**spec["inputs"], chooser: {"shape": [], "dtype": "bool" if by_flag else "int64"}}}


def gradient(draft: Draft) -> dict[str, Any] | None:
    """A block with another block as its gradient."""
    held = _chosen(draft, 1)
    if held is None:
        return None
    name, block = draft.name("own"), f"Own{draft.name('')}"
    forwards, backwards = draft.rng.choice(GRADIENTS)
    reads = ["x", "y", "grad_y"]
    draft.rng.shuffle(reads)
    blocks = {
        block: {
            "inputs": ["x"],
            "gradient": f"{block}Back",
            "layers": [{"name": "y", "type": "formula", "expr": forwards}],
            "outputs": {"y": "y"},
        },
        f"{block}Back": {
            "inputs": reads,
            "layers": [{"name": "d", "type": "formula", "from": reads, "expr": backwards}],
            "outputs": {"x": "d"},
        },
    }
    spec = _behind(draft, [{"name": name, "type": block, "from": held.reference}], [name])
    return {**spec, "blocks": {**spec.get("blocks", {}), **blocks}}


def by_mode(draft: Draft) -> dict[str, Any] | None:
    """One value in training, another one in inference."""
    held = _chosen(draft, 1)
    if held is None:
        return None
    other, name = draft.name("other"), draft.name("mode")
    layer = {"name": other, "from": held.reference, **_layer(draft, held.shape)}
    pair = [held.reference, other] if draft.rng.random() < 0.5 else [other, held.reference]
    chosen = {"name": name, "type": "by_mode", "from": dict(zip(("training", "inference"), pair, strict=True))}
    return _behind(draft, [layer, chosen], [name])


def _chosen(draft: Draft, rank: int) -> Held | None:
    """A float value of this rank or more that can be referred to where the model ends."""
    names = {entry.get("name") for entry in draft.layers if isinstance(entry, dict)} | set(draft.spec["inputs"])
    found = [
        held
        for held in draft.values
        if held.dtype == "float" and held.rank >= rank and held.reference.partition(":")[0] in names
    ]
    return draft.rng.choice(found) if found else None


def _without(held: Held, dim: int) -> tuple[int | str, ...]:
    return (*held.shape[:dim], *held.shape[dim + 1 :])


def _layer(draft: Draft, shape: Sequence[int | str], random: bool = True) -> Entry:
    """A layer that keeps the shape of its input: with weights, random, or neither.

    Nothing random in a while: how many numbers it draws is not known, so that none can be given alike.
    """
    last = shape[-1] if shape else None
    layers: list[Entry] = [{"type": "gelu"}, {"type": "tanh"}, {"type": "leaky_relu"}]
    layers += [{"type": "dropout", "p": 0.3}] if random else []
    if isinstance(last, int):
        layers += [{"type": "softmax"}, {"type": "rms_norm", "eps": 0.1}, {"type": "layer_norm", "eps": 0.1}]
        if len(shape) > 1:
            layers += [{"type": "linear", "out_features": last}] * 3
    return dict(draft.rng.choice(layers))


def _two(draft: Draft, shape: Sequence[int | str]) -> list[Entry]:
    return [_layer(draft, shape), _layer(draft, shape)]


def _behind(draft: Draft, entries: Sequence[Mapping[str, Any]], references: Sequence[str]) -> dict[str, Any]:
    """The spec with entries at its end and their values among its outputs."""
    spec = copy.copy(draft.spec)
    # An entry without `from` would read the one that comes before it: here each says what it reads.
    assert all(references_of(entry) or entry.get("type") == "zeros" for entry in entries)
    spec["layers"] = [*draft.layers, *entries]
    count = len(spec["outputs"])
    spec["outputs"] = {**spec["outputs"], **{f"o{count + k}": name for k, name in enumerate(references)}}
    return spec
