"""The layers of a Flax tree: of an nnx state, of the variables of a linen model, or the same flattened in a file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from netspec.errors import WeightsError
from netspec.weights.conversion.layer_weights import CONVOLUTIONS, TRANSPOSED, SourceLayer, TargetLayer
from netspec.weights.conversion.recurrent import BY_GATES, Cell, kinds_of, recurrent_source
from netspec.weights.safetensors_file import Array

# The collections of linen, which stand at the top and are no modules.
COLLECTIONS = frozenset({"params", "batch_stats"})
# Random states of nnx, which are no weights.
RANDOM = "rngs"
# The modules of a cell that read its input and its state, by gate, in torch's order.
CELL_PARTS = (
    *((tuple(f"i{gate}" for gate in gates), tuple(f"h{gate}" for gate in gates)) for gates in ("ifgo", "rzn", ("",))),
    (("dense_i",), ("dense_h",)),
)
# A cell stands below its layer, RNN, which may be one of two in Bidirectional.
CELL = re.compile(r"(.+?)(?:\.(forward|backward)_rnn)?(\.cell)?|")
# What a module can be, by the names of its arrays and the rank of its kernel.
KINDS: Mapping[tuple[frozenset[str], int | None], frozenset[str]] = {
    (frozenset({"kernel"}), 2): frozenset({"linear"}),
    **{(frozenset({"kernel"}), rank + 2): frozenset({f"conv{rank}d", f"conv_transpose{rank}d"}) for rank in (1, 2, 3)},
    (frozenset({"mean", "var"}), None): frozenset({"batch_norm"}),
    (frozenset({"scale", "bias"}), None): frozenset({"layer_norm", "group_norm", "instance_norm"}),
    (frozenset({"scale"}), None): frozenset({"layer_norm", "rms_norm"}),
    (frozenset({"negative_slope"}), None): frozenset({"prelu"}),
    (frozenset({"embedding"}), None): frozenset({"embedding"}),
}
# Where the name that linen gives tells more.
LINEN_KINDS = {
    "Conv": CONVOLUTIONS - TRANSPOSED,
    "ConvTranspose": TRANSPOSED,
    "LayerNorm": frozenset({"layer_norm"}),
    "RMSNorm": frozenset({"rms_norm"}),
    "GroupNorm": frozenset({"group_norm", "instance_norm"}),
    "InstanceNorm": frozenset({"instance_norm"}),
}
# What a role is called there, where that is another name.
ROLES = {"negative_slope": "slope"}


def flax_layers(tree: Mapping[Any, Any]) -> list[SourceLayer]:
    """The modules that have arrays. A WeightsError for one that no layer of ours can be.

    A tree may be flat, with paths as keys: tuples, or texts with `/` or `.` between the parts.
    """
    modules: dict[tuple[str, ...], dict[str, Array]] = {}
    for path, value in _leaves(tree, ()):
        if RANDOM in path:
            continue
        if path[0] in COLLECTIONS:
            path = path[1:]
        if len(path) < 2:
            raise WeightsError(f"{'.'.join(path)}: an array of no layer cannot be converted")
        modules.setdefault(path[:-1], {})[path[-1]] = _array(path, value)
    layers: dict[str, dict[str | None, Cell]] = {}
    for path in dict.fromkeys(path[:-1] for path in modules):
        cell = _cell({name[-1]: arrays for name, arrays in modules.items() if name[:-1] == path})
        match = CELL.fullmatch(".".join(path))
        if cell is not None and match is not None:
            layers.setdefault(match[1] or "", {})[match[2] or match[3]] = cell
            modules = {name: arrays for name, arrays in modules.items() if name[:-1] != path}
    plain = [_layer(".".join(path), arrays) for path, arrays in modules.items()]
    return plain + [_recurrent(path, cells) for path, cells in layers.items()]


def _cell(parts: Mapping[str, Mapping[str, Array]]) -> Cell | None:
    """The cell that has exactly these modules; None where they are none."""
    parts = {name.rstrip("_"): arrays for name, arrays in parts.items()}  # `if_` of nnx
    for inputs, states in CELL_PARTS:
        if set(parts) == {*inputs, *states} and all("kernel" in arrays for arrays in parts.values()):
            break
    else:
        return None
    kernels = [np.concatenate([parts[name]["kernel"] for name in names], -1) for names in (inputs, states)]
    if any(kernel.ndim != 2 for kernel in kernels) or kernels[1].shape[1] % max(kernels[1].shape[0], 1):
        return None
    kind = BY_GATES.get(kernels[1].shape[1] // max(kernels[1].shape[0], 1))
    if kind is None:
        return None
    first, second = (_bias(names, parts) for names in (inputs, states))
    if kind != "gru" and second is not None:  # it adds to the other one
        first, second = second if first is None else first + second, None
    return Cell(kind, kernels[0].T, kernels[1].T, first, second, "after" if kind == "gru" else None)


def _bias(names: Iterable[str], parts: Mapping[str, Mapping[str, Array]]) -> Array | None:
    """The biases of several gates in one; zeros where some gates have none."""
    if not any("bias" in parts[name] for name in names):
        return None
    return np.concatenate([parts[name].get("bias", np.zeros_like(parts[name]["kernel"][0])) for name in names])


def _recurrent(path: str, cells: Mapping[str | None, Cell]) -> SourceLayer:
    both = [cells[way] for way in ("forward", "backward") if way in cells]
    ordered = both or list(cells.values())
    alone = None in cells  # a cell of linen does not tell what runs it
    return recurrent_source(path, path, kinds_of(ordered), ordered, None if alone else len(ordered))


def _leaves(tree: Mapping[Any, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in tree.items():
        here = (*path, *(map(str, key) if isinstance(key, tuple) else str(key).replace("/", ".").split(".")))
        if isinstance(value, Mapping):
            yield from _leaves(value, here)
        elif value is not None:
            yield here, value


def _array(path: tuple[str, ...], value: Any) -> Array:
    try:
        array = np.asarray(value)
    except TypeError:
        array = np.asarray(None)
    if array.dtype.name == "bfloat16":
        return array.astype(np.float32)
    if array.dtype.kind != "f":
        raise WeightsError(f"{'.'.join(path)}: expected an array of floats, got {array.dtype}")
    return array


def _layer(path: str, arrays: Mapping[str, Array]) -> SourceLayer:
    for (names, rank), kinds in KINDS.items():
        others = set(arrays) - names
        fits = names <= set(arrays) and others <= {"bias", "scale"}
        if fits and (rank is None or arrays["kernel"].ndim == rank):
            told = LINEN_KINDS.get(re.sub(r"_\d+$", "", path.rpartition(".")[2]), kinds)
            kinds = kinds & told or told
            return SourceLayer(path, path, kinds, partial(_weights, path, kinds, arrays))
    shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
    raise WeightsError(f"{path}: no layer of ours has arrays like its {shapes}")


def _weights(path: str, kinds: frozenset[str], arrays: Mapping[str, Array], target: TargetLayer) -> Mapping[str, Array]:
    if target.type not in kinds:
        raise WeightsError(f"{path} of Flax is no {target.type}")
    if target.type not in TRANSPOSED:
        return {ROLES.get(name, name): array for name, array in arrays.items()}
    inputs, outputs, *_ = target.call.params["weight"].shape
    kernel = arrays["kernel"]
    if inputs == outputs and kernel.size > 1:
        message = f"with {inputs} channels in and out it does not tell whether transpose_kernel was set"
        raise WeightsError(f"{path}: {message}; convert this layer by hand")
    if kernel.shape[-2:] == (inputs, outputs):
        # Without transpose_kernel, the default, Flax slides the kernel as it is: the gradient of a convolution has it
        # the other way round.
        return {**arrays, "kernel": np.flip(kernel, tuple(range(kernel.ndim - 2))).swapaxes(-1, -2)}
    return arrays
