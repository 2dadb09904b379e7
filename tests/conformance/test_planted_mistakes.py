"""The comparison has teeth: each planted mistake makes `netspec verify` disagree and name the very entry it hits.

Many mutants share one command, each in a process of its own. A mistake is planted in the table of a backend (or in what
its model hands over), never in the spec; the entry that it hits is known beforehand. Each mutant compiles three graphs,
which takes 3 to 10 s: some run by default, the others by `make test-thorough`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest

from tests.conformance.command import mutants, strict_json, verify

# Every layer once where it can be taken for another: uneven padding, a square weight, equal sizes, a padding row.
LAYERS = """\
netspec: 1
name: layers
inputs:
  image: {shape: [batch, 4, 8, 7]}
  row: {shape: [batch, 6]}
  words: {shape: [batch, time], dtype: int64}
layers:
  - {name: valid, type: conv2d, out_channels: 4, kernel_size: 3, from: image, frozen: true}
  - {name: even, type: conv2d, out_channels: 4, kernel_size: [4, 2], padding: same}
  - {name: strided, type: conv2d, out_channels: 6, kernel_size: 3, stride: 2, padding: same, from: valid}
  - {name: grouped, type: conv2d, out_channels: 6, kernel_size: 2, groups: 2}
  - {name: norm, type: batch_norm, from: even}
  - {name: inside, type: avg_pool2d, kernel_size: 3, stride: 2, padding: 1, count_include_pad: false}
  - {name: flat, type: flatten}
  - {name: wide, type: linear, out_features: 5}
  - {name: square, type: linear, out_features: 6, from: row}
  - {name: smooth, type: gelu}
  - {name: leak, type: leaky_relu, from: square}
  - {name: both, type: concat, dim: 1, from: [smooth, leak]}
  - {name: squash, type: tanh}
  - {name: halves, type: reshape, shape: [-1, 2, 6]}
  - {name: kept, type: dropout, p: 0.3}
  - {name: joined, type: reshape, shape: [-1, 1, 6], from: leak}
  - {name: skip, type: add, from: [kept, joined]}
  - {name: table, type: embedding, num_embeddings: 5, embedding_dim: 4, padding_idx: 2, from: words}
  - {name: attend, type: softmax, dim: 1}
  - {name: feature, type: layer_norm}
outputs: {grouped: grouped, wide: wide, skip: skip, feature: feature}
"""
TRAINING = """\
netspec: 1
name: training
inputs:
  image: {shape: [batch, 3, 5, 4]}
layers:
  - {name: conv, type: conv2d, out_channels: 4, kernel_size: 2}
  - {name: fixed, type: batch_norm, frozen: true}
  - {name: smooth, type: gelu}
  - {name: moving, type: batch_norm, stats_decay: 0.8}
  - {name: drop, type: dropout, p: 0.3}
  - {name: flat, type: flatten}
  - {name: head, type: linear, out_features: 3}
"""
# Run on given numbers: zeros at kinks, equals in windows, and one that overflows where the largest is not taken off.
KINKS = """\
netspec: 1
name: kinks
inputs:
  row: {shape: [batch, 6]}
  image: {shape: [batch, 2, 8, 6]}
layers:
  - {name: bend, type: relu, from: row}
  - {name: leak, type: leaky_relu, negative_slope: 0.3, from: row}
  - {name: sharp, type: softmax, dim: 1, from: row}
  - {name: pool, type: max_pool2d, kernel_size: 2, from: image}
  - {name: after, type: conv2d, out_channels: 2, kernel_size: 2}
