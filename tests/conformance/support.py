"""What the conformance suite saw each backend do with each layer: netspec/layers/support.json.

`make layers` writes it anew, and docs/layers.md from it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from netspec.backend import find_backend
from netspec.layers import LAYERS
from netspec.layers.catalogue import SUPPORT
from tests.conformance.recording import RECORDING, Seen, Target
from tests.conformance.table import rows

# Fused forms that stand aside in float64, each with the reason.
FLOAT32_ONLY = {
    ("tensorflow", "BatchNorm"): "FusedBatchNormV3 computes in float32",
    ("tensorflow", "LeakyRelu"): "the kernel holds the slope as a float32",
    ("tensorflow", "LocalResponseNorm"): "the kernel knows float32 and narrower types",
}


def check_support(seen: Mapping[Target, set[Seen]]) -> None:
    """Every entry of every table was run in each float type, and support.json says what was seen."""
    problems = []
    for (name, dtype), found in seen.items():
        backend = find_backend(RECORDING[name].name)
        fused = {layer.__name__ for layer in backend.fused}
        ran = {each.name for each in found if each.form == "fused"}
        missing = {form for form in fused - ran if dtype == "float32" or (name, form) not in FLOAT32_ONLY}
        problems += [f"{name} {dtype}: no case runs the fused form of {form}" for form in sorted(missing)]
        if dtype == "float64" or name == "onnx":  # where bodies run by themselves too
            lowerings = {op.__name__ for op in backend.lowerings if not op.random}  # draws are given: see test_random
            never = lowerings - {each.name for each in found if each.form == "lowering"}
            problems += [f"{name} {dtype}: no case runs the lowering of {op}" for op in sorted(never)]
    forms = _by_backend(seen)
    for name, found in forms.items():
        ways = find_backend(name).branches.names - {each.name for each in found if each.form == "branch"}
        problems += [f"{name}: no case goes the way {branch}" for branch in sorted(ways)]
    assert not problems, "\n".join(problems)
    text = json.dumps(_matrix(seen), indent=1, sort_keys=True) + "\n"
    if os.environ.get("NETSPEC_WRITE_SUPPORT"):
        SUPPORT.write_text(text)
    assert SUPPORT.read_text() == text, "make layers writes it anew"


def _matrix(seen: Mapping[Target, set[Seen]]) -> dict[str, dict[str, str]]:
    forms = _by_backend(seen)
    gaps = {name: _gaps(name) for name in forms}
    return {
        layer.model_fields["type"].default: {name: _form(layer, forms[name], gaps[name]) for name in forms}
        for layer in LAYERS
    }


def _by_backend(seen: Mapping[Target, set[Seen]]) -> dict[str, set[Seen]]:
    """What each backend was seen to run, in all float types and environments."""
    forms: dict[str, set[Seen]] = {}
    for (name, _), found in seen.items():
        forms.setdefault(RECORDING[name].name, set()).update(found)
    return forms


def _form(layer: type, seen: set[Seen], gaps: Mapping[type, str]) -> str:
    if layer in gaps:
        return f"gap: {gaps[layer]}"
    own = {each.form for each in seen if each.name == layer.__name__}
    if "fused" not in own:
        return "composed"
    return "fused or composed" if "body" in own else "fused"


def _gaps(name: str) -> dict[type, str]:
    """The layers whose bodies hold a primitive that the backend does not have, with the reason."""
    missing: Mapping[Any, str] = find_backend(name).gaps
    graphs = [row.spec.graphs.of(row.training) for row in rows()]
    return {
        type(call.layer): missing[type(node.op)]
        for graph in graphs
        if not (graph.training and find_backend(name).inference_only)
        for call in graph.all_calls()
        for node in call.body
        if type(node.op) in missing
    }
