"""Weights of a file become a model's: exactly all of them, or exactly those that were asked for."""

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.errors import NetspecError, WeightsError
from netspec.graph.builder import Builder, Entry
from netspec.graph.graph import Graph, Origin, Value
from netspec.graph.invariants import check_graph
from netspec.graph.types import TensorType
from netspec.layers import Embedding, Layer, Linear
from netspec.weights.initial import initial_weights
from netspec.weights.load import load_weights
from netspec.weights.safetensors_file import read_weights, write_weights
from netspec.weights.selection import selection

Arrays = dict[str, np.ndarray[Any, Any]]

NET = """
netspec: 1
params: {classes: 5}
inputs: {x: {shape: [batch, 3, 6, 6]}}
layers:
  - {name: stem, type: conv2d, out_channels: 4, kernel_size: 3}
  - {name: bn, type: batch_norm}
  - global_avg_pool
  - {name: fc, type: linear, out_features: $(classes)}
"""


def net(classes: int = 5, freeze: list[str] | None = None) -> netspec.Spec:
    return netspec.loads(NET, params={"classes": classes}, freeze=freeze)


def trained(spec: netspec.Spec, seed: int = 7) -> Arrays:
    """Weights that are not those of seed 0, variances above 0."""
    return {path: array + np.float32(0.5) for path, array in initial_weights(spec.inference, seed).items()}


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "w.safetensors"
    write_weights(path, trained(net()))
    return str(path)


def mistakes(call: Any, *arguments: Any, **named: Any) -> list[str]:
    with pytest.raises(NetspecError) as caught:
        call(*arguments, **named)
    return str(caught.value).splitlines()


# ---------------------------------------------------------------------------------------------------------------- exact


def test_a_whole_file_loads_in_the_models_order(file: str) -> None:
    loaded = netspec.load_weights(net(), file)
    assert list(loaded.arrays) == [held.path for held in net().inference.state]
    assert (loaded.initial, loaded.unused) == ((), ())
    for path, array in trained(net()).items():
        assert loaded.arrays[path].tobytes() == array.tobytes()


def test_what_torch_counts_is_there_or_not(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write_weights(path, {**trained(net()), "bn.num_batches_tracked": np.array(17)})
    loaded = netspec.load_weights(net(), path)
    assert set(loaded.arrays) == set(trained(net()))
    assert loaded.unused == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fc.bias": None}, "{file}: fc.bias: missing, expected float64 [5]"),
        ({"head.bias": np.zeros(5, np.float32)}, "{file}: head.bias: no such parameter or buffer"),
        ({"fc.bias": np.zeros(4, np.float32)}, "{file}: fc.bias: expected the shape [5], got [4]"),
        ({"fc.bias": np.zeros(5, np.int64)}, "{file}: fc.bias: expected float64, got int64"),
        (
            {"fc.bias": np.array([0, np.nan, 1, np.inf, 2], np.float32)},
            "{file}: fc.bias: 2 numbers are not finite, the first nan at [1]",
        ),
    ],
    ids=["missing", "extra", "misshapen", "mistyped", "not finite"],
)
def test_what_does_not_fit_is_refused_by_every_way_in(file: str, change: dict[str, Any], message: str) -> None:
    arrays = {name: array for name, array in {**trained(net()), **change}.items() if array is not None}
    write_weights(file, arrays)
    expected = [message.format(file=file)]
    assert mistakes(netspec.load_weights, net(), file) == expected
    assert mistakes(netspec.build, net(), "numpy", weights=file) == expected
    assert mistakes(netspec.export_onnx, net(), f"{file}.onnx", weights=file) == expected
    assert mistakes(netspec.verify, net(), "numpy", weights=file) == expected
    assert mistakes(netspec.build, net(), "numpy", weights=arrays) == [message.format(file="weights")]
    assert not Path(f"{file}.onnx").exists()


def test_not_finite_numbers_are_taken_where_that_is_allowed(file: str) -> None:
    write_weights(file, {**trained(net()), "fc.bias": np.full(5, np.nan, np.float32)})
    loaded = netspec.load_weights(net(), file, allow_nonfinite=True)
    assert np.isnan(loaded.arrays["fc.bias"]).all()
    model = netspec.build(net(), "numpy", weights=file, allow_nonfinite=True)
    assert np.isnan(model(np.ones((1, 3, 6, 6), np.float32))).all()


def test_a_file_is_checked_before_its_tensors_are_read(tmp_path: Path) -> None:
    """A hole of 64 GB in a file takes no room on the disk, but would in memory."""
    path = tmp_path / "w"
    header = b'{"fc.weight":{"dtype":"F32","shape":[131072,131072],"data_offsets":[0,68719476736]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    os.truncate(path, path.stat().st_size + 2**36)
    found = mistakes(netspec.load_weights, net(), path)
    assert f"{path}: fc.weight: expected the shape [5, 4], got [131072, 131072]" in found


