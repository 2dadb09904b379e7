"""The program of a process that runs models of the zoo on one backend: `program.py BACKEND DTYPE FOLDER NAME...`.

For each model it writes the logits to FOLDER, as NAME.npy. On `onnx` it is the exported file that ONNX Runtime runs.
With DTYPE `perturbed` they are those of several float64 runs, with float32's relative noise on weights and image.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import netspec
from netspec.compare.tolerance import DRAWS, UNIT_ROUNDOFF
from tests.zoo.torchvision_reference import Facts, facts, image, weights


def main(backend: str, dtype: str, folder: str, *names: str) -> None:
    """Run the models one after another, so that one at a time is in memory."""
    for name in names:
        model = facts(name)
        if backend == "onnx":
            logits = _onnx(model, Path(folder) / f"{name}.onnx")
        elif dtype == "perturbed":
            logits = _perturbed(model, backend)
        else:
            logits = _logits(model, backend, dtype)
        np.save(Path(folder) / f"{name}.npy", logits)


def _logits(model: Facts, backend: str, dtype: Any) -> Any:
    built = netspec.build(model.name, backend, dtype=dtype, weights=weights(model))
    logits = built.to_numpy(built(image(model).astype(dtype)))
    assert logits.dtype == dtype
    return logits


def _perturbed(model: Facts, backend: str) -> Any:
    exact = weights(model)
    built = netspec.build(model.name, backend, dtype="float64", weights=exact)
    found = []
    for draw in range(DRAWS):
        generator = np.random.default_rng(draw)
        built.load_weights({path: _shaken(array, generator) for path, array in exact.items()})
        found.append(built.to_numpy(built(_shaken(image(model), generator))))
    return np.stack(found)


def _shaken(array: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float64]:
    noise = generator.standard_normal(array.shape, np.float32)
    return array * (1 + UNIT_ROUNDOFF * noise.astype(np.float64))


def _onnx(model: Facts, file: Path) -> Any:
    import onnxruntime

    netspec.export_onnx(model.name, file, weights=weights(model))
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"image": image(model)})
    file.unlink()
    return logits


if __name__ == "__main__":
    main(*sys.argv[1:])
