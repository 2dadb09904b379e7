"""A weights file of another program becomes the arrays of one of ours."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal, get_args

from netspec.errors import WeightsError
from netspec.graph.graph import GraphPair
from netspec.weights.check import check_finite
from netspec.weights.conversion.flax_layers import flax_layers
from netspec.weights.conversion.keras_layers import keras_layers
from netspec.weights.conversion.layers import Converted, convert_layers
from netspec.weights.conversion.process import Foreign, read_foreign
from netspec.weights.conversion.renaming import renamed
from netspec.weights.foreign import SAMPLE_BYTES, Container, container
from netspec.weights.initial import Arrays
from netspec.weights.load import load_weights
from netspec.weights.safetensors_file import open_regular, read_weights

# Whose names and layouts a file has.
Source = Literal["torch", "keras", "flax"]
SOURCES: tuple[Source, ...] = get_args(Source)

# The kinds of files that each source writes; the first source that a kind stands at is the one it is taken for.
CONTAINERS: Mapping[Source, tuple[Container | None, ...]] = {
    "torch": ("torch", None),
    "keras": ("keras",),
    "flax": ("npz", None),
}


def convert_file(
    path: str | os.PathLike[str],
    graphs: GraphPair | None,
    source: Source | None = None,
    rename: Mapping[str, str] | None = None,
    key: str | None = None,
    allow_nonfinite: bool = False,
) -> Converted:
    """The arrays of a file of torch (.pth, .pt), Keras (.weights.h5), Flax (.npz), or .safetensors of torch or Flax.

    With `graphs` they are exactly the model's. Those of torch have its names already, so that it is enough to rename
    some, and `graphs` may be None. A WeightsError where the file cannot be read or does not fit.
    """
    name = os.fspath(path)
    with open_regular(path) as file:
        kind = container(file.read(SAMPLE_BYTES))
    writer = next(each for each in SOURCES if kind in CONTAINERS[each]) if source is None else source
    if kind not in CONTAINERS[writer]:
        raise WeightsError(f"{name}: it does not look like a file of {writer} that can be converted")
    file_read = Foreign(name, read_weights(path), {}) if kind is None else read_foreign(path, kind, key)
    if writer == "torch":
        return Converted(_torch(file_read, graphs, rename or {}, allow_nonfinite), ())
    if graphs is None:
        raise WeightsError(f"{name}: give the SPEC too: the layouts of {writer} depend on the layers")
    layers = keras_layers(file_read) if writer == "keras" else flax_layers(file_read.arrays)
    converted = convert_layers(graphs, layers, rename or {})
    if not allow_nonfinite:
        check_finite(converted.arrays, name)
    return converted


def _torch(file: Foreign, graphs: GraphPair | None, rename: Mapping[str, str], allow_nonfinite: bool) -> Arrays:
    names = renamed(file.arrays, rename)
    arrays = {names[name]: array for name, array in file.arrays.items()}
    if graphs is not None:
        loaded = load_weights(graphs.inference, arrays, allow_nonfinite=allow_nonfinite, name=file.path)
        return loaded.arrays
    if not allow_nonfinite:
        check_finite(arrays, file.path)
    return arrays
