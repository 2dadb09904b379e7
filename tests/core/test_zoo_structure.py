"""The zoo is torchvision's, number for number: every path and shape, the counts, the multiply-adds."""

from __future__ import annotations

import pytest

import netspec
from netspec.analysis.costs import count_costs
from tests.zoo.torchvision_reference import NAMES, facts


@pytest.mark.parametrize("name", NAMES)
def test_paths_shapes_counts_and_costs_are_those_of_torchvision(name: str) -> None:
    expected, spec = facts(name), netspec.load(name)
    counts = netspec.count_params(spec)
    assert [(row.path, row.shape) for row in counts.rows] == list(expected.shapes.items())
    assert (counts.total, counts.trainable, counts.buffers) == (expected.params, expected.params, expected.buffers)
    assert count_costs(spec.inference).total.macs == expected.macs
    assert spec.graphs.training.outputs[0].name == "logits"
    assert (spec.name, spec.warnings) == (name, ())


def test_all_models_of_the_families_are_there() -> None:
    assert set(NAMES) == {
        *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)),
        *(f"vgg{depth}{ending}" for depth in (11, 13, 16, 19) for ending in ("", "_bn")),
        *(f"densenet{depth}" for depth in (121, 169, 201)),
        *("alexnet", "inception_v3", "squeezenet1_0", "squeezenet1_1"),
    }


def test_a_variant_is_a_few_params() -> None:
    widened = netspec.load("resnet50", params={"base_width": 128})
    assert netspec.count_params(widened).total == 68_883_240  # wide_resnet50_2 of torchvision
    grouped = netspec.load("resnet50", params={"groups": 32, "base_width": 4})
    assert netspec.count_params(grouped).total == 25_028_904  # resnext50_32x4d
    basic = netspec.load("resnet50", params={"block": "BasicBlock", "depths": [2, 2, 2, 2]})
    assert netspec.count_params(basic).total == facts("resnet18").params


def test_the_auxiliary_classifier_runs_in_training_alone() -> None:
    spec = netspec.load("inception_v3")
    assert [output.name for output in spec.inference.outputs] == ["logits"]
    assert [output.name for output in spec.graphs.training.outputs] == ["logits", "aux"]
    assert not any(call.path.startswith("AuxLogits") for call in spec.inference.calls())
    without = netspec.load("inception_v3", params={"aux": False})
    assert netspec.count_params(without).total == 23_834_568
    assert [output.name for output in without.training.outputs] == ["logits"]
