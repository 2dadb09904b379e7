"""What a picture tells: folded groups, equal copies, fields, shapes, frozen parts; as SVG, as PNG and in notebooks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import netspec
from netspec import layers
from netspec.draw.boxes import Box
from netspec.draw.outline import count_boxes, outline
from netspec.draw.page import page
from netspec.draw.picture import LEGIBLE, legible_depth, picture
from netspec.draw.svg import svg
from netspec.errors import NetspecError
from netspec.graph.builder import Builder, Entry
from netspec.graph.dims import symbol
from netspec.graph.graph import Graph, Origin
from netspec.graph.types import TensorType
from tests.core.drawn_specs import DRAWN, dense, graph, inception, resnet, several, unet

ROOT = Path(__file__).parents[2]
RESIDUAL = ROOT / "specs" / "residual.yaml"
Run = Callable[..., tuple[int, str, str]]


def boxes(drawn: Graph, depth: int | None = None, frames: bool = False) -> list[Box]:
    found = [shape.box for shape in picture(drawn, depth).shapes if shape.box]
    return [box for box in found if (box.kind == "frame") == frames]


def titles(drawn: Graph, depth: int | None = None, frames: bool = False) -> list[str]:
    return [f"{box.title} {box.count}".strip() for box in boxes(drawn, depth, frames)]


def labels(drawn: Graph, depth: int | None = None) -> list[str]:
    return [shape.text for shape in picture(drawn, depth).shapes if not shape.box]


def texts(svg_text: str) -> list[str]:
    return [
        "".join(text.itertext()) for text in ElementTree.fromstring(svg_text).iter("{http://www.w3.org/2000/svg}text")
    ]


# Folding.


def test_groups_are_folded_to_the_depth() -> None:
    net = resnet([3, 8, 36, 3])
    stem = ["image", "conv1", "bn1", "relu"]
    assert titles(net, 1) == [*stem, "layer1", "layer2", "layer3", "layer4", "pool", "fc", "output"]
    copies = [
        f"layer{stage}.{which}" for stage, n in enumerate([3, 8, 36, 3], 1) for which in ("0", f"1 – {n - 1} × {n - 1}")
    ]
    assert titles(net, 2) == [*stem, *copies, "pool", "fc", "output"]
    assert titles(net, 2, frames=True) == ["layer1", "layer2", "layer3", "layer4"]
    opened = titles(net, 3)
    assert opened[4:9] == ["conv1", "downsample", "bn1", "relu", "conv2"]
    assert opened.count("conv1") == 1 + 4 * 2  # of the copies one is shown
    assert "layer3.1 – 35 × 35" in titles(net, 3, frames=True)


def test_a_folded_box_counts_all_copies() -> None:
    (box,) = [box for box in boxes(resnet([1, 1, 36, 1]), 2) if box.copies > 1]
    # conv1 128 to 32, conv2 32 to 32 of 3 x 3, conv3 back, and two numbers for each channel of the norms.
    one = 128 * 32 + 32 * 32 * 9 + 32 * 128 + 2 * (32 + 32 + 128)
    assert box.aside == "350 layers"
    assert box.lines == ("3 conv2d, 3 batch_norm, 3 relu, add", f"{35 * one:,} parameters")


def test_all_copies_with_one_structure_are_one_box() -> None:
    lines = [f"name: body.{i}.{name}, type: {type}" for i in range(23) for name, type in (("a", "tanh"), ("b", "relu"))]
    assert titles(graph(lines), 1) == ["image", "body.0 – 22 × 23", "output"]
    assert titles(graph(lines), 2) == ["image", "a", "b", "output"]


def test_equal_layers_in_a_row_are_taken_together_from_three_on() -> None:
    lines = [f"name: act{i}, type: relu" for i in range(3)]
    assert titles(graph(lines)) == ["image", "act0 – act2 × 3", "output"]
    assert titles(graph(lines[:2])) == ["image", "act0", "act1", "output"]


@pytest.mark.parametrize(
    "change",
    ["type: tanh", "type: leaky_relu, negative_slope: 0.2", "from: body.0.b, type: relu"],
    ids=["type", "field", "wiring"],
)
def test_copies_that_differ_are_shown(change: str) -> None:
    lines = [f"name: body.{i}.{name}, type: {type}" for i in range(3) for name, type in (("a", "tanh"), ("b", "relu"))]
    assert len(boxes(graph(lines), 2)) == 4
    lines[3] = f"name: body.1.b, {change}"
    found = titles(graph(lines), 2)
    assert "× 3" not in " ".join(found) and len(found) > 4


def test_copies_that_differ_in_what_is_frozen_are_shown() -> None:
    lines = [f"name: body.{i}.fc, type: linear, out_features: 64" for i in range(3)]
    assert "body.0 – 2 × 3" in " ".join(titles(graph(lines)))
    assert "×" not in " ".join(titles(graph(lines, outputs="freeze: [body.1]\n")))


def test_copies_that_something_else_reads_are_shown() -> None:
    # The ends of the blocks down are read on the way up: taking them together would lose edges.
    assert "×" not in " ".join([*titles(unet(4), 2), *titles(unet(4), 2, frames=True)])
    lines = [f"name: body.{i}.fc, type: linear, out_features: 64" for i in range(4)]
    assert "×" not in " ".join(titles(graph(lines, outputs="outputs: {a: body.1.fc, b: body.2.fc, c: body.3.fc}\n")))


def test_copies_that_read_one_common_value_are_taken_together() -> None:
    lines = ["name: memory, type: tanh", "name: x, type: relu"]
    for i in range(5):
        before = f"dec.{i - 1}.out" if i else "x"
        lines += [f"name: dec.{i}.mix, type: mul, from: [{before}, memory]", f"name: dec.{i}.out, type: relu"]
    assert titles(graph(lines), 1) == ["image", "memory", "x", "dec.0 – 4 × 5", "output"]
    lines[6] = lines[6].replace("memory", "x")
    assert "× 5" not in " ".join(titles(graph(lines), 1))


PARALLEL = """
netspec: 1
name: experts
inputs: {x: {shape: [batch, 6]}}
layers:
  - {name: A, type: parameter, shape: [6], init: ones}
  - {name: scaled, type: mul, from: [x, A]}
  - name: experts
    parallel: 4
    from: scaled
    layers:
      - {name: up, type: linear, out_features: 3}
      - {name: act, type: relu}
  - {name: all, type: concat, from: experts, dim: 1}
