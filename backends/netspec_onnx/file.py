"""ONNX models as bytes: the protobuf message around weights that are written from where they lie, without a copy."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from netspec.errors import BackendError
from netspec.weights.atomic import write_atomically

Weights = Mapping[str, NDArray[Any]]

MAX_MESSAGE = 2**31 - 1  # bytes: what protobuf's parsers take
ALIGNMENT = 4096  # of each tensor in a file of external data, so that it can be mapped

# Field numbers of onnx.proto; all of these fields hold a length and that many bytes.
GRAPH = 7  # of ModelProto
INITIALIZER = 5  # of GraphProto
RAW_DATA = 9  # of TensorProto


@dataclass(frozen=True)
class WeightedModel:
    """An ONNX model: the message without its initializers, and these by name, little-endian and row-major."""

    message: onnx.ModelProto
    weights: Weights

    def proto(self) -> onnx.ModelProto:
        """The whole model as one message, with copies of the weights."""
        model = onnx.ModelProto()
        model.CopyFrom(self.message)
        for name, array in self.weights.items():
            tensor = model.graph.initializer.add()
            tensor.CopyFrom(_header(name, array))
            tensor.raw_data = array.tobytes()
        return model

    def pieces(self) -> list[Any]:
        """The bytes of the model in order; weights are views of the arrays."""
        tensors: list[Any] = []
        for name, array in self.weights.items():
            header = _header(name, array).SerializeToString() + _opening(RAW_DATA, array.nbytes)
            tensors += [_opening(INITIALIZER, len(header) + array.nbytes) + header, _bytes(array)]
        return self._around(tensors)

    def pieces_beside(self, location: str) -> list[Any]:
        """The bytes of a model whose weights stand in the file `location` beside it, as `data` gives them."""
        tensors: list[Any] = []
        for (name, array), offset in zip(self.weights.items(), self._offsets(), strict=True):
            header = _header(name, array)
            header.data_location = onnx.TensorProto.EXTERNAL
            for key, value in (("location", location), ("offset", str(offset)), ("length", str(array.nbytes))):
                header.external_data.add(key=key, value=value)
            content = header.SerializeToString()
            tensors.append(_opening(INITIALIZER, len(content)) + content)
        return self._around(tensors)

    def data(self) -> Iterator[Any]:
        """The bytes of the file of weights."""
        end = 0
        for array, offset in zip(self.weights.values(), self._offsets(), strict=True):
            yield bytes(offset - end)
            yield _bytes(array)
            end = offset + array.nbytes

    def _offsets(self) -> list[int]:
        offsets, end = [], 0
        for array in self.weights.values():
            offsets.append(-(-end // ALIGNMENT) * ALIGNMENT)
            end = offsets[-1] + array.nbytes
        return offsets

    def _around(self, tensors: list[Any]) -> list[Any]:
        """The message around its initializers: repeated fields may stand anywhere in it, so they come last."""
        around = onnx.ModelProto()
        around.CopyFrom(self.message)
        around.ClearField("graph")
        graph = self.message.graph.SerializeToString()
        return [around.SerializeToString() + _opening(GRAPH, len(graph) + total_size(tensors)) + graph, *tensors]


def total_size(pieces: list[Any]) -> int:
    """The number of bytes."""
    return sum(map(len, pieces))


def write_model(
    model: WeightedModel, path: str | os.PathLike[str], external_data: bool, limit: int = MAX_MESSAGE
) -> None:
    """Write one file, or with `external_data` the weights to PATH.data; each appears whole or not at all.

    A BackendError where the file would be larger than `limit`, a NetspecError where a file cannot be written.
    """
    beside = Path(f"{os.fspath(path)}.data")
    pieces = model.pieces_beside(beside.name) if external_data else model.pieces()
    size = total_size(pieces)
    if size > limit:
        raise BackendError(
            f"{os.fspath(path)}: the file would have {size:,} bytes, more than the {limit:,} that protobuf allows: "
            "put the weights beside it (--external-data, external_data=True)"
        )

    def write(file: BinaryIO) -> None:
        # The weights appear when the model is written but does not show yet: a failure of either leaves both old.
        file.writelines(pieces)
        if external_data:
            write_atomically(beside, lambda weights: weights.writelines(model.data()))

    write_atomically(path, write)


def _header(name: str, array: NDArray[Any]) -> onnx.TensorProto:
    """The message of an initializer without its numbers."""
    return onnx.TensorProto(name=name, dims=array.shape, data_type=ir.DataType.from_numpy(array.dtype))


def _bytes(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _opening(field: int, length: int) -> bytes:
    """What protobuf writes before the content of a field: its number and kind, and the length, 7 bits a byte."""
    opening = bytearray([field << 3 | 2])
    while length > 127:
        opening.append(length & 127 | 128)
        length >>= 7
    opening.append(length)
    return bytes(opening)
