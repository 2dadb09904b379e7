"""`netspec weights` and `--weights`: what they print, write and refuse."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.weights.initial import initial_weights
from netspec.weights.safetensors_file import read_weights, write_weights

Run = Callable[..., tuple[int, str, str]]

NET = """
netspec: 1
params: {classes: 2}
inputs: {x: {shape: [batch, 3]}}
layers:
  - {name: hidden, type: linear, out_features: 4}
  - tanh
  - {name: fc, type: linear, out_features: $(classes)}
"""
WEIGHTS = initial_weights(netspec.loads(NET).inference, 5)


@pytest.fixture
def net(tmp_path: Path) -> str:
    path = tmp_path / "net.yaml"
    path.write_text(NET)
    return str(path)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "w.safetensors"
    write_weights(path, WEIGHTS)
    return str(path)


def test_init_writes_the_initial_weights_of_a_seed(run: Run, net: str, tmp_path: Path) -> None:
    path = tmp_path / "new.safetensors"
    assert run("weights", "init", net, "-o", str(path), "--seed", "5", "--set", "classes=2") == (
        *(0, ""),
        f"{path}: 4 tensors, 104 bytes\n",
    )
    found = read_weights(path)
    assert {name: array.tobytes() for name, array in found.items()} == {
        name: array.tobytes() for name, array in WEIGHTS.items()
    }


def test_inspect_lists_the_tensors(run: Run, file: str) -> None:
    assert run("weights", "inspect", file) == (
        0,
        (
            "tensor         dtype  shape   numbers  bytes\n"
            "-------------  -----  ------  -------  -----\n"
            "hidden.weight  F32    [4, 3]       12     48\n"
            "hidden.bias    F32    [4]           4     16\n"
            "fc.weight      F32    [2, 4]        8     32\n"
            "fc.bias        F32    [2]           2      8\n"
            "-------------  -----  ------  -------  -----\n"
            "4 tensors                          26    104\n"
        ),
        "",
    )


def test_inspect_counts_numbers(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "w"
    arrays: dict[str, Any] = {
        "a": np.array([[1, 2], [3, 6]], np.float32),
        "b": np.array([np.nan, 1, np.inf, -np.inf, np.nan], np.float16),
        "c": np.array([True, False]),
        "d\x1b[2J": np.zeros((0, 3), np.int64),
    }
    write_weights(path, arrays)
    status, out, err = run("weights", "inspect", str(path), "--stats", "--format", "json")
    data = json.loads(out)
    assert (status, err) == (0, "")
    assert data["total"] == {"tensors": 4, "numbers": 11, "bytes": 28}
    rows = {row.pop("name"): row for row in data["tensors"]}
    assert rows["a"] == {
        "dtype": "F32",
        "shape": [2, 2],
        "numbers": 4,
        "bytes": 16,
        "nan": 0,
        "infinite": 0,
        "mean": 3.0,
        "std": pytest.approx(3.5**0.5),
        "min": 1.0,
        "max": 6.0,
    }
    assert (rows["b"]["nan"], rows["b"]["infinite"], rows["b"]["mean"], rows["b"]["std"]) == (2, 2, 1.0, 0.0)
    assert (rows["c"]["mean"], rows["c"]["dtype"]) == (0.5, "BOOL")
    assert rows["d\x1b[2J"]["mean"] is None
    _, out, _ = run("weights", "inspect", str(path), "--stats")
    assert "\x1b" not in out
    assert "d\\x1b[2J" in out


def test_inspect_reads_no_numbers_unless_asked(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "w"
    header = b'{"a":{"dtype":"F32","shape":[131072,131072],"data_offsets":[0,68719476736]}}'
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 2**36)
    status, out, _ = run("weights", "inspect", str(path), "--format", "json")
    assert status == 0
    assert json.loads(out)["total"] == {"tensors": 1, "numbers": 2**34, "bytes": 2**36}


def test_diff_of_equal_files(run: Run, file: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    nan = {"n": np.array([np.nan, np.inf], np.float32)}
    write_weights(other, dict(reversed(WEIGHTS.items())))
    assert run("weights", "diff", file, str(other)) == (0, "The same: 4 tensors.\n", "")
    write_weights(other, nan)
    assert run("weights", "diff", str(other), str(other))[0] == 0


def test_diff_tells_all_differences(run: Run, file: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    arrays: dict[str, Any] = {
        "hidden.weight": WEIGHTS["hidden.weight"].copy(),
        "hidden.bias": WEIGHTS["hidden.bias"].astype(np.float64),
        "fc.weight": WEIGHTS["fc.weight"].T,
        "head.bias": WEIGHTS["fc.bias"],
    }
    arrays["hidden.weight"][1, 2] += 0.25
    arrays["hidden.weight"][3, 0] -= 0.125
    write_weights(other, arrays)
    status, out, err = run("weights", "diff", file, str(other), "--format", "json")
    assert (status, err) == (1, "")
    data = json.loads(out)
    assert (data["equal"], data["same"]) == (False, 0)
    rows = {row.pop("name"): row for row in data["different"]}
    assert rows["hidden.weight"]["max_difference"] == pytest.approx(0.25)
    assert (rows["hidden.bias"]["max_difference"], rows["hidden.bias"]["b"]["dtype"]) == (0, "F64")
    assert rows["fc.weight"] == {
        "a": {"dtype": "F32", "shape": [2, 4]},
        "b": {"dtype": "F32", "shape": [4, 2]},
        "max_difference": None,
    }
    assert (rows["fc.bias"]["b"], rows["head.bias"]["a"]) == (None, None)
    status, out, _ = run("weights", "diff", file, str(other))
    assert status == 1
    assert "5 differ, 0 are the same" in out


def test_diff_beyond_floats(run: Run, tmp_path: Path) -> None:
    """Integers that are equal as floats, and NaN against a number."""
    a, b = tmp_path / "a", tmp_path / "b"
    write_weights(a, {"i": np.array([2**62, -5]), "f": np.array([0.0, 1.0])})
    write_weights(b, {"i": np.array([2**62 + 1, -5]), "f": np.array([-0.0, np.nan])})
    status, out, _ = run("weights", "diff", str(a), str(b), "--format", "json")
    assert status == 1
    assert {row["name"]: row["max_difference"] for row in json.loads(out)["different"]} == {"i": 1, "f": "infinite"}


# -------------------------------------------------------------------------------------------------------------- convert


def flax_names() -> dict[str, Any]:
    return {
        "params/Dense_0/kernel": WEIGHTS["hidden.weight"].T,
        "params/Dense_0/bias": WEIGHTS["hidden.bias"],
        "params/Dense_1/kernel": WEIGHTS["fc.weight"].T,
        "params/Dense_1/bias": WEIGHTS["fc.bias"],
    }


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_convert_a_flat_tree_of_flax(run: Run, net: str, tmp_path: Path, kind: str) -> None:
    source, out_file = tmp_path / f"tree.{kind}", tmp_path / "out.safetensors"
    if kind == "npz":
        np.savez(source, **flax_names())
    else:
        write_weights(source, flax_names())
    status, out, err = run("weights", "convert", str(source), str(out_file), net, "--from", "flax")
    assert (status, err) == (0, f"{out_file}: 4 tensors, 104 bytes\n")
    assert out == (
        "their layer  our layer  type    found\n"
        "-----------  ---------  ------  --------\n"
        "Dense_0      hidden     linear  by order\n"
        "Dense_1      fc         linear  by order\n"
    )
    for name, array in read_weights(out_file).items():
        assert (array == WEIGHTS[name]).all()


def test_convert_renames_and_checks(run: Run, net: str, file: str, tmp_path: Path) -> None:
    source = tmp_path / "hub.safetensors"
    arrays = {f"model.{name.replace('fc', 'head')}": array for name, array in WEIGHTS.items()}
    write_weights(source, {**arrays, "model.bn.num_batches_tracked": np.array(3)})
    renames = ("--rename", "model=", "--rename", "model.head=fc")
    assert run("weights", "convert", str(source), str(source), net, *renames)[0] == 0
    assert run("weights", "diff", str(source), file) == (0, "The same: 4 tensors.\n", "")
    status, _, err = run("weights", "convert", str(source), str(source), net, "--rename", "hiden=h")
    assert (status, err) == (2, "rename: nothing is called hiden; did you mean hidden.bias?\n")
    before = source.read_bytes()
    status, _, err = run("weights", "convert", str(source), str(source), net, "--rename", "hidden=h")
    assert status == 2
    assert f"{source}: hidden.weight: missing, expected float64 [4, 3]" in err
    assert source.read_bytes() == before


def test_convert_refuses_what_it_cannot_read(run: Run, net: str, file: str, tmp_path: Path) -> None:
    out, npz = str(tmp_path / "out"), str(tmp_path / "tree.npz")
    np.savez(npz, **flax_names())
    text = tmp_path / "page.html"
    text.write_text("<!doctype html><html>")
    convert = ("weights", "convert")
    assert run(*convert, npz, out) == (2, "", f"{npz}: give the SPEC too: the layouts of flax depend on the layers\n")
    message = f"{npz}: it does not look like a file of keras that can be converted\n"
    assert run(*convert, npz, out, net, "--from", "keras") == (2, "", message)
    status, _, err = run(*convert, str(text), out, net)
    assert (status, "it looks like an HTML page" in err) == (2, True)
    status, _, err = run(*convert, str(tmp_path / "none"), out)
    assert (status, err) == (2, f"{tmp_path / 'none'}: cannot be read: No such file or directory\n")
    assert run(*convert, file, out, "--rename", "x")[0] == 2
    assert not Path(out).exists()


def test_convert_refuses_an_npz_that_is_a_bomb_or_pickled(run: Run, net: str, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.npz"
    np.savez_compressed(bomb, kernel=np.zeros(2**28, np.float32))  # 1 GB in 1 MB
    assert bomb.stat().st_size < 2**21
    status, _, err = run("weights", "convert", str(bomb), str(tmp_path / "out"), net)
    assert status == 2
    assert f"{bomb}: cannot be read: it takes more than" in err
    pickled = tmp_path / "pickled.npz"
    np.savez(pickled, kernel=np.array([{}], object))
    status, _, err = run("weights", "convert", str(pickled), str(tmp_path / "out"), net)
    assert status == 2
    assert "Object arrays cannot be loaded when allow_pickle=False" in err


def test_convert_refuses_numbers_that_are_not_finite(run: Run, net: str, tmp_path: Path) -> None:
    source, out = tmp_path / "s.safetensors", tmp_path / "out"
    write_weights(source, {**WEIGHTS, "fc.bias": np.array([np.nan, 1], np.float32)})
    for model in ((), (net,)):
        status, _, err = run("weights", "convert", str(source), str(out), *model)
        assert (status, err) == (2, f"{source}: fc.bias: 1 numbers are not finite, the first nan at [0]\n")
    assert not out.exists()
    assert run("weights", "convert", str(source), str(out), net, "--allow-nonfinite")[0] == 0


# ------------------------------------------------------------------------------------------------------ bad files (33)


@pytest.mark.parametrize("command", ["init", "convert"])
def test_where_nothing_can_be_written(run: Run, net: str, file: str, tmp_path: Path, command: str) -> None:
    out = tmp_path / "missing" / "out.safetensors"
    arguments = ("init", net, "-o", str(out)) if command == "init" else ("convert", file, str(out))
    expected = f"{out}: cannot be written: there is no folder {tmp_path / 'missing'}\n"
    assert run("weights", *arguments) == (2, "", expected)
    assert not out.parent.exists()


@pytest.mark.parametrize("command", ["init", "convert"])
def test_a_new_file_is_not_called_like_another_format(
    run: Run, net: str, file: str, tmp_path: Path, command: str
) -> None:
    out = tmp_path / "out.pth"
    arguments = ("init", net, "-o", str(out)) if command == "init" else ("convert", file, str(out))
    expected = f"{out}: what is written is .safetensors: call it {tmp_path / 'out'}.safetensors\n"
    assert run("weights", *arguments) == (2, "", expected)
    assert not out.exists()


def test_a_text_is_no_file_of_weights(run: Run, net: str) -> None:
    message = "expected a .safetensors file, but its header is no JSON object"
    assert run("weights", "inspect", net) == (2, "", f"{net}: {message}\n")


def test_options_need_weights(run: Run, net: str) -> None:
    message = "--only, --skip and --allow-nonfinite say how to read --weights: give that too\n"
    assert run("verify", net, "--skip", "fc") == (2, "", message)
    assert run("export", "onnx", net, "--allow-nonfinite") == (2, "", message)


@pytest.mark.parametrize("command", [("verify",), ("export", "onnx")])
def test_a_bad_file_is_refused_by_the_commands_that_build(
    run: Run, net: str, file: str, tmp_path: Path, command: tuple[str, ...]
) -> None:
    pickled = tmp_path / "w.pt"
    pickled.write_bytes(b"\x80\x02}q\0.")
    status, out, err = run(*command, net, "--weights", str(pickled))
    assert (status, out) == (2, "")
    assert err == (
        f"{pickled}: expected a .safetensors file, but it looks like a pickle; "
        "`netspec weights convert` reads .pth and .weights.h5 files\n"
    )
    write_weights(file, {**WEIGHTS, "fc.bias": np.zeros(3, np.float32)})
    status, out, err = run(*command, net, "--weights", file)
    assert (status, out, err) == (2, "", f"{file}: fc.bias: expected the shape [2], got [3]\n")