"""


def test_equal_branches_are_one_box() -> None:
    net = netspec.loads(PARALLEL).inference
    assert titles(net, 1) == ["x", "A", "scaled", "experts.0 – 3 × 4 parallel", "all", "output"]
    (box,) = [box for box in boxes(net, 1) if box.copies > 1]
    assert box.lines[-1] == "84 parameters"
    assert titles(net, 2) == ["x", "A", "scaled", "up", "act", "all", "output"]


def test_branches_that_differ_are_shown() -> None:
    pairs = netspec.loads(PARALLEL.replace("out_features: 3}", "out_features: 3, bias: $(i > 1)}")).inference
    found = [title for title in titles(pairs, 2) if "×" in title]
    assert found == ["experts.0 – 1 × 2 parallel", "experts.2 – 3 × 2 parallel"]
    lines = []
    for i in range(3):
        lines += [f"name: experts.{i}.a, type: tanh, from: image", f"name: experts.{i}.b, type: relu"]
    lines += ["name: all, type: concat, dim: 1, from: [experts.0.b, experts.1.b, experts.2.b]"]
    assert "experts.0 – 2 × 3 parallel" in titles(graph(lines), 1)
    read = graph(lines, outputs="outputs: {y: all, z: experts.2.b}\n")
    assert [title for title in titles(read, 2) if "×" in title] == ["experts.0 – 1 × 2 parallel"]


def test_a_parameter_as_a_layer_is_read() -> None:
    net = netspec.loads(PARALLEL).inference
    assert len(picture(net, 1).lines) == 5


def test_a_group_that_is_left_and_entered_again_has_two_boxes() -> None:
    # One box for both would read itself.
    lines = [
        "name: a.x, type: relu",
        "name: a.y, type: tanh",
        "name: b, type: relu",
        "name: a.z, type: relu",
        "name: a.w, type: tanh",
    ]
    assert titles(graph(lines), 1) == ["image", "a", "b", "a", "output"]


def test_the_depth_that_is_chosen_is_legible() -> None:
    for net in (resnet([3, 8, 36, 3]), inception([1, 2, 4, 3], 3), dense(7), unet(4)):
        folded = outline(net)
        depth = legible_depth(folded)
        assert count_boxes(folded.items, depth) <= LEGIBLE
        assert titles(net) == titles(net, depth)
    assert legible_depth(outline(resnet([3, 8, 36, 3]))) == 2
    many = graph(f"name: group{i // 2}.{i % 2}, type: {'tanh' if i % 3 else 'relu'}" for i in range(2 * LEGIBLE + 2))
    assert legible_depth(outline(many)) == 1


# Boxes and edges.


def test_shapes_stand_on_the_edges() -> None:
    expected = ["batch × 6", "int64 batch × 5", "batch × 6", "batch × 6", "batch × 5 × 6", "batch × 5 × 6"]
    assert sorted(labels(several())) == sorted([*expected, "batch × 30", "batch × 36", "batch × 2"])


def test_inputs_and_outputs_have_shapes_of_their_own() -> None:
    kinds = [box.kind for box in boxes(several())]
    assert (kinds.count("input"), kinds.count("output")) == (2, 3)


def test_a_box_has_type_fields_and_parameters() -> None:
    net = graph(
        [
            "name: a.c, type: conv2d, out_channels: 4, kernel_size: [3, 5], bias: false, stride: 1, padding: same",
            "type: relu",
        ]
    )
    conv, relu = boxes(net)[1:3]
    assert (conv.kind, conv.title, conv.aside) == ("convolution", "a.c", "conv2d")
    assert conv.lines == ("out_channels 4, kernel_size [3, 5],", "padding same, bias false", "180 parameters")
    assert (relu.title, relu.aside, relu.lines) == ("relu", "1", ())


def test_a_name_that_is_the_type_stands_once() -> None:
    (box,) = boxes(graph(["name: relu, type: relu"]))[1:-1]
    assert (box.title, box.aside) == ("relu", "")


def test_primitives_outside_of_layers_are_drawn() -> None:
    net = Builder("plain")
    (y,) = net.call(layers.Relu(), Entry(Origin("act", None)), [net.input("x", TensorType((symbol("batch"), 4)))])
    drawn = net.finish({"z": y * 2.0})
    assert titles(drawn) == ["x", "act", "Constant", "Mul", "z"]
    assert labels(drawn) == ["batch × 4", "batch × 4", "scalar", "batch × 4"]


def test_frozen_parts_have_a_colour_and_a_mark() -> None:
    spec = netspec.load(RESIDUAL)
    frozen = [box.title for box in boxes(spec.inference, 1) if box.frozen]
    assert frozen == ["stem"]
    drawn = svg(spec.inference, 1)
    assert drawn.count('class="frozen"') == 1 and drawn.count("stroke-dasharray") == 1
    thawed = svg(netspec.load(RESIDUAL, freeze=["!*"]).inference, 1)
    assert 'class="frozen"' not in thawed and "stroke-dasharray" not in thawed
    some = next(box for box in boxes(netspec.load(RESIDUAL, freeze=["!stem.bn"]).inference, 1) if box.title == "stem")
    assert not some.frozen and some.lines[-1] == "464 parameters, 432 frozen"


SHARED = """
netspec: 1
name: siamese
inputs:
  left: {shape: [batch, 6]}
  right: {shape: [batch, 6]}