outputs: {bend: bend, leak: leak, sharp: sharp, after: after}
"""


@dataclass(frozen=True)
class Planted:
    """A mistake: the entry that it hits, and the frameworks it is planted in, by the dtype compared in."""

    mistake: str
    node: str
    float32: str = ""
    float64: str = ""


@dataclass(frozen=True)
class Group:
    """Mistakes that show on one spec."""

    spec: str
    train: bool
    planted: tuple[Planted, ...]
    data: Callable[[], dict[str, Any]] | None = None


def kinks_data() -> dict[str, Any]:
    """Zeros are the equals: other numbers are moved apart by the roundings that the float32 limit allows for."""
    row = np.array([[-1.0, 0.0, 1.0, 2.0, 0.0, -2.0], [0.0, 1000.0, 1.0, -1.0, 0.0, 3.0]])
    image = -np.random.default_rng(3).integers(0, 2, (2, 2, 8, 6)).astype("float64")
    image[:, :, 1::2, ::2] = 0.0  # one at least in each window
    return {"row": row, "image": image}


GROUPS = {
    "layers": Group(
        LAYERS,
        False,
        (
            Planted("padding_side", "even", "torch tensorflow onnx", "jax"),
            Planted("same_symmetric", "strided", "jax onnx", "torch tensorflow"),
            Planted("conv_without_bias", "grouped", "torch onnx"),
            Planted("kernel_flipped", "valid", "", "torch"),
            Planted("batch_norm_eps", "norm", "torch tensorflow onnx", "jax"),
            Planted("pool_divisor", "inside", "jax onnx", "torch"),
            Planted("flatten_channels_last", "flat", "torch onnx", "tensorflow jax"),
            Planted("linear_without_bias", "wide", "", "torch"),
            Planted("linear_transposed", "square", "torch onnx", "tensorflow jax"),
            Planted("linear_single", "wide", "", "torch"),
            Planted("gelu_tanh", "smooth", "jax tensorflow onnx", "torch"),
            Planted("leaky_slope", "leak", "torch onnx", "jax"),
            Planted("concat_reversed", "both", "onnx", "torch"),
            Planted("embedding_shifted", "table", "onnx", "jax"),
            Planted("embedding_masked", "table", "jax", "torch"),
            Planted("softmax_axis", "attend", "torch onnx", "jax"),
            Planted("layer_norm_eps", "feature", "jax onnx", "torch"),
            # In gradients alone.
            Planted("tanh_detached", "squash", "tensorflow", "jax"),
            Planted("tanh_twice", "squash", "", "torch"),
            Planted("add_detached", "skip", "jax", "torch"),
            Planted("padding_trained", "table", "torch tensorflow", "jax"),
            Planted("missing_gradient", "grouped", "", "torch"),
            Planted("missing_input_gradient", "input:row", "torch"),
            Planted("frozen_gradient", "valid", "torch"),
            Planted("gradient_transposed", "square", "", "torch"),
            Planted("gradient_shape", "wide", "torch"),
            Planted("gradient_nan", "norm", "", "torch"),
            Planted("gradient_sign", "feature", "torch"),
        ),
    ),
    "training": Group(
        TRAINING,
        True,
        (
            Planted("batch_norm_reversed", "moving", "torch", "jax tensorflow"),
            Planted("batch_norm_biased", "moving", "jax", "torch"),
            Planted("frozen_uses_batch", "fixed", "torch", "jax"),
            Planted("frozen_moves", "fixed", "tensorflow", "torch"),
            Planted("dropout_unscaled", "drop", "torch", "jax"),
            Planted("missing_buffer", "moving", "", "torch"),
            Planted("buffer_nan", "moving", "torch"),
        ),
    ),
    "kinks": Group(
        KINKS,
        False,
        (
            Planted("relu_kink", "bend", "torch", "jax"),
            Planted("leaky_kink", "leak", "jax tensorflow", "torch"),
            Planted("pool_last", "pool", "torch", "jax tensorflow"),
            Planted("pool_even", "pool", "jax", "torch"),
            Planted("softmax_naive", "sharp", "torch onnx", "jax"),
        ),
        kinks_data,
    ),
}


def cases() -> Iterator[tuple[str, str, str, str]]:
    """Group, dtype, name of the mutant, and the entry it hits."""
    for name, group in GROUPS.items():
        for planted in group.planted:
            for dtype, bases in (("float32", planted.float32), ("float64", planted.float64)):
                for base in bases.split():
                    yield name, dtype, f"{base}_{planted.mistake}", planted.node


CASES = list(cases())
# What runs by default: every kind of mistake that the search for the node tells apart, on every framework.
QUICK = {
    *("torch_padding_side", "torch_kernel_flipped", "torch_batch_norm_reversed", "torch_linear_transposed"),
    *("torch_padding_trained", "torch_frozen_gradient", "torch_relu_kink", "torch_leaky_kink", "torch_tanh_twice"),
    *("torch_buffer_nan", "onnx_pool_divisor", "onnx_softmax_axis", "onnx_flatten_channels_last"),
    *("tensorflow_batch_norm_eps", "tensorflow_frozen_moves", "tensorflow_pool_last"),
    *("jax_gelu_tanh", "jax_batch_norm_biased", "jax_leaky_kink"),
}


def is_thorough(mutant: str) -> bool:
    """Whether a mutant is left to `make test-thorough`."""
    return mutant not in QUICK


class Runs:
    """One command for each group and dtype, run when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.of = cache(self._run)

    def _run(self, name: str, dtype: str, thorough: bool) -> CompletedProcess[str]:
        wanted = (name, dtype, thorough)
        backends = [mutant for group, of, mutant, _ in CASES if (group, of, is_thorough(mutant)) == wanted]
        return self.verify(name, dtype, backends)

    def verify(self, name: str, dtype: str, backends: list[str]) -> CompletedProcess[str]:
        """Run the command on one group."""
        group = GROUPS[name]
        (self.folder / f"{name}.yaml").write_text(group.spec)
        arguments = [f"{name}.yaml", "--dtype", dtype]
        if group.train:
            arguments.append("--train")
        if group.data is not None:
            np.savez(self.folder / f"{name}.npz", **group.data())
            arguments += ["--data", f"{name}.npz"]
        return verify(self.folder, *arguments, points=mutants(backends), backends=backends)


