"""Layers of another program find ours, and kernels the layouts of ours: on arrays alone, which count."""

from typing import Any

import numpy as np
import pytest

import netspec
from netspec.errors import WeightsError
from netspec.weights.conversion.flax_layers import flax_layers
from netspec.weights.conversion.renaming import renamed


def counted(*shape: int) -> Any:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def net(shape: str, *layers: str) -> netspec.Spec:
    listed = "".join(f"  - {layer}\n" for layer in layers)
    return netspec.loads(f"netspec: 1\ninputs: {{x: {{shape: {shape}}}}}\nlayers:\n{listed}")


def linear(name: str) -> str:
    return f"{{name: {name}, type: linear, out_features: 2, bias: false}}"


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_kernels_of_groups(groups: int) -> None:
    """Four channels in two groups have two each: two groups of two are no depthwise layer."""
    spec = net(
        "[batch, 4, 3, 3]",
        f"{{name: c, type: conv2d, out_channels: 8, kernel_size: [2, 3], groups: {groups}, bias: false}}",
    )
    kernel = counted(2, 3, 4 // groups, 8)
    weight = netspec.weights_from_flax(spec, {"c": {"kernel": kernel}})["c.weight"]
    assert weight.shape == (8, 4 // groups, 2, 3)
    assert weight[5, -1, 1, 2] == kernel[1, 2, -1, 5]


def test_a_linear_layer_in_either_layout() -> None:
    tree = {"a": {"kernel": counted(4, 3)}}
    for layout, expected in (("out_in", counted(4, 3).T), ("in_out", counted(4, 3))):
        spec = net("[batch, 4]", f"{{name: a, type: linear, out_features: 3, bias: false, weight_layout: {layout}}}")
        assert (netspec.weights_from_flax(spec, tree)["a.weight"] == expected).all()


def test_equal_names_go_before_the_order() -> None:
    spec = net("[batch, 2]", *map(linear, ("p", "fc_0", "q")))
    tree = {f"fc_{k}": {"kernel": np.full((2, 2), k, np.float32)} for k in (0, 1, 10)}
    weights = netspec.weights_from_flax(spec, tree)
    assert [weights[f"{name}.weight"][0, 0] for name in ("p", "fc_0", "q")] == [1, 0, 10]


def test_layers_in_blocks_are_in_the_order_of_all_numbers() -> None:
    names = [f"{k}.{j}" for k in range(2) for j in range(2)]
    spec = net("[batch, 2]", *(linear(f"b.{name}") for name in names))
    modules = [f"Block_{k}/Dense_{j}/kernel" for j in range(2) for k in range(2)]
    tree = {f"params/{path}": np.full((2, 2), k, np.float32) for k, path in enumerate(modules)}
    weights = netspec.weights_from_flax(spec, tree)
    assert [weights[f"b.{name}.weight"][0, 0] for name in names] == [0, 2, 1, 3]


def test_layers_of_one_mode_alone() -> None:
    """Each mode's graph leaves out what the other alone needs."""
    layers = (linear("a"), "{name: b, from: x, type: linear, out_features: 2, bias: false}")
    spec = net("[batch, 2]", *layers, "{type: by_mode, from: {training: a, inference: b}}")
    tree = {f"fc{k}": {"kernel": counted(2, 2) + k} for k in range(2)}
    weights = netspec.weights_from_flax(spec, tree)
    assert [weights[f"{name}.weight"][0, 0] for name in "ab"] == [0, 1]


@pytest.mark.parametrize(
    "tree",
    [
        {"params": {"a": {"kernel": counted(2, 2)}}, "batch_stats": {}},
        {"params/a/kernel": counted(2, 2)},
        {"a.kernel": counted(2, 2)},
        {("params", "a", "kernel"): counted(2, 2), ("drop", "rngs", "count"): np.uint32(3)},
        {"a": {"kernel": counted(2, 2), "bias": None}, "drop": {"rngs": {"key": object()}}},
    ],
    ids=["linen", "slashes", "dots", "tuples", "random states"],
)
def test_forms_of_trees(tree: Any) -> None:
    (layer,) = flax_layers(tree)
    assert (layer.name, list(layer.kinds)) == ("a", ["linear"])


def test_an_array_of_no_module_is_refused() -> None:
    with pytest.raises(WeightsError, match="table: an array of no layer cannot be converted"):
        flax_layers({"params": {"table": counted(3)}})


def test_names_are_changed_by_whole_parts_and_the_longest_wins() -> None:
    names = ["m.head.weight", "m.header.weight", "m.body.0.weight", "m"]
    rename = {"m": "", "m.head": "fc", "m.body.0": "first"}
    assert renamed(names[:3], rename) == dict(zip(names, ["fc.weight", "header.weight", "first.weight"], strict=False))
    assert renamed(names, {"m.body": "x"})["m"] == "m"


@pytest.mark.parametrize(
    ("rename", "message"),
    [
        ({"fc.weigh": "x"}, "rename: nothing is called fc.weigh; did you mean fc.weight?"),
        ({"a": "b"}, "rename: a.weight and b.weight would both be called b.weight"),
    ],
)
def test_wrong_renames_are_refused(rename: dict[str, str], message: str) -> None:
    with pytest.raises(WeightsError) as caught:
        renamed(["a.weight", "b.weight", "fc.weight"], rename)
    assert str(caught.value) == message