def test_saving_over_the_file_just_loaded(file: str) -> None:
    model = netspec.build(net(), "numpy", weights=file)
    x = np.linspace(-1, 1, 108, dtype=np.float32).reshape(1, 3, 6, 6)
    before, y = Path(file).read_bytes(), model(x)
    model.save_weights(file)
    assert Path(file).read_bytes() == before
    assert (model(x) == y).all()
    changed = {path: array + 1 for path, array in netspec.load_weights(net(), file).arrays.items()}
    write_weights(file, changed)
    assert (model(x) == y).all()
    assert (read_weights(file)["fc.bias"] == changed["fc.bias"]).all()


# -------------------------------------------------------------------------------------------------------------- partial


def test_fine_tuning_in_three_lines(file: str, caplog: pytest.LogCaptureFixture) -> None:
    """The head of another width: the file's does not fit and is skipped, the new one is initial, all else is frozen."""
    spec = net(classes=10, freeze=["*", "!fc"])
    with caplog.at_level(logging.WARNING, "netspec"):
        model = netspec.build(spec, "numpy", weights=file, skip=["fc"], seed=3)
    initial, source = initial_weights(spec.inference, 3), trained(net())
    for path, array in model.weights().items():
        assert (array == (initial if path.startswith("fc.") else source)[path]).all(), path
    x, r = np.ones((2, 3, 6, 6), np.float32), np.ones((2, 10), np.float32)
    assert set(model.gradients(x, cotangent=r)) == {"fc.weight", "fc.bias"}
    assert caplog.messages == ["weights: initial values: fc.weight, fc.bias; not used: fc.weight, fc.bias"]


@pytest.mark.parametrize(
    ("only", "skip", "initial"),
    [
        (["stem"], None, {"bn", "fc"}),
        (["stem.*", "f?"], None, {"bn"}),
        (["*", "!fc"], None, {"fc"}),
        (None, ["bn", "f*"], {"bn", "fc"}),
        (["[sb]*"], ["bn.*"], {"bn", "fc"}),
    ],
)
def test_globs_choose(file: str, only: list[str] | None, skip: list[str] | None, initial: set[str]) -> None:
    loaded = netspec.load_weights(net(), file, only, skip)
    assert {path.partition(".")[0] for path in loaded.initial} == initial
    assert set(loaded.unused) == set(loaded.initial)
    for path, array in loaded.arrays.items():
        expected = initial_weights(net().inference) if path in loaded.initial else trained(net())
        assert (array == expected[path]).all()


def test_what_is_chosen_is_still_exact(file: str) -> None:
    """A glob leaves out what it names, on both sides, and nothing else."""
    arrays = trained(net())
    del arrays["bn.running_var"]
    write_weights(file, {**arrays, "aux.weight": np.zeros(3, np.float32)})
    refused = [f"{file}: bn.running_var: missing, expected float64 [4]"]
    assert mistakes(netspec.load_weights, net(), file, skip=["aux"]) == refused
    assert mistakes(netspec.load_weights, net(), file, only=["bn", "stem"]) == refused
    refused = [f"{file}: aux.weight: no such parameter or buffer"]
    assert mistakes(netspec.load_weights, net(), file, skip=["bn"]) == refused
    loaded = netspec.load_weights(net(), file, skip=["aux", "bn.running_var"])
    assert (loaded.initial, loaded.unused) == (("bn.running_var",), ("aux.weight",))


def test_nan_in_what_is_left_out_does_not_matter(file: str) -> None:
    write_weights(file, {**trained(net()), "fc.bias": np.full(9, np.nan, np.float32)})
    assert netspec.load_weights(net(), file, skip=["fc.bias"]).initial == ("fc.bias",)


@pytest.mark.parametrize(
    ("only", "skip", "message"),
    [
        (["stem", "head"], None, "only: head matches nothing"),
        (None, ["fc.bia"], "skip: fc.bia matches nothing; did you mean fc.bias?"),
        (["fc"], ["fc"], "only and skip leave nothing to load"),
        ([""], None, "only: an empty glob"),
        (None, ["!"], "skip: an empty glob"),
        ("fc", None, "only: expected a list of globs, got the text 'fc'"),
    ],
)
def test_wrong_globs_are_refused(file: str, only: Any, skip: Any, message: str) -> None:
    assert mistakes(netspec.load_weights, net(), file, only, skip) == [message]


def test_globs_without_weights_are_refused() -> None:
    message = ["only and skip choose among weights: give weights too"]
    assert mistakes(netspec.build, net(), "numpy", skip=["fc"]) == message
    assert mistakes(netspec.verify, net(), "numpy", only=["fc"]) == message
    assert mistakes(netspec.export_onnx, net(), "no.onnx", skip=["fc"]) == message


