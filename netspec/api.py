"""The functions that users call: each imports what it needs when it is called, so that `import netspec` is cheap."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netspec.analysis.counts import ParamCount
    from netspec.backend import Backend, FloatType
    from netspec.compare.report import Report
    from netspec.model import Model
    from netspec.spec import Spec

Path = str | os.PathLike[str]


def load(path: Path, params: Mapping[str, Any] | None = None, freeze: Sequence[str] | None = None) -> Spec:
    """Read and check the spec in a file.

    Args:
        path: a YAML file, or JSON if its name ends in `.json`.
        params: values for the spec's params, by name, of the kind of their defaults.
        freeze: globs over paths, which go behind those of the file: `["*", "!fc"]` freezes all but `fc`.

    Raises:
        NetspecError: with a line `file:line:col: message` for every mistake.
    """
    from netspec.spec import load as load_spec

    return load_spec(path, params, freeze)


def loads(text: str, params: Mapping[str, Any] | None = None, freeze: Sequence[str] | None = None) -> Spec:
    """The same for a spec in YAML (or JSON) that is in a text and not in a file."""
    from netspec.spec import loads as load_text

    return load_text(text, params, freeze)


def count_params(spec: Spec | Path) -> ParamCount:
    """Count parameters and buffers: `total`, `trainable`, `frozen`, `buffers`, and `rows`, one for each tensor.

    Exact, and without allocating anything. Raises NetspecError for a bad spec.
    """
    from netspec.analysis.counts import count_params as count

    return count(_spec(spec).inference)


def build(
    spec: Spec | Path,
    backend: str | Backend,
    *,
    seed: int = 0,
    dtype: FloatType = "float32",
    device: str | None = None,
    weights: Path | Mapping[str, Any] | None = None,
) -> Model:
    """Compile a spec into a native model of a backend.

    Args:
        backend: `numpy`, `torch`, `tensorflow`, `jax`, `onnx`, or one that a package has added.
        seed: of the initial weights, which are the same on every backend, bit for bit.
        dtype: the model's float type.
        device: a name of the framework's own, such as `cuda:0`; its default where None.
        weights: instead of initial ones, a .safetensors file or arrays by path, in torch's layout.

    Raises:
        NetspecError: for a bad spec, a backend that is not installed or cannot do it, weights that do not fit.
    """
    from netspec.backend import FLOAT_TYPES, find_backend
    from netspec.errors import BackendError, NetspecError, nearest
    from netspec.weights.initial import initial_weights, load_weights

    if dtype not in FLOAT_TYPES:
        known = ", ".join(FLOAT_TYPES)
        raise NetspecError(f"there is no float type {dtype}: known are {known}{nearest(str(dtype), FLOAT_TYPES)}")
    if type(seed) is not int:
        raise NetspecError(f"seed: expected an integer, got {seed!r}")
    checked = _spec(spec)
    target = find_backend(backend) if isinstance(backend, str) else backend.require_installed()
    target.check(checked.graphs)
    if weights is None:
        values = initial_weights(checked.inference, seed)
    else:
        values = load_weights(checked.inference, weights)
    model = target.compile(checked.graphs, values, dtype, device)
    if model.dtype != dtype:
        raise BackendError(f"backend {target.name} computes in {model.dtype}, not in {dtype}")
    return model


def export_onnx(
    spec_or_model: Spec | Model | Path,
    path: Path,
    weights: Path | Mapping[str, Any] | None = None,
    seed: int = 0,
    external_data: bool = False,
) -> None:
    """Write a model as one ONNX file (opset 21 or later), atomically.

    Inputs and outputs carry the spec's names, initializers their paths, symbolic dimensions their symbols.

    Args:
        spec_or_model: a spec, its file, or a built model of any backend, whose present weights are written.
        weights: a .safetensors file or arrays by path instead of initial ones; not with a model.
        seed: of the initial weights.
        external_data: put the weights in a file beside it, as ONNX wants above 2 GiB.

    Raises:
        NetspecError: where the `onnx` extra is missing, or the model cannot be written.
    """
    from netspec.backend import find_backend
    from netspec.errors import NetspecError
    from netspec.model import Model
    from netspec.weights.initial import initial_weights, load_weights

    backend = find_backend("onnx")
    if isinstance(spec_or_model, Model):
        if weights is not None:
            raise NetspecError("a model brings its own weights: give weights, or a model, not both")
        graphs, values = spec_or_model.graphs, spec_or_model.weights()
    else:
        spec = _spec(spec_or_model)
        graphs = spec.graphs
        values = initial_weights(spec.inference, seed) if weights is None else load_weights(spec.inference, weights)
    backend.check(graphs)
    backend.export(graphs, values, path, external_data=external_data)


def verify(
    spec: Spec | Path,
    backends: str | Sequence[str | Backend] | None = None,
    dtype: FloatType = "float32",
    train: bool = False,
    data: Mapping[str, Any] | None = None,
    dims: Mapping[str, int] | None = None,
) -> Report:
    """Run a model on every backend, each in a process of its own, and compare with the float64 reference.

    Outputs, every parameter gradient and input gradient, updated buffers (with `train`), and counts.

    Args:
        backends: their names, or one name; all that are installed where None.
        dtype: `float32` or `float64`. ONNX takes part in float32 always, with the outputs of inference only.
        train: compare the training graph, its random masks given from outside.
        data: arrays by input name; drawn where None.
        dims: sizes for symbolic dimensions where inputs are drawn.

    Returns:
        A Report: `agree`, and for each backend the largest errors and the first node that differs.

    Raises:
        NetspecError: for a bad spec, a missing backend, data that do not fit.
    """
    from netspec.compare.verify import verify as compare
    from netspec.errors import NetspecError

    if data is not None and not isinstance(data, Mapping):
        raise NetspecError("data: expected a mapping from the names of the inputs to arrays")
    return compare(_spec(spec), [backends] if isinstance(backends, str) else backends, dtype, train, data, dims)


def _spec(spec: Spec | Path) -> Spec:
    from netspec.spec import Spec, load

    return spec if isinstance(spec, Spec) else load(spec)
