"""The specs that come with netspec: their counts against the arithmetic of the lecture, and what is frozen."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
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


def test_mlp_784_100_10() -> None:
    total = linear(784, 100) + linear(100, 10)
    assert total == 79_510
    assert counts("mlp_784_100_10") == (total, total, 0, 0)


@pytest.mark.parametrize(("D_in", "H", "D_out"), [(1000, 100, 10), (3, 5, 2), (64, 1, 1)])
def test_two_layer(D_in: int, H: int, D_out: int) -> None:  # noqa: N803 (the letters of the lecture)
    spec = netspec.load(SPECS / "two_layer.yaml", params={"D_in": D_in, "H": H, "D_out": D_out})
    assert netspec.count_params(spec).total == D_in * H + H + H * D_out + D_out == (D_in + 1) * H + (H + 1) * D_out


@pytest.mark.parametrize("n", [1, 3, 10])
def test_quadratic(n: int) -> None:
    spec = netspec.load(SPECS / "quadratic.yaml", params={"n": n})
    assert netspec.count_params(spec).total == n * n + n
    assert str(spec.inference.outputs[0].value.type) == "float[batch]"


def test_autoencoder() -> None:
    widths = [784, 1000, 500, 250, 30]
    there = sum(linear(a, b) for a, b in pairwise(widths))
    back = sum(linear(b, a) for a, b in pairwise(widths))
    assert there + back == 2_837_314
    assert counts("autoencoder") == (there + back, there + back, 0, 0)
    shallow = netspec.load(SPECS / "autoencoder.yaml", params={"widths": [], "bottleneck": 2})
    assert netspec.count_params(shallow).total == linear(784, 2) + linear(2, 784)


@pytest.mark.parametrize("widths", [[64, 128, 256, 512, 1024], [8, 16], [5, 7, 9]])
def test_unet(widths: list[int]) -> None:
    size = 8 * 2 ** len(widths)
    spec = netspec.load(SPECS / "unet.yaml", params={"widths": widths, "size": size})
    down = sum(conv(a, b, 3) + conv(b, b, 3) for a, b in pairwise([3, *widths]))
    up = sum(conv(b, a, 2) + conv(2 * a, a, 3) + conv(a, a, 3) for a, b in pairwise(widths))
    assert netspec.count_params(spec).total == down + up + conv(widths[0], 2, 1)
    assert str(spec.inference.outputs[0].value.type) == f"float[batch, 2, {size}, {size}]"
    assert counts("unet")[0] == 31_031_810


def test_hyperspectral() -> None:
    scales = sum(conv(200, 128, kernel) for kernel in (1, 3, 5))
    total = scales + norm(384) + conv(384, 128, 1) + norm(128) + (2 * 2 + 2) * conv(128, 128, 1) + linear(128, 16)
    assert counts("hyperspectral") == (total, total, 0, 2 * (384 + 128))
    wider = netspec.load(SPECS / "hyperspectral.yaml", params={"bands": 103, "size": 7, "classes": 9, "depth": 1})
    assert str(wider.inference.outputs[0].value.type) == "float[batch, 9]"


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


def test_transformer_encoder() -> None:
    d, depth = 128, 2
    # In each layer four projections of the width, two of four times the width, and two norms.
    each = 4 * linear(d, d) + linear(d, 4 * d) + linear(4 * d, d) + 2 * norm(d)
    total = (8000 + 512) * d + depth * each + norm(d) + linear(d, 4)
    assert total == 1_486_852
    assert counts("transformer_encoder") == (total, total, 0, 0)
    spec = netspec.load(SPECS / "transformer_encoder.yaml", params={"width": 12, "heads": 3, "depth": 1})
    assert str(spec.inference.outputs[0].value.type) == "float[batch, 4]"
