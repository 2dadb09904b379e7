"""Checkpoints of torch: safetensors of its modules load unchanged, .pth files are read by its safe reader alone."""

import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import netspec
from netspec.errors import BackendError, WeightsError
from netspec.weights.conversion import process as foreign_process
from netspec.weights.conversion.process import read_foreign
from netspec.weights.safetensors_file import read_weights
from netspec_torch import checkpoint
from tests.core.conftest import Run, run

__all__ = ["run"]

NET = """
netspec: 1
inputs: {x: {shape: [batch, 3, 8, 7]}}
layers:
  - {name: conv, type: conv2d, out_channels: 4, kernel_size: 3, bias: false}
  - {name: bn, type: batch_norm}
  - relu
  - global_avg_pool
  - {name: fc, type: linear, out_features: 5}
"""
IMAGES = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 3, 8, 7)).astype(np.float32))


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3, bias=False)
        self.bn = torch.nn.BatchNorm2d(4)
        self.fc = torch.nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.bn(self.conv(x)).relu().mean((2, 3)))


def trained() -> Net:
    """A module whose statistics have moved."""
    torch.manual_seed(0)
    module = Net()
    module(2 * IMAGES + 1)
    return module.eval()


def test_a_state_dict_in_safetensors_loads_unchanged(tmp_path: Path) -> None:
    module, path = trained(), str(tmp_path / "net.safetensors")
    assert "bn.num_batches_tracked" in module.state_dict()
    safetensors.torch.save_file(module.state_dict(), path)
    for backend in ("numpy", "torch"):
        ours = netspec.build(netspec.loads(NET), backend, weights=path)
        y = np.asarray(ours.to_numpy(ours(IMAGES.numpy())))
        assert np.abs(y - module(IMAGES).detach().numpy()).max() < 1e-6


def test_a_model_saved_over_its_own_file_keeps_its_numbers(tmp_path: Path) -> None:
    path = str(tmp_path / "net.safetensors")
    safetensors.torch.save_file(trained().state_dict(), path)
    model = netspec.build(netspec.loads(NET), "torch", weights=path)
    before = model(IMAGES).detach().clone()
    with torch.no_grad():
        model.native.fc.bias += 1
    model.save_weights(path)
    assert torch.allclose(model(IMAGES), before + 1)
    again = netspec.build(netspec.loads(NET), "torch", weights=path)
    assert torch.equal(again(IMAGES), model(IMAGES))


def save(path: Path, content: Any) -> str:
    torch.save(content, path)
    return str(path)


def test_convert_of_a_checkpoint(run: Run, tmp_path: Path) -> None:
    state = trained().state_dict()
    spec, out = tmp_path / "net.yaml", str(tmp_path / "out.safetensors")
    spec.write_text(NET)
    parallel = {f"module.{name}": tensor for name, tensor in state.items()}
    path = save(tmp_path / "w.pth", {"epoch": 3, "model": parallel, "ema": state})
    status, _, err = run("weights", "convert", path, out, str(spec), "--rename", "module=", "--key", "model")
    assert status == 0, err
    found = read_weights(out)
    assert set(found) == set(state) - {"bn.num_batches_tracked"}
    assert all((array == state[key].numpy()).all() for key, array in found.items())


