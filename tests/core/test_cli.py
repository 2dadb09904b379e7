"""What the commands print, as tables and as JSON, for good specs and for bad ones."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import netspec

ROOT = Path(__file__).parents[2]
LENET = str(ROOT / "specs" / "lenet.yaml")
RESIDUAL = str(ROOT / "specs" / "residual.yaml")

SEQUENCE = """
netspec: 1
name: sequence
params: {classes: 16, widths: [8, 16]}
inputs:
  tokens: {shape: [batch, time], dtype: int64}
layers:
  - {name: embed, type: embedding, num_embeddings: 50, embedding_dim: "$(widths[0])"}
  - {name: head, type: linear, out_features: $(classes)}
"""

UNUSED = """
netspec: 1
inputs:
  x: {shape: [batch, 6]}
layers:
  - {name: a, type: linear, out_features: 10}
  - {name: spare, type: linear, out_features: 7}
outputs: {y: a}
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(("name", "total"), [("perceptron", 211), ("lenet", 61_706), ("cnn_mnist", 1_199_882)])
def test_counts_of_known_models(run: Run, name: str, total: int) -> None:
    status, out, err = run("count-params", str(ROOT / "specs" / f"{name}.yaml"), "--format", "json")
    assert json.loads(out) == {"total": total, "trainable": total, "frozen": 0, "buffers": 0}
    assert (status, err) == (0, "")


def test_counts_by_layer(run: Run) -> None:
    _, out, _ = run("count-params", RESIDUAL, "--by", "layer", "--format", "json")
    data = json.loads(out)
    assert {key: data[key] for key in ("total", "trainable", "frozen", "buffers")} == {
        "total": 19_994,
        "trainable": 19_530,
        "frozen": 464,
        "buffers": 288,
    }
    assert data["rows"][1] == {
        "path": "stem.bn",
        "type": "batch_norm",
        "output_shape": ["batch", 16, 32, 32],
        "params": 32,
        "trainable": 0,
        "buffers": 32,
    }
    for key, total in (("params", "total"), ("trainable", "trainable"), ("buffers", "buffers")):
        assert sum(row[key] for row in data["rows"]) == data[total]


def test_counts_by_parameter(run: Run) -> None:
    _, out, _ = run("count-params", RESIDUAL, "--by", "parameter", "--format", "json")
    rows = json.loads(out)["rows"]
    assert rows[0] == {
        "path": "stem.conv.weight",
        "shape": [16, 3, 3, 3],
        "dtype": "float32",
        "kind": "param",
        "trainable": False,
    }
    assert [row["path"] for row in rows[1:5]] == [
        f"stem.bn.{name}" for name in ("weight", "bias", "running_mean", "running_var")
    ]
    assert [row["kind"] for row in rows[1:5]] == ["param", "param", "buffer", "buffer"]


def test_tables_of_counts(run: Run) -> None:
    _, out, _ = run("count-params", LENET)
    assert out.splitlines()[2].split() == ["total", "61,706"]
    _, out, _ = run("count-params", LENET, "--by", "layer")
    lines = out.splitlines()
    assert lines[2] == "conv1  conv2d      [batch, 6, 28, 28]          156        156        0"
    assert lines[-1].split() == ["total", "61,706", "61,706", "0"]
    _, out, _ = run("count-params", RESIDUAL, "--by", "parameter")
    assert out.splitlines()[-1].split() == ["total", "20,282"]


def test_summary(run: Run) -> None:
    status, out, err = run("summary", LENET)
    lines = out.splitlines()
    assert lines[0] == "lenet: inference of one sample, batch = 1"
    assert lines[4].split() == ["conv1", "conv2d", "[1,", "6,", "28,", "28]", "156", "117,600", "235,200", "4,704"]
    assert "2 x MACs" in out
    assert "37,632 bytes" in out
    assert (status, err) == (0, "")


def test_a_summary_of_a_batch_is_not_one_of_a_sample(run: Run) -> None:
    _, out, _ = run("summary", LENET, "--batch", "64")
    assert out.splitlines()[0] == "lenet: inference, batch = 64"


