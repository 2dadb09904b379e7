"""Relations that hold between a model and a changed one, whatever it computes; checked on the reference, in float64.

Unrolled by `netspec resolve` it is the same; other names change nothing; freezing changes gradients alone; each sample
of a batch gives what it gives alone; saved and loaded weights are the same.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from netspec.compare.case import reference_backend
from netspec.fuzz.generator import written
from netspec.fuzz.judging import Mode
from netspec.fuzz.references import changed, changed_entry
from netspec.graph.graph import Graph, Value
from netspec.language.formatting.document import format_value
from netspec.layers import LAYER_TYPES
from netspec.model import Arrays, Evaluation
from netspec.passes.noise_inputs import PREFIX, noise_inputs
from netspec.spec import Spec, loads

LIMIT = 1e-10
Check = Callable[["Mode", Mapping[str, Any]], str | None]
# They look at more than one place of a dimension whose number no field gives.
MIXING = {
    *("matmul", "einsum", "rearrange", "reshape", "scaled_dot_product_attention", "formula", "buffer", "permute"),
    *("flatten", "global_avg_pool", "alibi", "pad", "expand", "interpolate"),
}


def relations(mode: Mode, data: Mapping[str, Any], names: Iterable[str] | None = None) -> dict[str, str | None]:
    """What is wrong with each of these relations (all unless given) for a graph's inference: None where it holds."""
    with np.errstate(all="ignore"):
        return {name: CHECKS[name](mode, data) for name in names or CHECKS}


def _run(spec: Spec, weights: Arrays, inputs: Arrays, cotangents: Arrays | None) -> Evaluation:
    """Evaluate a spec's inference. What it would draw at random stands in `inputs`, as in the case's own graph."""
    graphs = replace(spec.graphs, inference=noise_inputs(spec.inference)[0])
    model = reference_backend().compile(graphs, weights, "float64")
    return model.evaluate(inputs, cotangents or None, False)


def _difference(found: Arrays, expected: Arrays) -> str | None:
    """In words the first array that is another one."""
    if list(found) != list(expected):
        return f"{', '.join(found)} instead of {', '.join(expected)}"
    for name, array in expected.items():
        other = found[name]
        if other.shape != array.shape or other.dtype != array.dtype:
            return f"{name}: {other.dtype}{list(other.shape)} instead of {array.dtype}{list(array.shape)}"
        scale = float(np.nanmax(np.abs(array[np.isfinite(array)]), initial=1e-3)) if array.dtype.kind == "f" else 0.0
        if not np.allclose(other, array, rtol=0, atol=LIMIT * scale, equal_nan=True):
            return f"{name}: other values"
    return None


def _outputs(mode: Mode) -> Arrays:
    case = mode.case
    return _run(mode.spec, case.weights, case.inputs, None).outputs


def unrolled(mode: Mode, data: Mapping[str, Any]) -> str | None:
    """The flat spec of `netspec resolve` gives the same outputs and gradients with the same weights."""
    case = mode.case
    flat = loads(format_value(mode.spec.resolved(), "flat.yaml"), file="flat.yaml")
    first = _run(mode.spec, case.weights, case.inputs, case.cotangents)
    second = _run(flat, case.weights, case.inputs, case.cotangents)
    wrong = _difference(second.outputs, first.outputs)
    keys = sorted(first.gradients)
    if wrong is None and sorted(second.gradients) != keys:
        return f"gradients of {', '.join(sorted(second.gradients))} instead of {', '.join(keys)}"
    return wrong


def renamed(mode: Mode, data: Mapping[str, Any]) -> str | None:
    """Other names for all entries, inputs aside, change nothing but the paths of weights."""
    names = {entry["name"] for entry in data["layers"] if isinstance(entry, dict) and "name" in entry}

    def first_part(text: str) -> str:
        return f"other_{text}" if re.split("[.:]", text, maxsplit=1)[0] in names else text

    spec = {key: value for key, value in data.items() if key != "freeze"}
    spec["layers"] = [changed_entry(entry, first_part) for entry in data["layers"]]
    for entry in spec["layers"]:
        if isinstance(entry, dict) and "name" in entry:
            entry["name"] = first_part(entry["name"])
    spec["outputs"] = changed(data["outputs"], first_part)
    other = loads(written(spec, "yaml"), file="renamed.yaml")
    weights = {first_part(path): array for path, array in mode.case.weights.items()}
    inputs = {_renamed_noise(name, first_part): array for name, array in mode.case.inputs.items()}
    return _difference(_run(other, weights, inputs, None).outputs, _outputs(mode))


