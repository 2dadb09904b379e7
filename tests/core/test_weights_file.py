"""Weights files: exact there and back, and sound or refused before anything is allocated."""

import io
import json
import os
import time
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from netspec.errors import WeightsError
from netspec.weights import safetensors_file
from netspec.weights.safetensors_file import TensorInfo, read_header, read_weights, write_weights

Array = NDArray[Any]


def sample() -> dict[str, Array]:
    """Every dtype, in an order that would leave later tensors unaligned; a scalar, an empty one, two that are views."""
    numbers = np.random.Generator(np.random.Philox(3))
    return {
        "flags": np.array([True, False, True]),
        "bytes": np.arange(7, dtype=np.uint8),
        "conv.weight": numbers.normal(size=(5, 3, 2, 2)).astype(np.float32),
        "half": numbers.normal(size=3).astype(np.float16),
        "wide": numbers.normal(size=(3, 5)),
        "bn.num_batches_tracked": np.array(17, dtype=np.int64),
        "indices": np.array([[-1, 2], [3, -(2**31)]], dtype=np.int32),
        "empty": np.zeros((0, 4), dtype=np.float32),
        "transposed": numbers.normal(size=(4, 3)).astype(np.float32).T,
        "strided": np.arange(10, dtype=np.int64)[::-3],
        "special": np.array([np.nan, -np.inf, -0.0, 1e-45], dtype=np.float32),
        "größe.0": np.ones(1, dtype=np.float32),
    }


def assert_same(found: dict[str, Array], expected: dict[str, Array]) -> None:
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype, name
        assert found[name].shape == array.shape, name
        assert found[name].tobytes() == array.tobytes(), name