@pytest.mark.parametrize("group", [(), ("weights",), ("zoo",), ("export",)])
def test_the_list_of_commands_is_not_cut(run: Run, group: tuple[str, ...]) -> None:
    _, out, _ = run(*group, "--help")
    assert "..." not in out.partition("Commands:")[2]
    assert "Example: netspec " in out


def test_summary_as_json(run: Run) -> None:
    _, out, _ = run("summary", LENET, "--format", "json")
    data = json.loads(out)
    rows = data.pop("rows")
    assert data == {
        "name": "lenet",
        "dims": {"batch": 1},
        "total": 61_706,
        "trainable": 61_706,
        "frozen": 0,
        "buffers": 0,
        "macs": 416_520,
        "flops": 833_040,
        "elementwise": 19_330,
        # conv1 and its tanh 2 * 4704, pooled 1176, conv2 and its tanh 2 * 1600, pooled and flattened 2 * 400,
        # 2 * 120, 2 * 84 and 10 numbers; the most live while the first tanh reads 4704 and makes 4704.
        "activation_bytes": 4 * 15_002,
        "peak_activation_bytes": 4 * 9_408,
        "peak_at": "1",
        "peak_needs_dims": [],
    }
    assert rows[0] == {
        "path": "conv1",
        "type": "conv2d",
        "output_shape": [1, 6, 28, 28],
        "params": 156,
        "trainable": 156,
        "buffers": 0,
        "macs": 117_600,
        "flops": 235_200,
        "elementwise": 4_704,
    }


def test_summary_with_an_open_size(run: Run, spec: Callable[[str], str]) -> None:
    path = spec(SEQUENCE)
    data = json.loads(run("summary", path, "--format", "json")[1])
    assert (data["macs"], data["rows"][1]["output_shape"]) == ("128*time", [1, "time", 16])
    assert data["dims"] == {"batch": 1, "time": "time"}
    data = json.loads(run("summary", path, "--dim", "time=13", "--dim", "batch=3", "--format", "json")[1])
    assert (data["macs"], data["rows"][1]["output_shape"]) == (128 * 13 * 3, [3, 13, 16])
    status, out, _ = run("summary", path)
    assert status == 0
    assert "256*time" in out


def test_summary_says_which_size_the_peak_needs(run: Run, spec: Callable[[str], str]) -> None:
    path = spec(
        "{netspec: 1, inputs: {x: {shape: [batch, 1, h, 8]}}, layers: [{type: conv2d, out_channels: 2, kernel_size: 1},"
        " global_avg_pool, {type: linear, out_features: 1000}]}"
    )
    assert "give --dim h=N" in run("summary", path)[1]
    data = json.loads(run("summary", path, "--format", "json")[1])
    assert (data["peak_activation_bytes"], data["peak_at"], data["peak_needs_dims"]) == (None, None, ["h"])
    assert "Their peak is" in run("summary", path, "--dim", "h=5")[1]


def test_show_prints_either_graph(run: Run) -> None:
    status, inference, err = run("show", RESIDUAL)
    assert inference.startswith("graph residual (inference)\n")
    assert "stem.conv.weight: float[16, 3, 3, 3]" in inference
    assert (status, err) == (0, "")
    training = run("show", RESIDUAL, "--training")[1]
    assert training.startswith("graph residual (training)\n")
    assert "update block1.bn1.running_mean" in training
    assert "update" not in inference


def test_version(run: Run) -> None:
    assert run("--version") == (0, f"netspec {netspec.__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("validate",),
        ("show",),
        ("count-params",),
        ("summary",),
        ("plot",),
        ("verify",),
        ("backends",),
        ("export", "onnx"),
    ],
)
def test_help_has_an_example_of_each_command(run: Run, arguments: tuple[str, ...]) -> None:
    status, out, err = run(*arguments, "--help")
    assert (status, err) == (0, "")
    assert f"Usage: {' '.join(('netspec', *arguments))}" in out
    assert f"Example: {' '.join(('netspec', *arguments))} " in f"{out.rstrip()} "


def test_set_takes_values_of_yaml(run: Run, spec: Callable[[str], str]) -> None:
    path = spec(SEQUENCE)
    arguments = ("count-params", path, "--format", "json", "--set", "classes=3", "--set", "widths=[5, 7]")
    assert json.loads(run(*arguments)[1])["total"] == 50 * 5 + 5 * 3 + 3


