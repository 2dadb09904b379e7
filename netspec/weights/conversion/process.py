"""Weights files of other programs, read in a process with limits: this one opens nothing but what that wrote."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from netspec.errors import BackendError, WeightsError, printable
from netspec.weights.foreign import Container
from netspec.weights.safetensors_file import Array, open_regular, read_weights


class Reader(NamedTuple):
    """The module with `read(path, key)`, what it imports, and the extra that installs that."""

    module: str
    requires: str
    extra: str


READERS: Mapping[Container, Reader] = {
    "torch": Reader("netspec_torch.checkpoint", "torch", "torch"),
    "keras": Reader("netspec_tensorflow.keras_file", "h5py", "tensorflow"),
    "npz": Reader("netspec.weights.conversion.numpy_archive", "numpy", ""),
}

# Beyond what the reader's own imports take: for each byte of the file its copies (as it is, widened, written), and a
# rest. A file of 1 kB can claim a tensor of 400 GB.
MEMORY_PER_BYTE = 8
MEMORY_SPARE = 2**29
SECONDS_SPARE = 60
BYTES_PER_SECOND = 10_000_000
START_SECONDS = 120  # until the imports are done, on a busy machine
MAX_ANSWER = 2**24

# No plugins of HDF5, and no thread for each core, whose stacks would count as memory.
ENVIRONMENT = {"HDF5_PLUGIN_PRELOAD": "::", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "-1"}


@dataclass(frozen=True)
class Foreign:
    """The tensors of a file by the names that it has, and what its layers are called where it says so."""

    path: str
    arrays: dict[str, Array]
    layer_names: Mapping[str, str]


def read_foreign(path: str | os.PathLike[str], kind: Container, key: str | None = None) -> Foreign:
    """Read a file of torch (`weights_only`), of Keras (.weights.h5) or of NumPy (.npz), in a process of its own.

    That process has little more memory and time than the file's size asks for, no network, and writes what it finds
    as .safetensors, which is checked like any other. `key` chooses among several mappings of tensors.

    Raises:
        WeightsError: where the file cannot be read so.
        BackendError: where the library that reads it is not installed.
    """
    reader = READERS[kind]
    if importlib.util.find_spec(reader.requires) is None:
        install = f"pip install 'netspec-nn[{reader.extra}]'"
        raise BackendError(f"{os.fspath(path)}: {reader.requires} is needed to read it: {install}")
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
    seconds = SECONDS_SPARE + size // BYTES_PER_SECOND
    with tempfile.TemporaryDirectory(prefix="netspec-") as folder:
        request = {
            "modules": [*filter(None, sys.path), str(Path.cwd())],
            "reader": reader.module,
            "path": str(Path(path).absolute()),
            "key": key,
            "folder": folder,
            "memory": MEMORY_SPARE + MEMORY_PER_BYTE * size,
            "seconds": seconds,
        }
        reason = _run(request, START_SECONDS + seconds)
        answer = _answer(Path(folder, "answer.json"))
        if answer is None:
            raise WeightsError(f"{os.fspath(path)}: cannot be read: {reason}")
        if "refused" in answer:
            raise WeightsError(f"{os.fspath(path)}: {answer['refused']}")
        return Foreign(os.fspath(path), read_weights(Path(folder, "weights.safetensors")), answer["layer_names"])


def _run(request: Mapping[str, Any], timeout: float) -> str:
    """Run the process to its end; how that ended, as a message says it."""
    try:
        finished = subprocess.run(
            [sys.executable, "-P", str(Path(__file__).with_name("child.py"))],
            input=json.dumps(request).encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **ENVIRONMENT},
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it takes more than {timeout:.0f} seconds"
    last = finished.stderr[-400:].decode("utf-8", "replace").strip().rpartition("\n")[2]
    return f"the process that reads it ended with status {finished.returncode}{printable(last and ': ' + last)}"


def _answer(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            return json.loads(file.read(MAX_ANSWER))
    except (FileNotFoundError, ValueError):
        return None