def _renamed_noise(name: str, change: Callable[[str], str]) -> str:
    return PREFIX + change(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else name


def frozen(mode: Mode, data: Mapping[str, Any]) -> str | None:
    """Frozen throughout, it gives the same outputs and gradients of inputs, and none of weights."""
    case = mode.case
    spec = loads(written({**data, "layers": [_thawed(e) for e in data["layers"]]}, "yaml"), freeze=["*"])
    first = _run(mode.spec, case.weights, case.inputs, case.cotangents)
    second = _run(spec, case.weights, case.inputs, case.cotangents)
    of_inputs = {name: array for name, array in first.gradients.items() if name.startswith("input:")}
    left = {name: array for name, array in second.gradients.items() if name.startswith("input:")}
    trained = {param.path for param in spec.inference.params if param.trainable} & set(second.gradients)
    if set(second.gradients) - set(left) - trained or trained:
        return f"frozen weights have gradients: {', '.join(sorted(set(second.gradients) - set(left)))}"
    return _difference(second.outputs, first.outputs) or _difference(left, of_inputs)


def _thawed(entry: Any) -> Any:
    """An entry's own `frozen` goes before what `freeze` says: without it."""
    if not isinstance(entry, dict):
        return entry
    kept = {key: value for key, value in entry.items() if key != "frozen"}
    return kept | ({"layers": [_thawed(each) for each in entry["layers"]]} if "layers" in entry else {})


def samples(mode: Mode, data: Mapping[str, Any]) -> str | None:
    """Each sample of the batch alone gives its row, for the outputs that no layer above mixes samples in."""
    case = mode.case
    kept = unmixed_outputs(mode.spec.inference)
    batch = case.sizes.get("batch", 1)
    if not kept or batch == 1:
        return None
    outputs = {name: reference for name, reference in data["outputs"].items() if name in kept}
    spec = loads(written({**data, "outputs": outputs}, "yaml"))
    graph = spec.inference
    if any(node.op.random for node in graph.all_primitives()):  # a sample of its own has numbers of its own
        return None
    batched = [entry.name for entry in graph.inputs if entry.value.shape and str(entry.value.shape[0]) == "batch"]
    whole = _run(spec, case.weights, case.inputs, None).outputs
    for sample in range(batch):
        one = {name: array[sample : sample + 1] if name in batched else array for name, array in case.inputs.items()}
        alone = _run(spec, case.weights, one, None).outputs
        wrong = _difference(alone, {name: array[sample : sample + 1] for name, array in whole.items()})
        if wrong is not None:
            return f"sample {sample}: {wrong}"
    return None


def unmixed_outputs(graph: Graph) -> list[str]:
    """Outputs `[batch, ...]` of layers that keep samples apart whatever their fields: none names a dimension."""
    # Of a row [batch] the last dimension, which many layers look along, is the batch itself.
    apart = {entry.value for entry in graph.inputs if entry.value.type.rank > 1 and _batched(entry.value)}
    for call in graph.calls():
        fields = LAYER_TYPES[call.layer.type].model_fields
        plain = call.layer.type not in MIXING and not any(name.startswith(("dim", "start", "end")) for name in fields)
        first = all(output.type.rank > 1 and _batched(output) for output in call.outputs)
        ranks = {value.type.rank for value in call.inputs}
        if plain and call.inputs and set(call.inputs) <= apart and first and len(ranks) == 1:
            apart |= set(call.outputs)
    return [output.name for output in graph.outputs if output.value in apart]


def _batched(value: Value) -> bool:
    return str(value.shape[0]) == "batch"


def saved(mode: Mode, data: Mapping[str, Any]) -> str | None:
    """Weights that are written and read are the same, to the last bit."""
    from netspec.api import load_weights
    from netspec.weights.safetensors_file import write_weights

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights.safetensors"
        write_weights(file, mode.case.weights)
        loaded = load_weights(mode.spec, file).arrays
    for path, array in mode.case.weights.items():
        if path not in loaded or loaded[path].dtype != array.dtype or not np.array_equal(loaded[path], array):
            return f"{path} is another one"
    return None


CHECKS: Mapping[str, Check] = {
    "unrolled": unrolled,
    "renamed": renamed,
    "frozen": frozen,
    "samples": samples,
    "saved": saved,
}
