"""What the fuzzer found, each as the smallest spec that showed it."""

from __future__ import annotations

import pytest

import netspec
from netspec.errors import NetspecError
from netspec.fuzz.generator import generate
from netspec.fuzz.references import entries
from netspec.spec import Spec, loads


def spec_of(inputs: str, layers: str, output: str = "y") -> Spec:
    return loads(f"netspec: 1\nname: found\ninputs: {{{inputs}}}\nlayers: [{layers}]\noutputs: {{y: {output}}}\n")


def test_a_product_that_float32_cannot_hold_is_judged_as_zero() -> None:
    """1e-40 has few digits or none in float32: it was a disagreement of 3e-3 on ONNX Runtime."""
    spec = spec_of("x: {shape: [batch, 6, 5]}", "{name: y, type: prod, from: x}")
    report = netspec.verify(spec, ["onnx"], dims={"batch": 5})
    assert report.agree
    assert report.backends["onnx"].cancelled == 1


@pytest.mark.parametrize("layer", ["max", "max_pool2d, kernel_size: 2", "global_max_pool"])
def test_a_maximum_is_well_conditioned(layer: str) -> None:
    """The noise that roundings are judged by moved the maximum from its place, and its gradient was gone."""
    spec = spec_of("x: {shape: [batch, 2, 4, 4]}", f"{{name: y, type: {layer}, from: x}}")
    report = netspec.verify(spec, ["torch"], dtype="float32")
    assert report.agree
    assert not report.backends["torch"].ill_conditioned


def test_one_number_in_a_group_is_normalised_on_torch() -> None:
    """F.group_norm refuses one sample with one number in each group."""
    spec = spec_of("x: {shape: [batch, 2]}", "{name: y, type: group_norm, num_groups: 2, from: x}")
    assert netspec.verify(spec, ["torch"], dtype="float64", dims={"batch": 1}).agree


def test_a_transposed_convolution_of_padding_alone_is_refused() -> None:
    """The reference broke down, TensorFlow made a row too many, and ONNX Runtime refused it at run time."""
    fields = "kernel_size: 1, stride: 3, padding: [[2, 1], [2, 0]], output_padding: 4, dilation: 5"
    layer = f"{{name: y, type: conv_transpose2d, out_channels: 2, {fields}, from: x}}"
    with pytest.raises(NetspecError, match="nothing is left"):
        _ = spec_of("x: {shape: [batch, 3, 1, 2]}", layer).inference


def test_branches_that_hand_on_what_they_read() -> None:
    """A value that one branch hands on and another one computes with was not handed to the second."""
    layer = "{name: y, from: x, cond: f, branches: [identity, {type: dropout, p: 0.3}]}"
    spec = spec_of("x: {shape: [batch, 3]}, f: {shape: [], dtype: bool}", layer)
    assert spec.graphs.training.outputs


def test_a_size_that_only_a_shape_speaks_of_keeps_its_input() -> None:
    """Graph 444 of seed 5 was no valid spec: the input that says what `time` is had been taken away as not read."""
    graph = generate(5, 444)
    assert graph.load().graphs.inference.outputs
    assert list(entries(graph.data["layers"]))


def test_a_kernel_above_its_volume_pools_on_torch() -> None:
    """With ceil_mode one window begins inside; F.avg_pool3d refuses it, its siblings do not."""
    layer = "{name: y, type: avg_pool3d, kernel_size: [3, 1, 2], ceil_mode: true, from: x}"
    spec = spec_of("x: {shape: [batch, 2, time, 4, 5]}", layer)
    assert netspec.verify(spec, ["torch"], dtype="float64", dims={"time": 2}).agree
