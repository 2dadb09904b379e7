"""Reads a .weights.h5 file of Keras 3, in the process with limits that `weights convert` starts; h5py is enough."""

from __future__ import annotations

from typing import Any

import h5py

from netspec.errors import WeightsError

# What is no weight: the optimiser's state, and the seeds of layers such as Dropout.
LEFT_OUT = ("optimizer", "seed_generator")


def read(path: str, key: str | None) -> tuple[dict[str, Any], dict[str, str]]:
    """The arrays by path in the file, and by the path of each layer what Keras calls it."""
    arrays: dict[str, Any] = {}
    layer_names: dict[str, str] = {}
    with h5py.File(path, "r") as file:
        if "layer_names" in file.attrs or "model_weights" in file:
            raise WeightsError("a file of Keras 2: load it in Keras 3, and save_weights to a .weights.h5 file")
        _walk(file, "", arrays, layer_names)
    if not arrays:
        raise WeightsError("it holds no weights of Keras 3")
    return arrays, layer_names


def _walk(group: h5py.Group, prefix: str, arrays: dict[str, Any], layer_names: dict[str, str]) -> None:
    for name in group:
        path = f"{prefix}{name}"
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise WeightsError(f"{path}: a link to another place or file is not followed")
        if name in LEFT_OUT:
            continue
        entry = group[name]
        if isinstance(entry, h5py.Group):
            if name == "vars" and "name" in entry.attrs:
                layer_names[prefix.removesuffix("/")] = str(entry.attrs["name"])
            _walk(entry, f"{path}/", arrays, layer_names)
        else:
            arrays[path] = _array(path, entry)


def _array(path: str, dataset: Any) -> Any:
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise WeightsError(f"{path}: its numbers are not in the file")
    if dataset.dtype.kind not in "fiub":
        raise WeightsError(f"{path}: {dataset.dtype} is no type of numbers that can be read")
    return dataset[()]
