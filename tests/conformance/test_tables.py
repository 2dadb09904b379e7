"""Every primitive stands in every backend's table, or is named there as a gap with a reason."""

from __future__ import annotations

import pytest

from netspec.backend import backends
from netspec.graph.ops import PRIMITIVES
from netspec.layers import LAYERS
from tests.conformance.table import CASES, SPECS, rows


@pytest.mark.parametrize("name", ["numpy", "torch", "tensorflow", "jax", "onnx"])
def test_every_primitive_has_a_lowering_or_a_named_gap(name: str) -> None:
    backend = backends()[name]
    gaps = backend.gaps
    assert set(backend.lowerings) | set(gaps) == set(PRIMITIVES)
    assert not set(backend.lowerings) & set(gaps)
    assert all(reason.strip() for reason in gaps.values())


@pytest.mark.parametrize("name", ["torch", "tensorflow", "jax", "onnx"])
def test_fused_forms_are_of_known_layers(name: str) -> None:
    assert set(backends()[name].fused) <= set(LAYERS)


def test_every_layer_and_primitive_occurs_in_the_cases() -> None:
    graphs = [row.spec.graphs.of(row.training) for row in rows()]
    assert {type(call.layer) for graph in graphs for call in graph.calls()} == set(LAYERS)
    assert {type(node.op) for graph in graphs for node in graph.primitives()} == set(PRIMITIVES)


def test_the_table_has_every_file() -> None:
    assert {row.path for row in rows()} == {*CASES, *SPECS}
    assert len(SPECS) >= 4
    assert sum(row.training for row in rows()) >= 5
