"""`netspec resolve`: the flat spec builds the same graphs, and starts from the same weights."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from netspec.analysis.counts import count_params
from netspec.errors import LanguageError
from netspec.graph.graph import Body, Call, Graph, Node, Param
from netspec.graph.ops import Control
from netspec.graph.printer import print_graph
from netspec.language.formatting.document import format_text, format_value
from netspec.layers.initializers import parse_initializer
from netspec.spec import Spec, load, loads
from netspec.weights.initial import initial_weights
from tests.core.fenced_blocks import ROOT
from tests.core.test_schema import accepts, plain

Run = Callable[..., tuple[int, str, str]]


EXAMPLES = sorted((ROOT / "tests/data/examples").glob("*.yaml"))
FILES = [*sorted(ROOT.glob("specs/**/*.yaml")), *sorted(ROOT.glob("tests/conformance/cases/*.yaml")), *EXAMPLES]
SMALL = 3_000_000

SPECS = {
    "a shared group": """\
netspec: 1
inputs: {left: {shape: [batch, 6]}, right: {shape: [batch, 6]}}
layers:
  - name: tower
    from: left
    layers: [{name: fc, type: linear, out_features: 5}, batch_norm, relu]
  - {name: again, share: tower, from: right}
  - {name: thrice, share: tower, from: right}
  - {type: concat, from: [tower, again, thrice], dim: 1}
""",
    "ties": """\
netspec: 1
inputs: {words: {shape: [batch, time], dtype: int64}}
layers:
  - {name: wte, type: embedding, num_embeddings: 9, embedding_dim: 4, padding_idx: 2}
  - {name: body, layers: [{type: linear, out_features: 4, init: {weight: {type: normal, std: 0.02}, bias: ones}}]}
  - {name: head, type: linear, out_features: 9, bias: false, tie: {weight: wte.weight}}
  - {name: other, type: linear, out_features: 9, from: body, tie: {weight: wte.weight}, frozen: true}
""",
    "blocks in loops": """\
netspec: 1
params: {depths: [2, 1], widths: [4, 6]}
inputs: {x: {shape: [batch, 3, 8, 8]}}
defaults: {conv2d: {kernel_size: 3, padding: 1, bias: false, init: {weight: orthogonal}}}
blocks:
  Unit:
    params: {width: null, stride: 1}
    inputs: [x]
    layers:
      - {name: conv, type: conv2d, out_channels: $(width), stride: $(stride)}
      - {name: bn, type: batch_norm}
      - {name: skip, type: conv2d, from: x, out_channels: $(width), stride: $(stride), if: "$(x.shape[1] != width)"}
      - {type: add, from: [bn, skip]}
layers:
  - name: stage$(i)
    repeat: {depth: $(depths), width: $(widths)}
    layers: [{name: unit, type: Unit, repeat: $(depth), width: $(width)}]
  - {name: heads, parallel: 3, layers: [global_avg_pool, {type: linear, out_features: 2}]}
  - {name: all, type: concat, from: heads, dim: 1}
outputs: {all: all, second: "heads:1", aux: {from: "heads:0", only: training}}
""",
    "scans": """\
netspec: 1
params: {width: 4}
inputs:
  x: {shape: [batch, 3, time, 4]}
  y: {shape: [batch, 3, time, 4]}
  start: {shape: [batch, 3, 4]}
  scale: {shape: [4]}
layers:
  - name: outer
    scan: {over: [x], dim: -2}
    from: {x: x, total: start}
    inputs: [x, total]
    layers:
      - {name: weighted, type: mul, from: [x, scale]}
      - {name: cell, layers: [{name: fc, type: linear, out_features: $(width)}, {type: tanh}], frozen: weights}
      - name: inner
        scan: {over: [row], dim: 1}
        from: {row: cell, before: total}
        inputs: [row, before]
        layers:
          - {name: first, type: select, dim: 1, index: 0, from: before}
          - {name: sum, type: add, from: [row, first]}
        outputs: {rows: sum}
      - {name: norm, type: layer_norm, frozen: true}
      - {name: total2, type: add, from: [norm, total]}
    outputs: {total: total2, rows: norm, raw: weighted}
  - {name: joined, type: concat, from: ["outer:rows", "outer:raw"], dim: 3}
  - {name: last, type: linear, out_features: 2, from: "outer:total"}
outputs: {joined: joined, last: last}
""",
    "formulas": """\
