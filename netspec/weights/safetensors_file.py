"""Reading and writing .safetensors files: https://huggingface.co/docs/safetensors, section Format.

A file is the length N of its header in 8 bytes, little-endian; the header, N bytes of JSON; the tensors' bytes. We read
and write it ourselves, so that a whole header is checked before anything of the size it claims is allocated, and so
that a file is written atomically.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netspec.errors import WeightsError, printable
from netspec.weights.atomic import write_atomically
from netspec.weights.check import ArrayType
from netspec.weights.foreign import SAMPLE_BYTES, looks_like

Array = NDArray[Any]

# The format allows a header of 100 MB, which could take a GB as Python objects. These keep any header within 150 MB
# and leave room: 50,000 tensors take 6 MB, and one of rank 4 takes 7 commas.
MAX_HEADER = 2**24
MAX_COMMAS = 350_000
MAX_RANK = 8
MAX_SIZE = 2**31 - 1
MAX_ELEMENTS = 2**59
RESERVED = "__metadata__"

# How the numbers of each dtype lie in the file. bfloat16, which NumPy lacks, is read as bits and widened to float32.
STORED: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
NAMES = {dtype.name: name for name, dtype in STORED.items() if name != "BF16"}


class TensorInfo(NamedTuple):
    """One tensor as the header has it; `offsets` are its first byte and the one past its last, after the header."""

    dtype: str
    shape: tuple[int, ...]
    offsets: tuple[int, int]

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.offsets[1] - self.offsets[0]

    @property
    def array_type(self) -> ArrayType:
        """NumPy's name of the dtype, and the shape, of the array that `read_weights` makes of it."""
        return ("float32" if self.dtype == "BF16" else STORED[self.dtype].name), self.shape


class WeightsFile:
    """An open file whose header was found sound: `tensors` by name in the order of their bytes, read one by one."""

    def __init__(self, file: BufferedReader, path: str) -> None:
        header = _Header(file, path)
        self.path = path
        self.tensors = header.tensors
        self._file = file
        self._data = header.length

    @property
    def types(self) -> dict[str, ArrayType]:
        """The dtype and shape of each array that `read` gives."""
        return {name: info.array_type for name, info in self.tensors.items()}

    def read(self, name: str) -> Array:
        """A tensor, in memory of its own; bfloat16 is widened to float32, which is exact.

        A map of the file would change, or end the program, when another program shortens the file. Copying 100 MB
        takes 0.1 s.
        """
        info = self.tensors[name]
        self._file.seek(self._data + info.offsets[0])
        return _read_tensor(self._file, self.path, name, info)


@contextmanager
def open_weights(path: str | os.PathLike[str]) -> Iterator[WeightsFile]:
    """The file, open as long as the `with` statement lasts. A WeightsError where it is no sound .safetensors."""
    with open_regular(path) as file:
        yield WeightsFile(file, os.fspath(path))


def read_header(path: str | os.PathLike[str]) -> dict[str, TensorInfo]:
    """The tensors that a file holds, in the order of their bytes. A WeightsError where it is no sound .safetensors."""
    with open_weights(path) as file:
        return file.tensors


def read_weights(path: str | os.PathLike[str]) -> dict[str, Array]:
    """All tensors of a file, by name. A WeightsError where the file is not sound."""
    with open_weights(path) as file:
        return {name: file.read(name) for name in file.tensors}