def test_freeze_goes_behind_the_globs_of_the_file(run: Run) -> None:
    arguments = ("count-params", RESIDUAL, "--format", "json", "--freeze", "*", "--freeze", "!fc")
    assert json.loads(run(*arguments)[1])["trainable"] == 32 * 10 + 10


# Checking specs.


def test_validate_has_a_line_for_each_good_file(run: Run) -> None:
    status, out, err = run("validate", LENET, RESIDUAL)
    assert out.splitlines() == [
        f"{LENET}: ok, 12 layers, 61,706 parameters",
        f"{RESIDUAL}: ok, 21 layers, 19,994 parameters",
    ]
    assert (status, err) == (0, "")


def test_validate_tells_every_mistake_and_goes_on(run: Run, spec: Callable[[str], str]) -> None:
    path = spec(UNUSED.replace("out_features: 10", "out_features: 0").replace("linear, out_features: 7", "linearr"))
    status, out, err = run("validate", path, LENET)
    assert status == 2
    assert out.startswith(f"{LENET}: ok")
    assert [line.split(": ")[0] for line in err.splitlines()] == [f"{path}:6:43", f"{path}:7:25"]


def test_validate_as_json(run: Run, spec: Callable[[str], str]) -> None:
    path = spec(UNUSED.replace("out_features: 10", "out_features: 0"))
    status, out, err = run("validate", path, "--format", "json")
    (found,) = json.loads(out)
    assert (found["file"], found["line"], found["column"], found["severity"]) == (path, 6, 43, "error")
    assert err == f"{path}:6:43: {found['message']}\n"
    assert status == 2
    assert json.loads(run("validate", LENET, "--format", "json")[1]) == []


def test_warnings_are_no_mistakes(run: Run, spec: Callable[[str], str]) -> None:
    path = spec(UNUSED)
    status, out, err = run("validate", path, "--format", "json")
    expected = "spare: no output needs this layer"
    assert json.loads(out) == [{"file": path, "line": 7, "column": 5, "message": expected, "severity": "warning"}]
    assert err == f"{path}:7:5: warning: {expected}\n"
    assert status == 0
    assert run("count-params", path)[2] == err


def test_ten_mistakes_are_shown_and_the_rest_counted(run: Run, spec: Callable[[str], str]) -> None:
    bad = "".join(f"  - {{name: bad{place}, type: linear, out_features: -1}}\n" for place in range(13))
    path = spec(UNUSED.replace("outputs:", f"{bad}outputs:"))
    status, out, err = run("validate", path, "--format", "json")
    assert (status, len(json.loads(out))) == (2, 13)
    assert len(err.splitlines()) == 11
    assert err.splitlines()[-1] == "and 3 more mistakes"


def test_validate_warns_of_what_can_never_be_trained(run: Run, spec: Callable[[str], str]) -> None:
    # One value for each channel is enough for inference only.
    path = spec("{netspec: 1, inputs: {x: {shape: [1, 5]}}, layers: [batch_norm]}")
    assert run("count-params", path)[0] == 0
    status, out, err = run("validate", path, "--format", "json")
    assert status == 0
    assert "warning: 0: batch_norm in training needs 2 values or more for each channel, got 1" in err
    assert [line["severity"] for line in json.loads(out)] == ["warning"]


def test_validate_as_annotations_for_github(run: Run, spec: Callable[[str], str]) -> None:
    path = spec(
        "netspec: 1\ninputs: {x: {shape: [batch, 6]}}\nlayers:\n  - {type: linear, out_features: 10%}\n  - rel\n"
    )
    status, out, err = run("validate", path, "--format", "github")
    assert status == 2
    assert out.splitlines() == [
        f"::error file={path},line=4,col=34::0 (linear): out_features: expected a positive integer, got text '10%25'",
        f"::error file={path},line=5,col=5::unknown layer type rel; did you mean relu?",
    ]
    assert err.count("\n") == 2
    assert run("validate", LENET, "--format", "github")[1] == ""