def read(run: CompletedProcess[str]) -> tuple[int, Any]:
    """The status and the JSON of a command that had nothing else to say."""
    assert run.stderr == "", run.stderr
    return run.returncode, strict_json(run.stdout)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("planted"))


def written_at(name: str, node: str) -> str:
    """Where the entry, or the name of the input, stands: `file:line:col`."""
    for number, line in enumerate(GROUPS[name].spec.splitlines(), start=1):
        key = f"{node.removeprefix('input:')}: "
        if f"{{name: {node}," in line:
            return f"{name}.yaml:{number}:{line.index('{') + 1}"
        if line.strip().startswith(key):
            return f"{name}.yaml:{number}:{line.index(key) + 1}"
    raise AssertionError(node)


@pytest.mark.parametrize(
    ("group", "dtype", "mutant", "node"),
    [pytest.param(*case, marks=[pytest.mark.thorough] if is_thorough(case[2]) else []) for case in CASES],
    ids=lambda part: part,
)
def test_mistake_is_caught_and_named(runs: Runs, group: str, dtype: str, mutant: str, node: str) -> None:
    status, found = read(runs.of(group, dtype, is_thorough(mutant)))
    row = found["backends"][mutant]
    assert status == 1
    assert found["agree"] is False
    assert row["agree"] is False
    assert row["first_difference"] is not None, row["problems"]
    assert (row["first_difference"]["node"], row["first_difference"]["line"]) == (node, written_at(group, node))
    assert row["first_difference"]["error"] > 1e-10


@pytest.mark.parametrize(
    "group", ["layers", *(pytest.param(name, marks=pytest.mark.thorough) for name in ("training", "kinks"))]
)
def test_the_same_wrapper_without_a_mistake_agrees(runs: Runs, group: str) -> None:
    backends = [f"{base}_nothing" for base in ("torch", "tensorflow", "jax", "onnx")]
    status, found = read(runs.verify(group, "float32", backends))
    assert found["agree"] is True
    assert status == 0
    assert all(row["agree"] and row["first_difference"] is None for row in found["backends"].values())
    assert list(found["backends"]) == backends


def test_one_mistake_among_several_backends_is_a_disagreement(runs: Runs) -> None:
    status, found = read(runs.verify("layers", "float32", ["torch_nothing", "torch_gelu_tanh"]))
    assert status == 1
    assert found["agree"] is False
    assert [row["agree"] for row in found["backends"].values()] == [True, False]


def test_there_are_enough_mistakes_on_every_framework() -> None:
    assert {mutant for _, _, mutant, _ in CASES} >= QUICK
    assert len({mutant.partition("_")[2] for mutant in QUICK}) >= 16
    planted = [(base, mistake) for _, _, name, _ in CASES for base, _, mistake in [name.partition("_")]]
    assert len({mistake for _, mistake in planted}) >= 16
    for base in ("torch", "tensorflow", "jax", "onnx"):
        assert len({mistake for found, mistake in planted if found == base}) >= 10