layers:
  - name: tower
    from: left
    layers:
      - {name: fc, type: linear, out_features: 3}
      - sigmoid
  - {name: other, share: tower, from: right}
  - {name: apart, type: formula, from: {a: tower, b: other}, expr: abs(a - b)}
"""


def test_a_shared_layer_is_drawn_where_it_is_applied() -> None:
    drawn = [box for box in boxes(netspec.loads(SHARED).inference, 1) if box.title == "tower"]
    assert [box.lines[-1] for box in drawn] == ["21 parameters", "21 shared parameters"]


def test_a_box_shows_no_fields_that_the_layer_derives() -> None:
    (box,) = [box for box in boxes(netspec.loads(SHARED).inference) if box.title == "apart"]
    assert box.lines == ("expr abs(a - b)",)


# SVG.


@pytest.mark.parametrize("name", DRAWN)
def test_svg_is_valid_and_the_same_in_every_process(name: str) -> None:
    drawn = svg(DRAWN[name]())
    assert ElementTree.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"
    assert svg(DRAWN[name]()) == drawn
    imports = "from tests.core.drawn_specs import DRAWN; from netspec.draw.svg import svg"
    code = f"{imports}; print(svg(DRAWN[{name!r}]()), end='')"
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    assert other.stdout == drawn


EVIL = '<script>alert("1")</script>&amp;\x1b[2J\u202e\x00]]>'


def evil() -> Graph:
    net = Builder(EVIL)
    x = net.input(EVIL, TensorType((symbol("batch"), 3)))
    (y,) = net.call(layers.Linear(out_features=4), Entry(Origin(f"{EVIL}.0", None)), [x])
    (z,) = net.call(layers.Relu(), Entry(Origin(f"{EVIL}.1", None)), [y])
    return net.finish({EVIL: z})


@pytest.mark.parametrize("depth", [1, 2])
def test_names_are_escaped_in_svg(depth: int) -> None:
    drawn = svg(evil(), depth)
    assert "<script" not in drawn and drawn.replace("\n", "").isprintable()
    tags = {element.tag.partition("}")[2] for element in ElementTree.fromstring(drawn).iter()}
    assert tags == {"svg", "title", "rect", "text", "g", "path"}
    assert any(text.startswith('<script>alert("1")') for text in texts(drawn))


class Tags(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found |= {tag, *(name for name, _ in attrs)}


def test_a_notebook_shows_the_table_and_the_picture() -> None:
    spec = netspec.load(ROOT / "specs" / "lenet.yaml")
    shown = spec._repr_html_()
    root = ElementTree.fromstring(shown)
    assert len(root.findall(".//tbody/tr")) == 12
    cells = [["".join(cell.itertext()) for cell in row] for row in root.findall(".//tr")]
    assert cells[1] == ["conv1", "conv2d", "[1, 6, 28, 28]", "156", "117,600", "235,200"]
    assert cells[-1] == ["total", "", "", "61,706", "416,520", "833,040"]
    assert svg(spec.inference) in shown


def test_names_are_escaped_in_a_notebook() -> None:
    tags = Tags()
    tags.feed(page(evil()))
    assert "script" not in tags.found and not any(name.startswith("on") for name in tags.found)


def test_a_model_that_is_too_large_for_a_page_still_has_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netspec.draw.page.MAX_BOXES", 12)
    monkeypatch.setattr("netspec.draw.page.MAX_ROWS", 5)
    shown = page(dense(7))
    assert "<svg" not in shown and "A picture of 13 boxes is too large for a page" in shown
    assert "and 8 more layers" in shown


def test_a_picture_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netspec.draw.layers.MAX_CELLS", 10)
    with pytest.raises(NetspecError, match="a picture with more than 10 boxes and bends: give a smaller depth"):
        svg(dense(7))


# PNG, and the command.