# ----------------------------------------------------------------------------------------------------------------- tied


def tied_graph() -> Graph:
    """A language model's frame: the head's weight is the embedding's table."""
    b = Builder("tied")
    tokens = b.input("tokens", TensorType((4,), "int64"))
    words = b.call(Embedding(num_embeddings=7, embedding_dim=3), Entry(Origin("embed", None)), [tokens])[0]
    entry = Entry(Origin("head", None), tied={"weight": "embed.weight"})
    return check_graph(b.finish({"y": b.call(Linear(out_features=7), entry, [words])[0]}))


def tied_arrays() -> Arrays:
    return {
        "embed.weight": np.arange(21, dtype=np.float32).reshape(7, 3),
        "head.weight": np.arange(21, dtype=np.float32).reshape(7, 3),
        "head.bias": np.ones(7, np.float32),
    }


def test_the_builder_tells_the_aliases() -> None:
    assert tied_graph().aliases == {"head.weight": "embed.weight"}
    assert [held.path for held in tied_graph().state] == ["embed.weight", "head.bias"]


@pytest.mark.parametrize("left_out", ["embed.weight", "head.weight", None])
def test_a_tied_parameter_is_under_either_name_or_both(left_out: str | None) -> None:
    arrays = {name: array for name, array in tied_arrays().items() if name != left_out}
    loaded = load_weights(tied_graph(), arrays)
    assert list(loaded.arrays) == ["embed.weight", "head.bias"]
    assert (loaded.arrays["embed.weight"] == tied_arrays()["embed.weight"]).all()
    assert (loaded.initial, loaded.unused) == ((), ())


def test_two_names_of_a_parameter_have_equal_numbers() -> None:
    arrays = tied_arrays()
    arrays["head.weight"][3, 1] += 1
    message = "weights: head.weight: differs from embed.weight, which is the same parameter"
    assert mistakes(load_weights, tied_graph(), arrays) == [message]
    loaded = load_weights(tied_graph(), arrays, selection(None, ["head.weight"]))
    assert (loaded.initial, loaded.unused) == ((), ("head.weight",))


def test_a_tied_parameter_that_is_missing_or_misshapen() -> None:
    message = "weights: embed.weight: missing, expected float64 [7, 3]"
    assert mistakes(load_weights, tied_graph(), {"head.bias": np.ones(7)}) == [message]
    arrays = {**tied_arrays(), "head.weight": np.ones((3, 7))}
    message = "weights: head.weight: expected the shape [7, 3], got [3, 7]"
    assert mistakes(load_weights, tied_graph(), arrays) == [message]


def test_a_tied_parameter_that_is_skipped_is_initial() -> None:
    loaded = load_weights(tied_graph(), tied_arrays(), selection(None, ["embed"]))
    assert loaded.initial == ("embed.weight",)
    assert set(loaded.unused) == {"embed.weight", "head.weight"}
    assert (loaded.arrays["embed.weight"] == initial_weights(tied_graph())["embed.weight"]).all()


class Parameter(Layer):
    """A parameter without a name of its own: its path is the entry's."""

    type: str = "parameter"
    shape: tuple[int, ...]

    def expand(self, b: Builder) -> Value:
        return b.param("", self.shape, "zeros")


def test_an_alias_that_is_a_path_is_refused() -> None:
    b = Builder("clash")
    x = b.input("x", TensorType((2, 3)))
    x = b.call(Linear(out_features=3), Entry(Origin("a", None)), [x])[0]
    x = b.call(Linear(out_features=3), Entry(Origin("b", None), tied={"weight": "a.weight"}), [x])[0]
    y = b.call(Parameter(shape=(2, 3)), Entry(Origin("b.weight", None)), [])[0]
    assert mistakes(b.finish, {"y": y}) == ["two parameters would have the path b.weight"]


def test_tie_in_a_spec() -> None:
    spec = netspec.loads("""
netspec: 1
inputs: {tokens: {shape: [batch, time], dtype: int64}}
layers:
  - {name: embed, type: embedding, num_embeddings: 7, embedding_dim: 3}
  - {name: head, type: linear, out_features: 7, tie: {weight: embed.weight}}
""")
    for left_out in ("embed.weight", "head.weight"):
        arrays = {name: array for name, array in tied_arrays().items() if name != left_out}
        model = netspec.build(spec, "numpy", weights=arrays)
        assert set(model.weights()) == {"embed.weight", "head.bias"}
        assert (model.weights()["embed.weight"] == tied_arrays()["embed.weight"]).all()


def test_weights_error_is_a_value_error(file: str) -> None:
    with pytest.raises(WeightsError):
        netspec.load_weights(net(classes=3), file)