def test_state_dicts_stand_alone_or_in_a_checkpoint(tmp_path: Path) -> None:
    state, other = {"a": torch.ones(2)}, {"a": torch.zeros(2)}
    forms: list[tuple[Any, str | None]] = [
        (state, None),
        ({"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1}}, None),
        ({"model": state, "ema": other}, "model"),
    ]
    for content, key in forms:
        found, _ = checkpoint.read(save(tmp_path / "w.pth", content), key)
        assert set(found) == {"a"}
        assert (found["a"] == 1).all()


def test_types_of_tensors(tmp_path: Path) -> None:
    tensors = {
        "bf16": torch.tensor([1.5, -3e38]).bfloat16(),
        "half": torch.ones(2).half(),
        "count": torch.tensor(3),
        "parameter": torch.nn.Parameter(torch.ones(2, 3).T),
    }
    found, _ = checkpoint.read(save(tmp_path / "w.pt", tensors), None)
    assert {name: (array.dtype.name, array.shape) for name, array in found.items()} == {
        "bf16": ("float32", (2,)),
        "half": ("float16", (2,)),
        "count": ("int64", ()),
        "parameter": ("float32", (3, 2)),
    }
    assert (found["bf16"] == tensors["bf16"].float().numpy()).all()


class Evil:
    """What runs a program when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


def refusal(path: str) -> str:
    """Why the process refuses a file."""
    with pytest.raises(WeightsError) as caught:
        read_foreign(path, "torch")
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_a_hostile_pickle_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    mark, path = tmp_path / "mark", tmp_path / "w.pth"
    message = refusal(save(path, {"a": Evil(mark)}))
    assert message.startswith("torch's safe reader (weights_only=True) refuses it: it holds posix.system")
    assert not mark.exists()
    path.write_bytes(path.read_bytes()[:-200])
    assert refusal(str(path)).startswith("cannot be read: RuntimeError: PytorchStreamReader failed")


@pytest.mark.parametrize(
    ("content", "key", "message"),
    [
        (torch.nn.Linear(2, 3), None, "torch's safe reader (weights_only=True) refuses it: it holds torch.nn.modules"),
        ([torch.ones(2)], None, "expected a mapping of tensors, got list"),
        ({"epoch": 3}, None, "expected a mapping of tensors, got one of epoch"),
        (
            {"model": {"a": torch.ones(2)}, "ema": {"a": torch.ones(2)}},
            *(None, "it holds several mappings of tensors, choose one with --key: model, ema"),
        ),
        ({"model": {"a": torch.ones(2)}}, "net", "it has no mapping of tensors under net: there are model"),
        ({"a": torch.eye(3).to_sparse()}, None, "a: torch.float32 torch.sparse_coo is no plain array"),
    ],
    ids=["module", "list", "numbers", "two", "key", "sparse"],
)
def test_what_is_no_state_dict_is_refused(tmp_path: Path, content: Any, key: str | None, message: str) -> None:
    with pytest.raises(WeightsError) as caught:
        checkpoint.read(save(tmp_path / "w.pth", content), key)
    assert str(caught.value).startswith(message)


def test_a_small_file_that_claims_much_memory_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "w.pth", {"a": torch.zeros(1).expand(10**11)})
    assert Path(path).stat().st_size < 10_000
    assert refusal(path) == "cannot be read: it takes more than 512 MB of memory, too much for its size"


def test_a_file_that_takes_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "w.pth", {"a": torch.ones(2)})
    monkeypatch.setattr(foreign_process, "START_SECONDS", 0.01)
    monkeypatch.setattr(foreign_process, "SECONDS_SPARE", 0)
    assert refusal(path) == "cannot be read: it takes more than 0 seconds"


def test_without_torch_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "w.pth", {"a": torch.ones(2)})
    readers = {**foreign_process.READERS}
    readers["torch"] = readers["torch"]._replace(requires="no_such_module")
    monkeypatch.setattr(foreign_process, "READERS", readers)
    with pytest.raises(BackendError, match=r"no_such_module is needed to read it: pip install 'netspec-nn\[torch\]'"):
        read_foreign(path, "torch")


def test_the_program_that_reads_never_unpickles_in_this_process(tmp_path: Path) -> None:
    """`weights convert` of a .pth file imports no torch here: another process does."""
    path = save(tmp_path / "w.pth", {"a": torch.ones(2)})
    code = f"""
        import sys
        from netspec.cli import main
        status = main(["weights", "convert", {path!r}, {str(tmp_path / "out")!r}])
        raise SystemExit(status or "torch" in sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


@pytest.mark.parametrize("how", ["leave_network()", "limit(2**28, 5)"], ids=["own network", "audit hook"])
def test_the_process_has_no_network(how: str) -> None:
    """Each of the two barriers alone: the first stands on Linux where processes may make networks."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        code = f"""
            import socket
            from netspec.weights.conversion.child import leave_network, limit
            {how}
            try:
                socket.create_connection({server.getsockname()!r}, timeout=5)
            except OSError as error:
                print(error)
        """
        finished = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
        )
    if not finished.stdout and how.startswith("leave"):
        pytest.skip("this system lets no process make a network of its own")
    assert "unreachable" in finished.stdout or "is refused while a file is read" in finished.stdout


def test_the_process_starts_no_program() -> None:
    code = """
        import os, subprocess
        from netspec.weights.conversion.child import limit
        limit(2**28, 5)
        for start in (lambda: os.system("true"), lambda: subprocess.run(["true"]), os.fork):
            try:
                start()
            except PermissionError as error:
                print(error)
    """
    finished = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert finished.stdout.count("is refused while a file is read") == 3