def raw_file(path: Path, header: Any, data: bytes = b"") -> Path:
    """A file with any header: bytes as they are, else as JSON."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(dtype: str = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


# ------------------------------------------------------------------------------------------------------ there and back


def test_what_we_write_we_read(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write_weights(path, sample())
    assert_same(read_weights(path), sample())
    for array in read_weights(path).values():
        assert array.flags.writeable
        assert array.flags.aligned


def test_what_we_write_safetensors_reads(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write_weights(path, sample(), {"made by": "netspec", "größe": "ß"})
    assert_same(safetensors.numpy.load_file(path), sample())
    with safetensors.safe_open(path, framework="np") as file:
        assert file.metadata() == {"made by": "netspec", "größe": "ß"}


def test_what_safetensors_writes_we_read(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    arrays = {name: np.array(array, order="C") for name, array in sample().items()}
    safetensors.numpy.save_file(arrays, path, metadata={"format": "np"})
    assert_same(read_weights(path), arrays)


def test_the_header_tells_dtype_shape_and_place(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write_weights(path, {"b": np.zeros(3, np.float32), "a": np.zeros((2, 2), np.float64)}, {"x": "y"})
    assert read_header(path) == {"a": TensorInfo("F64", (2, 2), (0, 32)), "b": TensorInfo("F32", (3,), (32, 44))}
    assert list(read_header(path)) == ["a", "b"]
    assert read_header(path)["a"].array_type == ("float64", (2, 2))


def test_no_tensors_at_all(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write_weights(path, {})
    assert read_weights(path) == {}
    assert safetensors.numpy.load_file(path) == {}


def test_equal_arrays_give_equal_files_and_the_data_are_aligned(tmp_path: Path) -> None:
    write_weights(tmp_path / "a", sample())
    write_weights(tmp_path / "b", {name: array.copy() for name, array in sample().items()})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert int.from_bytes((tmp_path / "a").read_bytes()[:8], "little") % 8 == 0
    for info in read_header(tmp_path / "a").values():
        assert info.offsets[0] % np.dtype(info.array_type[0]).itemsize == 0


def test_big_endian_arrays_are_stored_little_endian(tmp_path: Path) -> None:
    write_weights(tmp_path / "w", {"a": np.array([1.5, -2.25], dtype=">f4")})
    assert safetensors.numpy.load_file(tmp_path / "w")["a"].tolist() == [1.5, -2.25]


@pytest.mark.parametrize("shape", [(4,), (2, 2), ()], ids=str)
def test_bfloat16_is_widened_exactly(tmp_path: Path, shape: tuple[int, ...]) -> None:
    bits = np.array([0x3F80, 0xC049, 0x0001, 0xFF80], dtype="<u2")[: max(1, int(np.prod(shape)))]
    path = raw_file(tmp_path / "w", {"a": entry("BF16", shape, (0, bits.nbytes))}, bits.tobytes())
    assert read_header(path)["a"].array_type == ("float32", shape)
    found = read_weights(path)["a"]
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float32
    assert found.shape == shape
    expected = [1.0, -3.140625, 2.0**-133, -np.inf][: bits.size]
    assert found.reshape(-1).tolist() == expected


def test_the_order_of_the_header_does_not_matter(tmp_path: Path) -> None:
    header = {"b": entry(offsets=(8, 16)), "a": entry()}
    path = raw_file(tmp_path / "w", header, np.arange(4, dtype="<f4").tobytes())
    assert {name: array.tolist() for name, array in read_weights(path).items()} == {"a": [0, 1], "b": [2, 3]}


# ----------------------------------------------------------------------------------------------------- refused headers


EIGHT = bytes(8)
HOSTILE: dict[str, tuple[bytes, str]] = {}


def hostile(name: str, header: Any, message: str, data: bytes = EIGHT) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    HOSTILE[name] = (len(text).to_bytes(8, "little") + text + data, message)


HOSTILE["length of 2^63"] = ((2**63).to_bytes(8, "little") + b"{}", "claims 9223372036854775808 bytes, above the limit")
HOSTILE["length of 2^64 - 1"] = (b"\xff" * 8 + b"{}", "claims 18446744073709551615 bytes, above the limit")
HOSTILE["longer than the file"] = (
    (1000).to_bytes(8, "little") + b"{}",
    "its header claims 1000 bytes, but the file has 10 in all",
)
HOSTILE["empty"] = (b"", "expected a .safetensors file, got 0 bytes")
HOSTILE["short"] = (b"\x02\0\0\0", "expected a .safetensors file, got 4 bytes")
hostile("no object", b"[]", "its header is no JSON object")
hostile("empty header", b"", "its header is no JSON object")
hostile("no JSON", b"{'a': 1}", "its header is no JSON: ")
hostile("cut off", b'{"a": ', "its header is no JSON: ")
hostile("two objects", b"{}{}", "its header is no JSON: Extra data")
hostile("no UTF-8", b'{"\xff": 1}', "its header is no JSON: 'utf-8' codec can't decode")
hostile("nested", b'{"a":' + b"[" * 100_000, "its header is nested too deeply")
hostile("endless number", b'{"a":' + b"9" * 5000 + b"}", "its header is no JSON: Exceeds the limit")
hostile("endless list", b'{"a":[' + b"0," * 600_000 + b"0]}", "its header lists too many things")
hostile(
    "name twice",
    b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"\\u0061":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
    'its header has "a" 2 times',
)
hostile("key twice", b'{"a":{"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]}}', 'has "shape" 2 times')
hostile("metadata twice", b'{"__metadata__":{},"__metadata__":{}}', 'has "__metadata__" 2 times', b"")
hostile("metadata of numbers", {"__metadata__": {"a": 1}}, "__metadata__ must map texts to texts", b"")
hostile("metadata is a tensor", {"__metadata__": entry()}, "__metadata__ must map texts to texts")
hostile("tensor is a list", {"a": [1]}, 'tensor "a" must have dtype, shape and data_offsets, and nothing else')
hostile("missing key", {"a": {"dtype": "F32", "shape": [2]}}, 'tensor "a" must have dtype, shape and data_offsets')
hostile("extra key", {"a": entry() | {"x": 1}}, 'tensor "a" must have dtype, shape and data_offsets')
hostile("unknown dtype", {"a": entry("F8_E4M3")}, 'tensor "a": dtype "F8_E4M3" is not among F64, F32')
hostile("dtype is a list", {"a": entry(["F32"])}, 'tensor "a": dtype ["F32"] is not among')  # type: ignore[arg-type]
hostile("negative size", {"a": entry(shape=[-2])}, "expected a shape of at most 8 sizes from 0 to 2147483647, got [-2]")
hostile("two negative sizes", {"a": entry(shape=[-2, -1])}, "expected a shape of at most 8 sizes")
hostile("float size", {"a": entry(shape=[2.0])}, "expected a shape of at most 8 sizes")
hostile("true size", {"a": entry(shape=[True, 2])}, "expected a shape of at most 8 sizes")
hostile("shape is a number", {"a": entry(shape=2)}, "expected a shape of at most 8 sizes")
hostile("rank 9", {"a": entry(shape=[2] + [1] * 8)}, "expected a shape of at most 8 sizes")
hostile("huge size", {"a": entry(shape=[2**31])}, "expected a shape of at most 8 sizes")
hostile("huge product", {"a": entry(shape=[2**31 - 1] * 8)}, "is beyond any memory")
hostile("huge but empty", {"a": entry(shape=[0] + [2**31 - 1] * 7, offsets=[0, 0])}, "is beyond any memory", b"")
hostile("declares more than it has", {"a": entry(shape=[2**30])}, 'tensor "a": F32 [1073741824] takes 4294967296 bytes')
hostile("negative offset", {"a": entry(offsets=[-8, 0])}, "expected two data_offsets from 0 up, got [-8, 0]")
hostile("one offset", {"a": entry(offsets=[8])}, "expected two data_offsets from 0 up")
hostile("float offset", {"a": entry(offsets=[0, 8.0])}, "expected two data_offsets from 0 up")
hostile("backwards", {"a": entry(offsets=[8, 0])}, 'tensor "a" leaves a hole before it: it begins at 8, expected 0')
hostile("hole at the start", {"a": entry(offsets=[8, 16])}, 'tensor "a" leaves a hole before it', bytes(16))
hostile(
    "hole between",
    {"a": entry(), "b": entry(offsets=[12, 20])},
    '"b" leaves a hole before it: it begins at 12',
    bytes(20),
)
hostile("overlap", {"a": entry(), "b": entry(offsets=[4, 12])}, '"b" overlaps the tensor before it', bytes(12))
hostile(
    "same bytes twice", {"a": entry(), "b": entry()}, '"b" overlaps the tensor before it: it begins at 0, expected 8'
)
hostile("shape and offsets differ", {"a": entry(shape=[3])}, 'tensor "a": F32 [3] takes 12 bytes, not 8')
hostile("bytes left over", {"a": entry()}, "its tensors take 8 bytes, but 9 follow the header", bytes(9))
hostile("bytes missing", {"a": entry()}, "its tensors take 8 bytes, but 7 follow the header", bytes(7))
hostile("escape codes", {"\x1b[2J": entry("\x1b[2J\u202e")}, 'tensor "\\u001b[2J": dtype "\\u001b[2J\\u202e"')


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_header_is_refused_before_anything_is_allocated(tmp_path: Path, name: str) -> None:
    content, message = HOSTILE[name]
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    started = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError) as caught:
            read_weights(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert message in text
    assert text.isprintable()
    assert peak < 10_000_000 + 8 * len(content)
    assert time.process_time() - started < 1


def test_safetensors_too_refuses_the_unsound_ones(tmp_path: Path) -> None:
    """The table tests what the format forbids: the other reader agrees on all but our own budgets."""
    ours_alone = {
        "rank 9",
        "huge but empty",
        "true size",
        "name twice",
        "key twice",
        "metadata twice",
        "extra key",
        "endless list",
        "unknown dtype",
    }
    accepted = set()
    for name, (content, _) in HOSTILE.items():
        path = tmp_path / "w.safetensors"
        path.write_bytes(content)
        try:
            with safetensors.safe_open(path, framework="np"):
                accepted.add(name)
        except safetensors.SafetensorError:
            continue
    assert accepted <= ours_alone


def test_a_header_of_blanks_as_long_as_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "w"
    with path.open("wb") as file:
        file.write((safetensors_file.MAX_HEADER + 1).to_bytes(8, "little") + b"{")
        file.truncate(8 + safetensors_file.MAX_HEADER + 1)
    with pytest.raises(WeightsError, match="above the limit of 16777216"):
        read_header(path)


def test_a_bool_is_0_or_1(tmp_path: Path) -> None:
    path = raw_file(tmp_path / "w", {"a": entry("BOOL", [3], [0, 3])}, b"\0\1\2")
    with pytest.raises(WeightsError, match='tensor "a": a BOOL must be 0 or 1, got 2'):
        read_weights(path)


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w"
    write_weights(path, {"a": np.zeros(100_000, np.float32)})
    empty = np.empty

    def shortened(*arguments: Any) -> Array:
        os.truncate(path, 5000)
        return empty(*arguments)

    monkeypatch.setattr(np, "empty", shortened)
    with pytest.raises(WeightsError, match="the file became shorter while it was read"):
        read_weights(path)


# --------------------------------------------------------------------------------------------------------- other files


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"x" * 100)
    return buffer.getvalue()


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, weight=np.zeros(3))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x05posix\x94", "a pickle"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", "a pickle"),
        (zipped("model/data.pkl", "model/data/0"), "a PyTorch file (.pt, .pth), which is a pickle"),
        (npz(), "a NumPy archive (.npz)"),
        (zipped("metadata.json", "config.json", "model.weights.h5"), "a Keras file (.keras)"),
        (zipped("readme.txt"), "a zip archive"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file (.h5)"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "a Git LFS pointer"),
        (b"<!DOCTYPE html>\n<html><title>404</title></html>", "an HTML page"),
        (b"\n  <html lang=en>", "an HTML page"),
    ],
    ids=["pickle", "old torch", "torch", "npz", "keras", "zip", "h5", "lfs", "html", "html without doctype"],
)
def test_another_kind_of_file_is_told_by_its_look(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        read_weights(path)
    assert f"it looks like {kind}" in str(caught.value)
    assert "`netspec weights convert`" in str(caught.value)


def test_what_is_no_file_is_refused_and_nothing_hangs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(WeightsError, match="not a regular file"):
            read_weights(path)
    with pytest.raises(WeightsError, match="absent: cannot be read: No such file or directory"):
        read_weights(tmp_path / "absent")


# ------------------------------------------------------------------------------------------------------------- writing


def test_what_cannot_be_stored_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "w"
    with pytest.raises(WeightsError, match="__metadata__ is reserved"):
        write_weights(path, {"__metadata__": np.zeros(1)})
    with pytest.raises(WeightsError, match=r"a\.weight: complex128 is not among float64"):
        write_weights(path, {"a.weight": np.zeros(1, complex)})
    assert list(tmp_path.iterdir()) == []


def test_overwriting_the_file_just_loaded(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    arrays: dict[str, Array] = {"a": np.arange(50_000, dtype=np.float32), "b": np.arange(3, dtype=np.int64)}
    write_weights(path, arrays)
    loaded = read_weights(path)
    before = {name: array.copy() for name, array in loaded.items()}
    write_weights(path, {"b": loaded["b"] + 1, "a": loaded["a"][::-1]})
    assert_same(loaded, before)
    assert_same(read_weights(path), {"a": arrays["a"][::-1].copy(), "b": arrays["b"] + 1})
    write_weights(path, loaded)
    path.write_bytes(b"")  # another program, in place
    assert_same(loaded, before)