def write_weights(
    path: str | os.PathLike[str], arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> None:
    """Write `arrays` as a .safetensors file, atomically; equal arguments give equal bytes.

    Tensors of wider numbers come first, so that all are aligned, else in the order given. A WeightsError where an array
    cannot be stored, a NetspecError where the file cannot be written.
    """
    names = sorted(arrays, key=lambda name: -arrays[name].dtype.itemsize)
    header: dict[str, Any] = {RESERVED: dict(metadata)} if metadata else {}
    end = 0
    for name in names:
        array = arrays[name]
        if name == RESERVED:
            raise WeightsError(f"{RESERVED} is reserved: a tensor cannot be called so")
        if array.dtype.name not in NAMES:
            raise WeightsError(f"{name}: {array.dtype.name} is not among {', '.join(NAMES)}")
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": NAMES[array.dtype.name], "shape": list(array.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER:
        raise WeightsError(f"a header of {len(text)} bytes is above the limit of {MAX_HEADER}")

    def write(file: BinaryIO) -> None:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            stored = np.ascontiguousarray(arrays[name], STORED[NAMES[arrays[name].dtype.name]])
            file.write(stored.reshape(-1).view(np.uint8).data)

    write_atomically(path, write)


def open_regular(path: str | os.PathLike[str]) -> BufferedReader:
    """The file, opened; a folder, or a pipe on which reading would wait for ever, is refused before."""
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise WeightsError(f"{os.fspath(path)}: not a regular file")
        return Path(path).open("rb")
    except OSError as error:
        raise WeightsError(f"{os.fspath(path)}: cannot be read: {error.strerror}") from error


class _Header:
    """The checked header of an open file: `tensors` by name, and `length`, the place where their bytes begin."""

    def __init__(self, file: BufferedReader, path: str) -> None:
        self.path = path
        size = os.fstat(file.fileno()).st_size
        beginning = file.read(SAMPLE_BYTES)
        header_size = int.from_bytes(beginning[:8], "little")
        if len(beginning) < 9 or header_size > MAX_HEADER or beginning[8:9] != b"{":
            raise self._foreign(beginning, size, header_size)
        self.length = 8 + header_size
        if self.length > size:
            raise self._error(f"its header claims {header_size} bytes, but the file has {size} in all")
        file.seek(8)
        self.tensors = self._tensors(self._json(file.read(header_size)))
        self._check_offsets(size - self.length)

    def _error(self, message: str) -> WeightsError:
        return WeightsError(f"{self.path}: {message}")

    def _foreign(self, beginning: bytes, size: int, header_size: int) -> WeightsError:
        kind = looks_like(beginning)
        if kind is not None:
            advice = "`netspec weights convert` reads .pth and .weights.h5 files"
            return self._error(f"expected a .safetensors file, but it looks like {kind}; {advice}")
        if size < 9:
            return self._error(f"expected a .safetensors file, got {size} bytes")
        if beginning[8:9] == b"{" and header_size > MAX_HEADER:
            return self._error(f"its header claims {header_size} bytes, above the limit of {MAX_HEADER}")
        return self._error("expected a .safetensors file, but its header is no JSON object")

    def _json(self, header: bytes) -> dict[str, Any]:
        if header.count(b",") > MAX_COMMAS:
            raise self._error(f"its header lists too many things: above {MAX_COMMAS} commas")
        try:
            entries: dict[str, Any] = json.loads(header.decode(), object_pairs_hook=self._without_duplicates)
        except WeightsError:
            raise
        except RecursionError:
            raise self._error("its header is nested too deeply") from None
        except ValueError as error:  # of the encoding, the syntax, or an integer of more than 4,300 digits
            raise self._error(f"its header is no JSON: {error}") from None
        return entries

    def _without_duplicates(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        entries = dict(pairs)
        if len(entries) != len(pairs):
            name, times = Counter(name for name, _ in pairs).most_common(1)[0]
            raise self._error(f"its header has {_quoted(name)} {times} times")
        return entries

    def _tensors(self, entries: dict[str, Any]) -> dict[str, TensorInfo]:
        metadata = entries.pop(RESERVED, {})
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            raise self._error(f"{RESERVED} must map texts to texts")
        tensors = {name: self._tensor(name, entry) for name, entry in entries.items()}
        return dict(sorted(tensors.items(), key=lambda item: item[1].offsets))

    def _tensor(self, name: str, entry: Any) -> TensorInfo:
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise self._error(f"tensor {_quoted(name)} must have dtype, shape and data_offsets, and nothing else")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in STORED:
            raise self._error(f"tensor {_quoted(name)}: dtype {_quoted(dtype)} is not among {', '.join(STORED)}")
        if not _sizes(shape) or len(shape) > MAX_RANK or max(shape, default=0) > MAX_SIZE:
            expected = f"at most {MAX_RANK} sizes from 0 to {MAX_SIZE}"
            raise self._error(f"tensor {_quoted(name)}: expected a shape of {expected}, got {_quoted(shape)}")
        if math.prod(size or 1 for size in shape) > MAX_ELEMENTS:  # NumPy counts so, even where a size of 0 empties it
            raise self._error(f"tensor {_quoted(name)}: the shape {_quoted(shape)} is beyond any memory")
        if not _sizes(offsets) or len(offsets) != 2:
            raise self._error(f"tensor {_quoted(name)}: expected two data_offsets from 0 up, got {_quoted(offsets)}")
        return TensorInfo(dtype, tuple(shape), (offsets[0], offsets[1]))

    def _check_offsets(self, data_size: int) -> None:
        """Tensors one after another: no hole, no overlap, nothing left over."""
        position = 0
        for name, info in self.tensors.items():
            begin, end = info.offsets
            if begin != position:
                what = "overlaps the tensor before it" if begin < position else "leaves a hole before it"
                raise self._error(f"tensor {_quoted(name)} {what}: it begins at {_quoted(begin)}, expected {position}")
            expected = math.prod(info.shape) * STORED[info.dtype].itemsize
            if end - begin != expected:
                kind = f"{info.dtype} {list(info.shape)}"
                raise self._error(f"tensor {_quoted(name)}: {kind} takes {expected} bytes, not {_quoted(end - begin)}")
            position = end
        if position != data_size:
            raise self._error(f"its tensors take {position} bytes, but {data_size} follow the header")


def _sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(size) is int and size >= 0 for size in value)


def _quoted(value: Any) -> str:
    """A value of the file, printable and short, for a message."""
    text = printable(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= 80 else text[:77] + "..."


def _read_tensor(file: BufferedReader, path: str, name: str, info: TensorInfo) -> Array:
    stored = np.empty(info.shape, STORED[info.dtype])
    buffer = stored.reshape(-1).view(np.uint8)
    if file.readinto(buffer.data) != buffer.size:
        raise WeightsError(f"{path}: the file became shorter while it was read")
    if info.dtype == "BOOL" and buffer.size and buffer.max() > 1:
        raise WeightsError(f"{path}: tensor {_quoted(name)}: a BOOL must be 0 or 1, got {buffer.max()}")
    if info.dtype == "BF16":
        bits = stored.astype(np.uint32)
        bits <<= np.uint32(16)
        stored = bits.view(np.float32)
    native: Array = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    return native
