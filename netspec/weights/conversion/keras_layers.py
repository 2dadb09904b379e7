"""The layers of a .weights.h5 file of Keras 3: what they are called, and which of their arrays is which."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial

from netspec.errors import WeightsError
from netspec.weights.conversion.layer_weights import RECURRENT, SourceLayer, TargetLayer
from netspec.weights.conversion.process import Foreign
from netspec.weights.safetensors_file import Array

# Our types by the name that Keras makes of a class.
KINDS: Mapping[str, frozenset[str]] = {
    "dense": frozenset({"linear"}),
    "conv2d": frozenset({"conv2d"}),
    "depthwise_conv2d": frozenset({"depthwise_conv2d"}),
    "conv2d_transpose": frozenset({"conv_transpose2d"}),
    "batch_normalization": frozenset({"batch_norm"}),
    "layer_normalization": frozenset({"layer_norm"}),
    "group_normalization": frozenset({"group_norm", "instance_norm"}),
    "rms_normalization": frozenset({"rms_norm"}),
    "p_re_lu": frozenset({"prelu"}),
    "embedding": frozenset({"embedding"}),
}
UNKNOWN_RECURRENT = re.compile(r"(lstm|gru|simple_rnn|rnn|bidirectional|\w+_cell)(_\d+)?")

# The arrays of a layer in the order of the file, and which are left where there are fewer.
ORDERS: Mapping[str, Sequence[tuple[str, ...]]] = {
    "linear": (("kernel", "bias"), ("kernel",)),
    "conv2d": (("kernel", "bias"), ("kernel",)),
    "conv_transpose2d": (("kernel", "bias"), ("kernel",)),
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
    return [_layer(path, [arrays[k] for k in sorted(arrays)], file) for path, arrays in found.items()]


def _layer(path: str, arrays: Sequence[Array], file: Foreign) -> SourceLayer:
    parts = path.split("/")
    if any(UNKNOWN_RECURRENT.fullmatch(part) for part in parts):
        raise WeightsError(f"{file.path}: {path}: {RECURRENT}")
    own_class = re.sub(r"_\d+$", "", parts[-1])
    # An attribute of a class of the user's own is called as the user says: the layer's class is then not told.
    kinds = KINDS.get(own_class, frozenset())
    if not kinds and len(parts) > 1 and parts[-2] == "layers":
        raise WeightsError(f"{file.path}: {path}: layers of the class {own_class} cannot be converted")
    short = [k for k, part in enumerate(parts) if part != "layers" or k == len(parts) - 1]
    name = ".".join(_called("/".join(parts[: k + 1]), file.layer_names) for k in short)
    place = ".".join(parts[k] for k in short)
    # What Keras counts begins anew in each file: our dense_1 need not be the file's.
    counted = bool(kinds) and name.endswith(parts[-1])
    return SourceLayer(name, place, kinds, partial(_weights, path, kinds, arrays), counted)


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
