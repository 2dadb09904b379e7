"""Weights and images as a hand-written TensorFlow or JAX model would hold them: channels last, [in, out]."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from models import Case
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.float32]]


def weights_last(weights: Mapping[str, NDArray[np.float32]], case: Case) -> Arrays:
    """torch's layouts to `[height, width, in, out]` and `[in, out]`, and flattened features to channels last."""
    found: Arrays = {}
    for path, values in weights.items():
        layer = path.rpartition(".")[0]
        if values.ndim == 4:
            values = values.transpose(2, 3, 1, 0)
        elif values.ndim == 2 and layer in case.before_flatten:
            channels, height, width = case.before_flatten[layer]
            maps = values.reshape(-1, channels, height, width)
            values = maps.transpose(2, 3, 1, 0).reshape(height * width * channels, -1)
        elif values.ndim == 2:
            values = values.T
        found[path] = np.ascontiguousarray(values)
    return found


def inputs_last(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Images as `[batch, height, width, channels]`; anything else as it is."""
    return np.ascontiguousarray(inputs.transpose(0, 2, 3, 1)) if inputs.ndim == 4 else inputs
