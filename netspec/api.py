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
    from netspec.weights.conversion.layers import Converted
    from netspec.weights.initial import Arrays
    from netspec.weights.load import Loaded

Path = str | os.PathLike[str]


def load(path: Path, params: Mapping[str, Any] | None = None, freeze: Sequence[str] | None = None) -> Spec:
    """Read and check the spec in a file.

    Args:
        path: a YAML file, or JSON if its name ends in `.json`; or the name of a spec of the zoo, such as `resnet50`.
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
    only: Sequence[str] | None = None,
    skip: Sequence[str] | None = None,
    allow_nonfinite: bool = False,
    max_bytes: int | None = None,
) -> Model:
    """Compile a spec into a native model of a backend.

    Args:
        backend: `numpy`, `torch`, `tensorflow`, `jax`, `onnx`, or one that a package has added.
        seed: of the initial weights, which are the same on every backend, bit for bit.
        dtype: the model's float type.
        device: a name of the framework's own, such as `cuda:0`; its default where None.
        weights: instead of initial ones, a .safetensors file or arrays by path, in torch's layout. They are exactly
            the model's, or refused.
        only, skip: globs over paths, as those of `freeze`: what they leave out of `weights` starts from `seed`. It is
            listed with a warning of the logger `netspec`.
        allow_nonfinite: take weights with NaN or infinities.
        max_bytes: of memory that the weights may take; what is free where None.

    Raises:
        NetspecError: for a bad spec, a backend that is not installed or cannot do it, weights that do not fit, or a
            model that does not fit into the memory.
    """
    from netspec.analysis.memory_limit import check_build
    from netspec.backend import FLOAT_TYPES, find_backend
    from netspec.errors import NetspecError, nearest

    if dtype not in FLOAT_TYPES:
        known = ", ".join(FLOAT_TYPES)
        raise NetspecError(f"there is no float type {dtype}: known are {known}{nearest(str(dtype), FLOAT_TYPES)}")
    if type(seed) is not int:
        raise NetspecError(f"seed: expected an integer, got {seed!r}")
    checked = _spec(spec)
    check_build(checked.inference, dtype, max_bytes)
    target = find_backend(backend) if isinstance(backend, str) else backend.require_installed()
    target.require_float_type(dtype)
    target.check(checked.graphs)
    values = _weights(checked, weights, only, skip, seed, allow_nonfinite)
    return target.compile(checked.graphs, values, dtype, device)


def export_onnx(
    spec_or_model: Spec | Model | Path,
    path: Path,
    weights: Path | Mapping[str, Any] | None = None,
    seed: int = 0,
    external_data: bool = False,
    only: Sequence[str] | None = None,
    skip: Sequence[str] | None = None,
    allow_nonfinite: bool = False,
    max_bytes: int | None = None,
) -> None:
    """Write a model as one ONNX file (opset 21 or later), atomically.

    Inputs and outputs carry the spec's names, initializers their paths, symbolic dimensions their symbols.

    Args:
        spec_or_model: a spec, its file, or a built model of any backend, whose present weights are written.
        weights: a .safetensors file or arrays by path instead of initial ones; not with a model.
        seed: of the initial weights.
        external_data: put the weights in a file beside it, as ONNX wants above 2 GiB.
        only, skip, allow_nonfinite: as in `build`.
        max_bytes: as in `build`.

    Raises:
        NetspecError: where the `onnx` extra is missing, or the model cannot be written.
    """
    from netspec.analysis.memory_limit import check_build
    from netspec.backend import find_backend
    from netspec.errors import NetspecError
    from netspec.model import Model

    backend = find_backend("onnx")
    if isinstance(spec_or_model, Model):
        if not (weights is None and only is None and skip is None):
            raise NetspecError("a model brings its own weights: give weights, or a model, not both")
        graphs, values = spec_or_model.graphs, spec_or_model.weights()
    else:
        spec = _spec(spec_or_model)
        check_build(spec.inference, "float32", max_bytes)
        graphs = spec.graphs
        values = _weights(spec, weights, only, skip, seed, allow_nonfinite)
    backend.check(graphs)
    backend.export(graphs, values, path, external_data=external_data)


def verify(
    spec: Spec | Path,
    backends: str | Sequence[str | Backend] | None = None,
    dtype: FloatType = "float32",
    train: bool = False,
    data: Mapping[str, Any] | None = None,
    dims: Mapping[str, int] | None = None,
    weights: Path | Mapping[str, Any] | None = None,
    only: Sequence[str] | None = None,
    skip: Sequence[str] | None = None,
    max_bytes: int | None = None,
) -> Report:
    """Run a model on every backend, each in a process of its own, and compare with the float64 reference.

    Outputs, every parameter gradient and input gradient, updated buffers (with `train`), and counts.

    Args:
        backends: their names, or one name; all that are installed where None.
        dtype: the float type; a backend that does not compute in it takes part in one of its own, which its note names.
            ONNX: always in float32, with the outputs of inference only.
        train: compare the training graph, its random masks given from outside.
        data: arrays by input name; drawn where None.
        dims: sizes for symbolic dimensions where inputs are drawn.
        weights: a .safetensors file or arrays by path; drawn where None.
        only, skip: as in `build`, with seed 0.
        max_bytes: of memory that the comparison may take; what is free where None.

    Returns:
        A Report: `agree`, and for each backend the largest errors and the first node that differs.

    Raises:
        NetspecError: for a bad spec, a missing backend, data that do not fit.
    """
    from netspec.analysis.memory_limit import check_verify
    from netspec.compare.drawing import draw_sizes
    from netspec.compare.verify import verify as compare
    from netspec.errors import NetspecError

    if data is not None and not isinstance(data, Mapping):
        raise NetspecError("data: expected a mapping from the names of the inputs to arrays")
    checked = _spec(spec)
    sizes = draw_sizes(checked.inference, dims or {}) if data is None else None
    check_verify(checked.inference, "float32" if dtype == "float32" else "float64", sizes, max_bytes)
    values = None if weights is None and not only and not skip else _weights(checked, weights, only, skip, 0, False)
    return compare(checked, [backends] if isinstance(backends, str) else backends, dtype, train, data, dims, values)


def load_weights(
    spec: Spec | Path,
    weights: Path | Mapping[str, Any],
    only: Sequence[str] | None = None,
    skip: Sequence[str] | None = None,
    seed: int = 0,
    allow_nonfinite: bool = False,
) -> Loaded:
    """Read and check the weights of a spec as `build` does, without building.

    Returns:
        `arrays`, all weights by path; `initial`, the paths that keep the initial values of `seed`; `unused`, the
        tensors of `weights` that were left out.

    Raises:
        NetspecError: for a bad spec, or weights that do not fit.
    """
    from netspec.weights.load import load_weights as load_arrays
    from netspec.weights.selection import selection

    return load_arrays(_spec(spec).inference, weights, selection(only, skip), seed, allow_nonfinite)


def weights_from_flax(spec: Spec | Path, tree: Mapping[Any, Any], rename: Mapping[str, str] | None = None) -> Arrays:
    """The weights of a Flax model as arrays by path, for `build(weights=...)`.

    Args:
        tree: an `nnx.state(model)`, the variables of a linen model, or nested dicts of arrays.
        rename: entry paths by module paths, or by what these begin with, where names and order do not tell.

    Modules of equal names belong together, then those of a type in the order of their numbers, which is the order in
    which the model makes them: a warning of the logger `netspec` lists these.

    Raises:
        NetspecError: where something has no counterpart on the other side, or another shape.
    """
    from netspec.weights.conversion.flax_layers import flax_layers
    from netspec.weights.conversion.layers import convert_layers

    return _told(convert_layers(_spec(spec).graphs, flax_layers(tree), rename or {}))


def weights_from_keras(spec: Spec | Path, path: Path, rename: Mapping[str, str] | None = None) -> Arrays:
    """The same for a `.weights.h5` file of Keras 3, which is read in a process with limits.

    `rename` maps layer names of Keras, or what these begin with.
    """
    from netspec.weights.conversion.keras_layers import keras_layers
    from netspec.weights.conversion.layers import convert_layers
    from netspec.weights.conversion.process import read_foreign

    return _told(convert_layers(_spec(spec).graphs, keras_layers(read_foreign(path, "keras")), rename or {}))


def _told(converted: Converted) -> Arrays:
    """The arrays, after a warning that lists what was found by order alone."""
    import logging

    pairs = [f"{match.source} -> {match.target.call.path}" for match in converted.matches if match.how == "order"]
    if pairs:
        logging.getLogger("netspec").warning("weights: by order: %s", ", ".join(pairs))
    return converted.arrays


def _weights(
    spec: Spec,
    weights: Path | Mapping[str, Any] | None,
    only: Sequence[str] | None,
    skip: Sequence[str] | None,
    seed: int,
    allow_nonfinite: bool,
) -> Arrays:
    """Initial weights, or those that are given; a warning lists what `only` and `skip` leave out."""
    from netspec.errors import NetspecError
    from netspec.weights.initial import initial_weights

    if weights is None:
        if only or skip:
            raise NetspecError("only and skip choose among weights: give weights too")
        return initial_weights(spec.inference, seed)
    loaded = load_weights(spec, weights, only, skip, seed, allow_nonfinite)
    if only or skip:
        import logging

        logging.getLogger("netspec").warning("%s", loaded)
    return loaded.arrays


def _spec(spec: Spec | Path) -> Spec:
    from netspec.spec import Spec, load

    return spec if isinstance(spec, Spec) else load(spec)