netspec: 1
params: {n: 3, minus: -2.5, flag: true, kind: a, sizes: [4, 5], deep: {a: {b: 1.0e-7}}}
inputs: {x: {shape: [batch, time, 6]}, y: {shape: [batch, time, 6]}}
layers:
  - name: turn$(i)
    repeat: 2
    from: x
    inputs: [x]
    layers:
      - {name: a, type: formula, expr: x * n + minus * i}
      - {type: formula, from: {n: a, b: y}, expr: "n - b * deep.a.b + sizes[1] * max([n for n in sizes])"}
  - {name: size, type: formula, from: [x, y], expr: "x + turn1.shape[2] * y * (1 if flag and kind == 'a' else 2)"}
  - {type: formula, from: size, expr: "where(x > len(size.shape), x, silu(x)) * x.shape[2]"}
  - {type: linear, out_features: 2}
""",
    "modes": """\
netspec: 1
inputs: {x: {shape: [batch, 6]}}
layers:
  - {name: mean, type: linear, out_features: 6}
  - {name: noise, type: dropout}
  - {name: z, type: by_mode, from: {training: noise, inference: mean}}
  - {name: y, type: linear, out_features: 3}
outputs: {y: y, z: z, other: noise}
""".replace(
        'type: linear, out_features: 3}\noutputs: {y: "3"', "name: y, type: linear, out_features: 3}\noutputs: {y: y"
    ),
    "what reads nothing": """\
netspec: 1
inputs: {x: {shape: [batch, time, 6]}}
layers:
  - {name: scale, type: parameter, shape: [6], init: {type: uniform, bound: 2}}
  - {name: held, layers: [{name: scale, type: parameter, shape: [6], init: ones, frozen: true}]}
  - {name: steps, type: arange, end: $(time)}
  - {name: table, type: constant, value: [[1, 2, 3], [4, 5, 6]]}
  - {name: kept, type: buffer}
  - {name: empty, type: zeros, shape: [$(time), 6]}
  - {name: heads, type: rearrange, from: x, pattern: b t (h d) -> b h t d, sizes: {h: 2}}
  - {name: best, type: top_k, from: x, k: 2}
  - {name: sum, type: formula, from: {x: x, a: scale, b: empty}, expr: x * a + b}
outputs: {sum: sum, heads: heads, places: "best:indices", steps: steps, kept: kept, held: held}
""",
    "frozen in part": """\
netspec: 1
inputs: {x: {shape: [batch, 3, 8, 8]}}
layers:
  - {name: a, type: conv2d, out_channels: 3, kernel_size: 1}
  - {name: a.bn, type: batch_norm}
  - {name: b, type: batch_norm, frozen: weights}
  - {name: c, type: batch_norm, frozen: true}
  - {name: d, type: batch_norm, affine: false, frozen: true}
  - {name: e, type: batch_norm}
  - {name: f, type: conv2d, out_channels: 3, kernel_size: 1, frozen: false}
  - {name: g, type: batch_norm}
  - {name: h, type: batch_norm, affine: false}
freeze: [a, "!a.bn", "!a.bias", "e.running_*", "f", "g.weight", "[gz].bias"]
""",
    "sizes and defaults": """\
netspec: 1
inputs:
  x: {shape: [batch, time, 6]}
  mask: {shape: [batch, time, 1], default: 1}
layers:
  - {name: masked, type: mul, from: [x, mask]}
  - {name: flat, type: reshape, shape: ["$(batch)", "$(2 * time)", 3]}
  - {type: dropout, p: 0.0}
  - {type: dropout, p: 0.5}
  - {type: leaky_relu, negative_slope: 1.0e-7}
