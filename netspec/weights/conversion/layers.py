"""The weights of another program's layers become a model's: layer by layer, all of them or none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from netspec.errors import Mistakes, WeightsError
from netspec.graph.graph import Graph, GraphPair, Value
from netspec.weights.conversion.feature_order import Unknown, feature_orders
from netspec.weights.conversion.layer_weights import SourceLayer, TargetLayer, converted
from netspec.weights.conversion.recurrent import merged
from netspec.weights.conversion.renaming import renamed
from netspec.weights.initial import Arrays

How = Literal["name", "order", "rename"]
# What Keras calls its layers of convolutions of each channel alone, before the name of ours.
DEPTHWISE = "depthwise_"


@dataclass(frozen=True)
class Match:
    """A layer of another program and the one of ours that gets its weights, and how they were found to be the same."""

    source: SourceLayer
    target: TargetLayer
    how: How


@dataclass(frozen=True)
class Converted:
    """All weights of a model by path, and which layer each is from."""

    arrays: Arrays
    matches: tuple[Match, ...]


def convert_layers(graphs: GraphPair, sources: Sequence[SourceLayer], rename: Mapping[str, str]) -> Converted:
    """The weights of a model from another program's layers.

    Layers of equal names belong together (after `rename`, which maps names or what they begin with), then those of one
    type in the order in which they stand. A WeightsError lists what is left on either side, or does not fit.
    """
    # What by_mode leaves out of the one graph is in the other; the state has all, in the order of the spec.
    both = (*target_layers(graphs.inference), *target_layers(graphs.training))
    state = {held.path: position for position, held in enumerate(graphs.inference.state)}
    targets = {min(state[path] for path in target.paths.values()): target for target in both}
    matches = match_layers(sources, [targets[position] for position in sorted(targets)], rename)
    mistakes = Mistakes()
    arrays: Arrays = {}
    for each in matches:
        with mistakes.collect():
            arrays |= converted(each.source, each.target)
    if mistakes:
        raise WeightsError(mistakes.found)
    missing = [path for path in state if path not in arrays]
    if missing:
        raise WeightsError(f"no layer that could be converted has {', '.join(missing)}")
    return Converted({path: arrays[path] for path in state}, matches)


def target_layers(graph: Graph) -> list[TargetLayer]:
    """The layers that have weights, in order; one that is applied several times counts once."""
    paths = {held.value: held.path for held in graph.state}
    orders = feature_orders(graph)
    found: dict[str, TargetLayer] = {}
    for call in graph.all_calls():
        own = dict(_own(call.path, {**call.params, **call.buffers}, paths))
        if call.path in found and found[call.path].order != orders[call]:
            found[call.path] = replace(found[call.path], order=Unknown(f"{call.path} (shared)"))
        elif own and call.path not in found:
            found[call.path] = TargetLayer(call, own, orders[call])
    return list(found.values())


def _own(layer: str, held: Mapping[str, Value], paths: Mapping[Value, str]) -> Iterator[tuple[str, str]]:
    """Local names and paths without what is tied to another layer's."""
    for local, value in held.items():
        # Statistics that were updated before in this pass are a value of their own: the path is the same.
        path = paths.get(value, f"{layer}.{local}")
        if path in (layer, f"{layer}.{local}"):
            yield local, path


def match_layers(
    sources: Sequence[SourceLayer], targets: Sequence[TargetLayer], rename: Mapping[str, str]
) -> tuple[Match, ...]:
    """Which layers belong together, each in one pair. A WeightsError lists the layers of both sides that are left."""
    names = renamed([source.name for source in sources], rename)
    by_name = {target.call.path: target for target in targets}
    pairs: dict[str, Match] = {}
    left: list[SourceLayer] = []
    mistakes = Mistakes()
    for source in sources:
        name = names[source.name]
        target = None if source.counted and name == source.name else by_name.get(name)
        if target is not None and target.call.path not in pairs:
            pairs[target.call.path] = Match(source, target, "name" if name == source.name else "rename")
        elif name != source.name:
            mistakes.add(f"rename: {source} becomes {name}, which is no layer with weights", None)
        else:
            left.append(source)
    rest = [target for target in targets if target.call.path not in pairs]
    for kind, group in _groups(left, rest).items():
        candidates = [source for source in left if kind in source.kinds]
        with mistakes.collect():
            pairs |= {match.target.call.path: match for match in _by_order(kind, candidates, group)}
            left = [source for source in left if source not in candidates]
    for source in left if not mistakes else ():
        mistakes.add(f"{source}: no layer of the model has its weights", None)
    if mistakes:
        raise WeightsError(mistakes.found)
    return tuple(pairs[target.call.path] for target in targets)


def _groups(sources: Iterable[SourceLayer], targets: Iterable[TargetLayer]) -> dict[str, list[TargetLayer]]:
    """Targets by kind; convolutions of each channel alone are a kind of their own where the source has that kind."""
    known = frozenset[str]().union(*(source.kinds for source in sources))
    groups: dict[str, list[TargetLayer]] = {}
    for target in targets:
        alone = f"{DEPTHWISE}{target.type}"
        groups.setdefault(alone if alone in known and target.is_depthwise else target.type, []).append(target)
    return groups


def _by_order(kind: str, sources: Sequence[SourceLayer], targets: Sequence[TargetLayer]) -> Iterable[Match]:
    theirs, ours = _names(map(str, sources)), _names(target.call.path for target in targets)
    counted = {source: _counted(source.path) for source in sources}
    ordered = merged(sorted(sources, key=lambda source: counted[source][1]), targets)
    if len(ordered) != len(targets):
        raise WeightsError(f"{kind}: {len(targets)} of ours are left: {ours}; {len(sources)} of theirs: {theirs}")
    stems, numbers = ({each[k] for each in counted.values()} for k in (0, 1))
    if len(stems) > 1 or len(numbers) < len(sources):
        # `conv`, `conv_1`, `conv_2` or `Block_0.Conv_1` are in order; `head` and `stem` could be in any.
        raise WeightsError(f"{kind}: their names do not tell their order: {theirs}; ours are {ours}; use rename")
    return [Match(source, target, "order") for source, target in zip(ordered, targets, strict=True)]


def _counted(path: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """What the parts of a path begin with, and the numbers at their ends: 0 where there is none, as Keras counts."""
    parts = [re.fullmatch(r"(.*?)_?(\d*)", part) for part in path.split(".")]
    return tuple(part[1] for part in parts if part), tuple(int(part[2] or 0) for part in parts if part)


def _names(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
