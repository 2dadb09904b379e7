"""Every primitive stands in every backend's table, or is named there as a gap with a reason."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from typing import Any

import pytest

from netspec.graph.ops import PRIMITIVES
from netspec.layers import LAYERS
from tests.conformance.table import CASES, SPECS, rows
from tests.conformance.test_agreement import BODIES_ONLY

BACKENDS = ["numpy", "torch", "tensorflow", "jax", "onnx"]
PRINT_TABLES = """
import json, sys
from netspec.backend import find_backend
backend = find_backend(sys.argv[1])
names = lambda table: sorted(each.__name__ for each in table)
gaps = {op.__name__: reason for op, reason in backend.gaps.items()}
print(json.dumps({"lowerings": names(backend.lowerings), "fused": names(backend.fused), "gaps": gaps}))
"""


@cache
def tables(backend: str) -> dict[str, Any]:
    """The tables by name, read in a process of its own: frameworks do not share one well."""
    command = [sys.executable, "-c", PRINT_TABLES, backend]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_primitive_has_a_lowering_or_a_named_gap(backend: str) -> None:
    lowerings, gaps = set(tables(backend)["lowerings"]), tables(backend)["gaps"]
    assert lowerings | set(gaps) == {op.__name__ for op in PRIMITIVES}
    assert not lowerings & set(gaps)
    assert all(reason.strip() for reason in gaps.values())


@pytest.mark.parametrize("backend", BACKENDS)
def test_fused_forms_are_of_known_layers(backend: str) -> None:
    fused = set(tables(backend)["fused"])
    assert fused <= {layer.__name__ for layer in LAYERS}
    assert bool(fused) == (backend not in BODIES_ONLY | {"numpy"})


def test_every_layer_and_primitive_occurs_in_the_cases() -> None:
    graphs = [row.spec.graphs.of(row.training) for row in rows()]
    assert {type(call.layer) for graph in graphs for call in graph.all_calls()} == set(LAYERS)
    run = {type(node.op) for graph in graphs for node in graph.all_primitives()}
    assert run == set(PRIMITIVES)


def test_the_table_has_every_file() -> None:
    assert {row.path for row in rows()} == {*CASES, *SPECS}
    assert len(SPECS) >= 4
    assert sum(row.training for row in rows()) >= 5
