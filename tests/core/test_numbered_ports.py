"""Layers with as many outputs as fields and shapes say: ports by number, and the name alone for all of them."""

from __future__ import annotations

import json

import pytest

from netspec.analysis.difference import differences
from netspec.errors import NetspecError
from netspec.graph.graph import Graph
from netspec.graph.ops import Concat
from netspec.spec import loads

HEAD = "netspec: 1\ninputs: {x: {shape: [batch, 7]}}\nlayers:\n"
PARTS = "  - {name: parts, type: split, split_size_or_sections: [1, 4, 2], dim: 1}\n"


def graph(layers: str) -> Graph:
    return loads(HEAD + layers).inference


def sizes(graph: Graph) -> list[int]:
    return [value.shape[1] for node in graph.primitives() if isinstance(node.op, Concat) for value in node.inputs]


def test_the_name_alone_is_all_parts_in_order() -> None:
    assert sizes(graph(PARTS + "  - {type: concat, dim: 1, from: parts}\n")) == [1, 4, 2]
    assert sizes(graph(PARTS + '  - {type: concat, dim: 1, from: ["parts:2", "parts:0"]}\n')) == [2, 1]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('  - {type: relu, from: "parts:3"}\n', "parts has no port 3: it has 0, 1, 2"),
        ("  - relu\n", "relu"),
        ("", "outputs is required: the last entry gives 3 values, which are called by number"),
    ],
)
def test_a_reference_that_names_no_part_is_refused(entry: str, message: str) -> None:
    with pytest.raises(NetspecError, match=message):
        graph(PARTS + entry)


def test_a_layer_of_one_part_gives_that() -> None:
    whole = graph("  - {name: parts, type: chunk, chunks: 1, dim: 1}\n  - relu\n")
    assert whole.outputs[0].value.shape[1] == 7


def test_resolve_names_each_part_by_its_number() -> None:
    spec = loads(HEAD + PARTS + '  - {type: concat, dim: 1, from: ["parts:1", "parts:0"]}\n')
    document = spec.resolved()
    joined = next(entry for entry in document["layers"] if entry["type"] == "concat")
    assert joined["from"] == ["parts:1", "parts:0"]
    assert not differences(spec.graphs, loads(json.dumps(document)).graphs)
