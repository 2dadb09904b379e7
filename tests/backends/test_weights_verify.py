"""`--weights` in the commands that run frameworks: the numbers of the file are those that are compared and exported."""

from pathlib import Path

import numpy as np
import pytest

import netspec
from netspec.weights.initial import initial_weights
from netspec.weights.safetensors_file import write_weights
from tests.core.conftest import Run, run

__all__ = ["run"]

NET = """
netspec: 1
inputs: {x: {shape: [batch, 3]}}
layers:
  - {name: hidden, type: linear, out_features: 4}
  - tanh
  - {name: fc, type: linear, out_features: 2}
"""


@pytest.fixture
def net(tmp_path: Path) -> str:
    path = tmp_path / "net.yaml"
    path.write_text(NET)
    return str(path)


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Numbers that float32 does not hold: in float64 they are compared as they are."""
    path = tmp_path / "w.safetensors"
    arrays = initial_weights(netspec.loads(NET).inference, 5)
    write_weights(path, {name: array.astype(np.float64) / 3 for name, array in arrays.items()})
    return str(path)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_verify_compares_with_the_weights_of_a_file(run: Run, net: str, file: str, dtype: str) -> None:
    command = ("verify", net, "--backends", "torch", "--dtype", dtype, "--weights", file)
    status, out, err = run(*command)
    assert (status, err) == (0, "")
    assert out.count("yes") == 1
    status, _, err = run(*command, "--skip", "fc")
    listed = "weights: initial values: fc.weight, fc.bias; not used: fc.weight, fc.bias\n"
    assert (status, err) == (0, listed)


def test_export_writes_the_weights_of_a_file(run: Run, net: str, file: str, tmp_path: Path) -> None:
    import onnx
    from onnx import numpy_helper

    path = str(tmp_path / "net.onnx")
    assert run("export", "onnx", net, "-o", path, "--weights", file, "--only", "hidden", "--seed", "2")[0] == 0
    found = {each.name: numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer}
    spec = netspec.load(net)
    expected = netspec.load_weights(spec, file, only=["hidden"], seed=2).arrays
    assert expected["fc.weight"].tobytes() == initial_weights(spec.inference, 2)["fc.weight"].tobytes()
    for name, array in expected.items():
        assert (found[name] == array.astype(np.float32)).all(), name
