"""The layers of a .weights.h5 file of Keras 3: what they are called, and which of their arrays is which."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from netspec.errors import WeightsError
from netspec.weights.conversion.layer_weights import CONVOLUTIONS, SourceLayer, TargetLayer
from netspec.weights.conversion.process import Foreign
from netspec.weights.conversion.recurrent import BY_GATES, Cell, kinds_of, recurrent_source
from netspec.weights.safetensors_file import Array

# Our types by the name that Keras makes of a class.
KINDS: Mapping[str, frozenset[str]] = {
    "dense": frozenset({"linear"}),
    **{f"conv{rank}d": frozenset({f"conv{rank}d"}) for rank in (1, 2, 3)},
    **{f"depthwise_conv{rank}d": frozenset({f"depthwise_conv{rank}d"}) for rank in (1, 2)},
    **{f"conv{rank}d_transpose": frozenset({f"conv_transpose{rank}d"}) for rank in (1, 2, 3)},
    "batch_normalization": frozenset({"batch_norm"}),
    "layer_normalization": frozenset({"layer_norm"}),
    "group_normalization": frozenset({"group_norm", "instance_norm"}),
    "rms_normalization": frozenset({"rms_norm"}),
    "p_re_lu": frozenset({"prelu"}),
    "embedding": frozenset({"embedding"}),
}
# Keras' own names of recurrent layers, and of those of their cells that are a layer by themselves.
SEQUENCES = frozenset({"lstm", "gru", "simple_rnn", "rnn", "bidirectional"})
CELLS = frozenset({"lstm_cell", "gru_cell", "simple_rnn_cell"})
# A cell stands below its layer: in a direction, in a stack, both, or neither.
CELL = re.compile(r"(.+?)(?:/(forward|backward)_layer)?(/cell(?:/cells/\w+)?)?")

# The arrays of a layer in the order of the file, and which are left where there are fewer.
ORDERS: Mapping[str, Sequence[tuple[str, ...]]] = {
    "linear": (("kernel", "bias"), ("kernel",)),
    **dict.fromkeys(CONVOLUTIONS, (("kernel", "bias"), ("kernel",))),
    "batch_norm": (("scale", "bias", "mean", "var"), ("mean", "var")),
    "layer_norm": (("scale", "bias"),),
    "group_norm": (("scale", "bias"),),
    "instance_norm": (("scale", "bias"),),
    "rms_norm": (("scale",),),
    "prelu": (("slope",),),
    "embedding": (("embedding",),),
}


def keras_layers(file: Foreign) -> list[SourceLayer]:
    """The layers that have weights. A WeightsError for a kind that is not known."""
    found: dict[str, dict[int, Array]] = {}
    for path, array in file.arrays.items():
        match = re.fullmatch(r"(.*?)/?vars/(\d+)", path)
        if match is None:
            raise WeightsError(f"{file.path}: {path} is no weight of a layer of Keras 3")
        found.setdefault(match[1], {})[int(match[2])] = array
    layers: list[SourceLayer] = []
    recurrent: dict[str, dict[str, Cell]] = {}
    for path, arrays in found.items():
        held = [arrays[k] for k in sorted(arrays)]
        cell = _cell(held)
        layer = CELL.fullmatch(path)
        if cell is not None and layer is not None:
            recurrent.setdefault(layer[1], {})[path] = cell
        else:
            layers.append(_layer(path, held, file))
    return layers + [_recurrent(path, cells, file) for path, cells in recurrent.items()]


def _cell(arrays: Sequence[Array]) -> Cell | None:
    """Both matrices, one beside the other `[in, gates * hidden]`, and perhaps biases; None for what is no cell."""
    if len(arrays) not in (2, 3) or any(array.ndim != 2 for array in arrays[:2]):
        return None
    columns, hidden = arrays[1].shape[1], arrays[1].shape[0]
    kind = BY_GATES.get(columns // hidden) if hidden and columns % hidden == 0 else None
    if kind is None or arrays[0].shape[1] != columns:
        return None
    order = np.arange(columns)
    if kind == "gru":  # z, r, h
        order = order.reshape(3, hidden)[[1, 0, 2]].reshape(-1)
    biases = arrays[2][..., order] if len(arrays) == 3 else None
    if biases is None or biases.ndim == 1:
        before = kind == "gru" and biases is not None
        return Cell(kind, arrays[0].T[order], arrays[1].T[order], biases, None, "before" if before else None)
    return Cell(kind, arrays[0].T[order], arrays[1].T[order], biases[0], biases[1], "after")


def _recurrent(path: str, cells: Mapping[str, Cell], file: Foreign) -> SourceLayer:
    """One layer of its cells: by themselves, in a stack, or in both directions."""
    found = {where: CELL.fullmatch(where) for where in sorted(cells, key=_number)}
    ways = sorted({match[2] for match in found.values() if match and match[2]}, reverse=True)  # forward first
    if ways and len(cells) > len(ways):
        raise WeightsError(f"{file.path}: {path}: several cells in each direction cannot be converted")
    ordered = [cells[w] for way in ways or (None,) for w, match in found.items() if match and match[2] == way]
    own_class, name, place = _names(path, file)
    kinds = kinds_of(ordered)
    if own_class in SEQUENCES:
        kinds = frozenset(kind for kind in kinds if not kind.endswith("_cell"))
    elif own_class in CELLS:
        kinds = frozenset(kind for kind in kinds if kind.endswith("_cell"))
    counted = own_class in SEQUENCES | CELLS and name.endswith(place.rpartition(".")[2])
    return recurrent_source(name, place, kinds, ordered, len(ways) or 1, counted)


def _number(path: str) -> int:
    match = re.search(r"_(\d+)$", path)
    return int(match[1]) if match else 0


def _layer(path: str, arrays: Sequence[Array], file: Foreign) -> SourceLayer:
    parts = path.split("/")
    own_class, name, place = _names(path, file)
    # An attribute of a class of the user's own is called as the user says: the layer's class is then not told.
    kinds = KINDS.get(own_class, frozenset())
    if not kinds and len(parts) > 1 and parts[-2] == "layers":
        raise WeightsError(f"{file.path}: {path}: layers of the class {own_class} cannot be converted")
    # What Keras counts begins anew in each file: our dense_1 need not be the file's.
    counted = bool(kinds) and name.endswith(parts[-1])
    return SourceLayer(name, place, kinds, partial(_weights, path, kinds, arrays), counted)


def _names(path: str, file: Foreign) -> tuple[str, str, str]:
    """What a layer's class seems to be, what the layer is called, and its place in the file."""
    parts = path.split("/")
    short = [k for k, part in enumerate(parts) if part != "layers" or k == len(parts) - 1]
    name = ".".join(_called("/".join(parts[: k + 1]), file.layer_names) for k in short)
    return re.sub(r"_\d+$", "", parts[-1]), name, ".".join(parts[k] for k in short)


def _called(path: str, layer_names: Mapping[str, str]) -> str:
    """The name that the user gave, else the one in the file: Keras numbers by all that a program ever made."""
    parts = path.split("/")
    name = layer_names.get(path, parts[-1])
    stem = re.sub(r"_\d+$", "", parts[-1])
    given = parts[-2:-1] == ["layers"] and re.fullmatch(rf"{re.escape(stem)}(_\d+)?", name) is None
    return name.replace("/", ".") if given else parts[-1]


def _weights(path: str, kinds: frozenset[str], arrays: Sequence[Array], target: TargetLayer) -> Mapping[str, Array]:
    type = target.type
    if kinds and type not in {kind.removeprefix("depthwise_") for kind in kinds}:
        raise WeightsError(f"{path} of Keras is no {type}")
    for roles in ORDERS.get(type, ()):
        if len(roles) == len(arrays):
            return dict(zip(roles, arrays, strict=True))
    raise WeightsError(f"{path} of Keras has {len(arrays)} arrays, which do not tell what they are for in {type}")