outputs: {y: flat, x: x, z: masked}
""",
}


def text(graph: Graph) -> str:
    """A graph with every field of its layers, and without places."""
    bare = {param.path: replace(param, initializer=_whole(param.initializer)) for param in graph.params}
    nodes = [_spelled_out(node) for node in graph.nodes]
    state = [bare[held.path] if isinstance(held, Param) else held for held in graph.state]
    lines = print_graph(replace(graph, nodes=tuple(nodes), state=tuple(state)))
    hidden = [f"{held.fan} {held.zero_row}" for held in graph.params]
    return "\n".join([re.sub(r"  # .*", "", lines), *hidden, *(f"{entry.default}" for entry in graph.inputs)])


def _spelled_out(node: Node | Call) -> Node | Call:
    if isinstance(node, Call):
        return replace(node, layer=_full(node.layer))
    assert isinstance(node.op, Control)
    return replace(node, op=node.op.with_parts(_spelled_out_body))


def _spelled_out_body(body: Body) -> Body:
    calls = [
        inner if isinstance(inner, Node) and not isinstance(inner.op, Control) else _spelled_out(inner)
        for inner in body.nodes
    ]
    return replace(body, nodes=tuple(calls))


def _full(layer: Any) -> Any:
    fields = {name: getattr(layer, name) for name in type(layer).model_fields}
    if layer.type == "formula":  # numbers stand in the place of names
        fields["expr"] = ""
    return type(layer).model_construct(**fields)


def _whole(initializer: Any) -> Any:
    return _full(parse_initializer(initializer) if isinstance(initializer, str) else initializer)


def same_model(spec: Spec) -> str:
    """The text of the resolved spec, after all comparisons."""
    written = format_value(spec.resolved(), "resolved.yaml")
    again = loads(written, file="resolved.yaml")
    for mode in (False, True):
        assert text(again.graphs.of(mode)) == text(spec.graphs.of(mode))
    assert [held.path for held in again.inference.state] == [held.path for held in spec.inference.state]
    if count_params(spec.inference).total < SMALL:
        before, after = initial_weights(spec.inference, 3), initial_weights(again.inference, 3)
        assert all((before[path] == after[path]).all() for path in before)
        assert accepts(plain(written))
    assert len(again.warnings) == len(spec.warnings)
    assert format_value(again.resolved(), "resolved.yaml") == written
    assert format_text(written) == written
    return written


def spec_files() -> list[Any]:
    """Of torchvision's models, which are alike, one of each family; `make test-zoo` has the others."""
    quick = {"alexnet", "densenet121", "inception_v3", "resnet18", "squeezenet1_1", "vgg11_bn"}
    return [
        pytest.param(
            path,
            id=f"{path.parent.name}-{path.stem}",
            marks=[pytest.mark.zoo] if path.parent.name == "torchvision" and path.stem not in quick else [],
        )
        for path in FILES
    ]


@pytest.mark.parametrize("path", spec_files())
def test_specs(path: Path) -> None:
    same_model(load(path))


@pytest.mark.parametrize("name", SPECS)
def test_what_a_spec_may_hold(name: str) -> None:
    written = same_model(loads(SPECS[name], file="model.yaml"))
    assert "$(" not in written.replace("$(batch)", "").replace("$(2*time)", "").replace("$(time)", "")


def test_paths_that_are_no_names_of_one_list_are_refused() -> None:
    head = "netspec: 1\ninputs: {x: {shape: [batch, 6]}}\nlayers:\n"
    long = "a" * 100
    deep = loads(head + f"  - {{name: {long}, layers: [{{name: {long}, layers: [relu]}}]}}\n")
    with pytest.raises(LanguageError, match="a name of more than 128 bytes for a layer"):
        deep.resolved()
    alike = loads(head + "  - {name: a, layers: [{name: B, type: relu}, relu]}\n  - {name: a.b, type: relu}\n")
    with pytest.raises(LanguageError, match=r"a\.b and a\.B, which differ only in case"):
        alike.resolved()


def test_a_scan_that_is_applied_once_more_is_refused() -> None:
    text = SPECS["scans"].replace(
        "outputs: {joined", "  - {name: more, share: outer, from: {x: y, total: start}}\noutputs: {joined"
    )
    with pytest.raises(LanguageError, match="outer: a scan that is applied once more: resolve does not write it"):
        loads(text, file="model.yaml").resolved()


def test_a_model_called_as_its_file() -> None:
    head = "netspec: 1\ninputs: {x: {shape: [batch, 6]}}\nlayers: [relu]\n"
    assert loads(head, file="net.yaml").resolved()["name"] == "net"
    assert "name" not in loads(head, file="my net.yaml").resolved()


def test_params_are_those_given() -> None:
    spec = loads(SPECS["blocks in loops"], params={"depths": [1, 3]}, file="model.yaml")
    written = same_model(spec)
    assert "name: stage1.unit.2.conv\n" in written
    assert "stage0.unit.1" not in written


def test_the_text_in_full() -> None:
    spec = loads(SPECS["frozen in part"], file="model.yaml")
    written = format_value(spec.resolved(), "r.yaml")
    assert "  - name: b\n    type: batch_norm\n    from: a.bn\n" in written
    assert written.endswith("\noutputs: {output: h}\nfreeze: [a.weight, e.running_mean, e.running_var]\n")


def test_the_command(run: Run, tmp_path: Path) -> None:
    path, out = tmp_path / "a.yaml", tmp_path / "out.json"
    path.write_text(SPECS["blocks in loops"])
    status, printed, err = run("resolve", str(path), "--set", "widths=[2, 3]", "--freeze", "stage0")
    assert (status, err) == (0, "")
    spec = load(path, {"widths": [2, 3]}, ["stage0"])
    assert printed == format_value(spec.resolved(), "a.yaml")
    assert run("resolve", str(path), "-o", str(out)) == (0, "", f"{out}: written\n")
    assert text(load(out).training) == text(load(path).training)
    status, _, err = run("resolve", str(path), "--set", "width=3")
    assert status == 2
    assert "there is no param width" in err
