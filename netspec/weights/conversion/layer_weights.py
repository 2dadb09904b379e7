"""The weights of one layer of Keras or Flax, by what they are for, and how ours are made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from netspec.errors import WeightsError
from netspec.graph.graph import Call
from netspec.layers.activation import PRelu
from netspec.layers.convolution import Conv
from netspec.layers.linear import Linear
from netspec.layers.recurrent import CellLayer, RecurrentLayer
from netspec.weights.conversion.feature_order import NEW_FEATURES, PER_CHANNEL, Features, Image, Order, Plain, Unknown
from netspec.weights.safetensors_file import Array


@dataclass(frozen=True)
class SourceLayer:
    """A layer with weights of another program.

    `name` is what it is called, `path` where it stands (numbered in the order of the layers); `counted` says that the
    name is only a number, which means nothing elsewhere. `kinds` are the types of ours that it may be, as far as it
    tells. `weights` gives its arrays by role for a layer of ours: `kernel` is `[in, out]`, `[*spatial, in / groups,
    out]`, for a transposed convolution `[*spatial, out, in]`; then `bias`, `scale`, `mean`, `var`, `embedding`,
    `slope`; of a recurrent layer they are ours by local name. It raises a WeightsError where it cannot be of that type.
    """

    name: str
    path: str
    kinds: frozenset[str]
    weights: Callable[[TargetLayer], Mapping[str, Array]]
    counted: bool = False

    def __str__(self) -> str:
        return self.name if self.name == self.path else f"{self.name} ({self.path})"


@dataclass(frozen=True)
class TargetLayer:
    """A layer of ours with weights of its own: their paths by local name, and the order of the features it reads."""

    call: Call
    paths: Mapping[str, str]
    order: Order

    @property
    def type(self) -> str:
        return self.call.layer.type

    @property
    def is_depthwise(self) -> bool:
        """Whether each channel is convolved alone: Keras has a layer of its own for that."""
        layer = self.call.layer
        return isinstance(layer, Conv) and layer.groups > 1 and self.call.params["weight"].shape[1] == 1


TRANSPOSED = frozenset(f"conv_transpose{rank}d" for rank in (1, 2, 3))
CONVOLUTIONS = TRANSPOSED | {f"conv{rank}d" for rank in (1, 2, 3)}

# What our weights are made of, by local name.
ROLES: Mapping[str, Mapping[str, str]] = {
    "linear": {"weight": "kernel", "bias": "bias"},
    **{type: {"weight": "kernel", "bias": "bias"} for type in CONVOLUTIONS},
    "batch_norm": {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "var"},
    "layer_norm": {"weight": "scale", "bias": "bias"},
    "group_norm": {"weight": "scale", "bias": "bias"},
    "instance_norm": {"weight": "scale", "bias": "bias"},
    "rms_norm": {"weight": "scale"},
    "prelu": {"weight": "slope"},
    "embedding": {"weight": "embedding"},
}


def converted(source: SourceLayer, target: TargetLayer) -> dict[str, Array]:
    """The weights of `target` by path. A WeightsError where the two have not the same ones, or an order was lost."""
    roles = ROLES.get(target.type)
    if isinstance(target.call.layer, RecurrentLayer | CellLayer):
        roles = {local: local for local in target.paths}
    if roles is None:
        raise WeightsError(f"{target.call.path}: weights of {target.type} cannot be converted")
    given = source.weights(target)
    wanted = {roles[local] for local in target.paths}
    if set(given) != wanted:
        raise WeightsError(
            f"{target.call.path} ({target.type}) has {_listed(wanted)}, but {source} has {_listed(set(given))}"
        )
    _check_order(target)
    held = {**target.call.params, **target.call.buffers}
    arrays: dict[str, Array] = {}
    for local, path in target.paths.items():
        array = _ours(given[roles[local]], roles[local], target)
        if array.shape != held[local].shape:
            raise WeightsError(
                f"{path}: expected {list(held[local].shape)}, but {source} gives {list(array.shape)}"
                f" of {list(given[roles[local]].shape)}"
            )
        arrays[path] = array
    return arrays


def _check_order(target: TargetLayer) -> None:
    """What stands on images reads an image, what stands on features does not."""
    path, type, order = target.call.path, target.type, target.order
    if isinstance(target.call.layer, PRelu) and target.call.layer.shape == "scalar":
        return  # one number for whatever it reads
    spatial = type in CONVOLUTIONS or (type in PER_CHANNEL and target.call.inputs[0].type.rank > 2)
    if isinstance(order, Unknown):
        raise WeightsError(
            f"{path}: Keras and Flax put channels last, so {order.where} gives them other features than us, in an "
            "order that is not followed; convert this layer by hand"
        )
    if spatial and order == Plain():
        raise WeightsError(
            f"{path}: what it reads was made of features, so Keras and Flax, which put channels last, have those in "
            "another order; convert the layer that makes them by hand"
        )
    if type == "group_norm" and isinstance(order, Features):
        raise WeightsError(f"{path}: Keras and Flax have other features in its groups, as they put channels last")
    if not spatial and order == Image():
        raise WeightsError(f"{path}: {type} of an image has another meaning where channels are last")


def _ours(array: Array, role: str, target: TargetLayer) -> Array:
    order = list(target.order.order) if isinstance(target.order, Features) else None
    if role == "kernel":
        return _kernel(array, order, target)
    if role == "weight_ih" and order is not None:
        return array[:, order]
    if role == "slope" and array.size == max(array.shape, default=1):
        array = array.reshape(-1)  # of one axis, the others 1: those that Keras shares
    if target.type in NEW_FEATURES | CONVOLUTIONS:
        return array
    return array[order] if order is not None and array.shape == (len(order),) else array


def _kernel(array: Array, order: list[int] | None, target: TargetLayer) -> Array:
    layer = target.call.layer
    if isinstance(layer, Linear):
        rows = array[order] if order is not None and len(order) == len(array) else array
        return rows if layer.weight_layout == "in_out" else rows.T
    if target.is_depthwise and array.shape[-2] > 1:
        # A depthwise layer of Keras: [*kernel, in, multiplier].
        array = array.reshape(*array.shape[:-2], 1, -1)
    return np.transpose(array, (array.ndim - 1, array.ndim - 2, *range(array.ndim - 2)))


def _listed(roles: set[str]) -> str:
    return " and ".join(sorted(roles)) or "no weights"
