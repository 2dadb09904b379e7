"""The specs that come with netspec: their counts against the arithmetic of the lecture, and what is frozen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import netspec

SPECS = Path(__file__).parents[2] / "specs"
NAMES = sorted(path.stem for path in SPECS.glob("*.yaml"))


def conv(inputs: int, outputs: int, kernel: int, bias: bool = True) -> int:
    return outputs * inputs * kernel * kernel + bias * outputs


def linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def norm(channels: int) -> int:
    return 2 * channels


def counts(name: str) -> tuple[int, int, int, int]:
    count = netspec.count_params(SPECS / f"{name}.yaml")
    return count.total, count.trainable, count.frozen, count.buffers


def test_perceptron() -> None:
    total = linear(10, 5) + 5 * linear(5, 5) + linear(5, 1)
    assert total == (10 * 5 + 5) + 5 * (5 * 5 + 5) + (5 + 1) == 211
    assert counts("perceptron") == (211, 211, 0, 0)


def test_lenet() -> None:
    total = conv(1, 6, 5) + conv(6, 16, 5) + linear(16 * 5 * 5, 120) + linear(120, 84) + linear(84, 10)
    assert total == 61_706
    assert counts("lenet") == (total, total, 0, 0)


def test_cnn_mnist() -> None:
    total = conv(1, 32, 3) + conv(32, 64, 3) + linear(64 * 12 * 12, 128) + linear(128, 10)
    assert total == 1_199_882
    assert counts("cnn_mnist") == (total, total, 0, 0)


def test_residual() -> None:
    stem = conv(3, 16, 3, bias=False) + norm(16)
    block1 = 2 * (conv(16, 16, 3, bias=False) + norm(16))
    block2 = conv(16, 32, 3, bias=False) + conv(32, 32, 3, bias=False) + conv(16, 32, 1, bias=False) + 3 * norm(32)
    total = stem + block1 + block2 + linear(32, 10)
    assert counts("residual") == (total, total - stem, stem, 2 * (3 * 16 + 3 * 32))
    rows = {row.path: row for row in netspec.count_params(SPECS / "residual.yaml").rows}
    assert [path for path, row in rows.items() if row.kind == "param" and not row.trainable] == [
        "stem.conv.weight",
        "stem.bn.weight",
        "stem.bn.bias",
    ]
    assert not any(path.startswith("stem") for path in netspec.load(SPECS / "residual.yaml").training.updates)
    assert len(netspec.load(SPECS / "residual.yaml").training.updates) == 10


@pytest.mark.parametrize(("name", "outputs"), [("lenet", 84), ("cnn_mnist", 128), ("residual", 32)])
def test_classes_change_the_last_layer_alone(name: str, outputs: int) -> None:
    ten, three = (netspec.load(SPECS / f"{name}.yaml", params={"classes": classes}) for classes in (10, 3))
    assert str(three.inference.outputs[0].value.type) == "float[batch, 3]"
    assert netspec.count_params(ten).total - netspec.count_params(three).total == 7 * (outputs + 1)


@pytest.mark.parametrize("name", NAMES)
def test_every_spec_loads_without_a_warning_in_both_modes(name: str) -> None:
    spec = netspec.load(SPECS / f"{name}.yaml")
    assert spec.name == name
    assert not spec.warnings
    assert spec.graphs.training.training


def test_there_are_the_specs_that_are_tested_here() -> None:
    assert {"perceptron", "lenet", "cnn_mnist", "residual"} <= set(NAMES)


GROWTH = """
import sys, time
from netspec.spec import loads

HEAD = "netspec: 1\\ninputs: {x: {shape: [batch, 8, 4, 4]}}\\n"
BLOCKS = '''
blocks:
  Unit:
    params: {channels: null}
    inputs: [x]
    let: {out: $(channels * 1)}
    layers:
      - {name: conv, type: conv2d, out_channels: $(out), kernel_size: 1, bias: false}
      - {name: bn, type: batch_norm, if: $(channels == 8)}
      - relu
      - {type: add, from: [bn, x]}
layers: [{name: units, type: Unit, channels: 8, repeat: COUNT}]
'''

def text_of(layers):
    if sys.argv[1] == "blocks":
        return HEAD + BLOCKS.replace("COUNT", str(layers // 4))
    return HEAD + "layers:\\n" + "  - {type: linear, out_features: 8, init: {bias: zeros}}\\n" * layers

def seconds(layers):
    text = text_of(layers)
    times = []
    for _ in range(3):
        start = time.process_time()
        loads(text)
        times.append(time.process_time() - start)
    return min(times)

seconds(10)  # the classes of layers and initialisers are compiled when they are first used
print(seconds(4000) / seconds(1000))
"""


@pytest.mark.parametrize("kind", ["lines", "blocks"])
def test_time_grows_with_the_number_of_layers_and_not_with_its_square(kind: str) -> None:
    # Processor time, in a process of its own: in a large one the garbage collector has all else to look at too.
    done = subprocess.run([sys.executable, "-c", GROWTH, kind], check=True, capture_output=True, text=True)
    assert float(done.stdout) < 10  # four times the layers; their square would be sixteen
