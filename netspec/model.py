"""The model that every backend builds: one face over a native module, with inputs checked on the host."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netspec.analysis.index_bounds import index_bounds
from netspec.errors import InputError, nearest
from netspec.graph.dims import evaluate, format_shape, is_symbol
from netspec.graph.graph import Graph, GraphPair, Input
from netspec.graph.types import TensorType
from netspec.weights.safetensors_file import write_weights

Arrays = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Evaluation:
    """One pass, as NumPy arrays in the canonical layout.

    `outputs` by name; `gradients` by path of the parameter, and `input:NAME` for inputs of the float type; `updates`
    (training) the new values of buffers by path.
    """

    outputs: Arrays
    gradients: Arrays
    updates: Arrays


class Model(ABC):
    """A spec compiled for one backend, with its weights.

    Call it with the inputs in order or by name: native arrays in, native arrays out, NumPy is accepted too.
    """

    def __init__(self, graphs: GraphPair, dtype: str, backend: str) -> None:
        self.graphs = graphs
        self.dtype = dtype
        self.backend = backend
        self._checks = {training: InputCheck(graphs.of(training)) for training in (False, True)}

    def __repr__(self) -> str:
        return f"<netspec.Model {self.graphs.name} on {self.backend}, {self.dtype}>"

    # What an adapter provides.

    @property
    @abstractmethod
    def native(self) -> Any:
        """The framework's own object: torch.nn.Module, tf.Module, (apply, params, buffers) of JAX, an ONNX model."""

    @abstractmethod
    def run(self, inputs: Mapping[str, Any], training: bool) -> dict[str, Any]:
        """Outputs by name, native, for checked native inputs by name; in training the model's buffers move on."""

    @abstractmethod
    def evaluate(
        self, inputs: Mapping[str, Any], cotangents: Mapping[str, Any] | None = None, training: bool = False
    ) -> Evaluation:
        """Outputs, gradients of `sum over outputs of sum(y * cotangent)`, and updated buffers, all as NumPy.

        `inputs` and `cotangents` are checked, by name, NumPy or native, the cotangents for any of the outputs; without
        cotangents there are no gradients. Nothing of the model changes: buffers stay as they were.
        """

    @abstractmethod
    def weights(self) -> Arrays:
        """Parameters and buffers by path, NumPy copies in the canonical layout (torch's)."""

    @abstractmethod
    def load_weights(self, weights: Mapping[str, Any]) -> None:
        """Replace all parameters and buffers by these: NumPy by path, canonical layout, already checked."""

    @abstractmethod
    def to_native(self, name: str, value: Any, type: TensorType) -> Any:
        """The input `name` as an array of the framework: NumPy by `numpy_input`, native arrays as they are.

        Raises InputError where a native array is of another dtype than the model's.
        """

    @abstractmethod
    def to_numpy(self, value: Any) -> np.ndarray[Any, Any]:
        """A native array on the host."""

    # What users call.

    def __call__(self, *arrays: Any, training: bool = False, **named: Any) -> Any:
        """The output, or a dict of several outputs in the order of the spec, for one batch.

        In training the statistics of the model move on. Raises InputError for a missing or unknown input, another
        rank, size or dtype, or an index out of range.
        """
        bound, _ = self._bind(arrays, named, training)
        outputs = self.run(bound, training)
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def gradients(
        self, *arrays: Any, cotangent: Any, training: bool = False, inputs: bool = False, **named: Any
    ) -> Arrays:
        """Gradients of `sum(y * cotangent)` by path for every trainable parameter, NumPy, canonical layout.

        `cotangent` maps outputs to arrays of their shape; for a model with one output it may be the array itself.
        With `inputs` also `input:NAME` for each input of the float type. Frozen parameters have no entry. The
        model's buffers do not move. Raises InputError as a call does.
        """
        bound, sizes = self._bind(arrays, named, training)
        names = [output.name for output in self.graphs.of(training).outputs]
        if not isinstance(cotangent, Mapping):
            if len(names) > 1:
                raise InputError(f"cotangent must be a mapping: the outputs are {', '.join(names)}")
            cotangent = {names[0]: cotangent}
        for name in cotangent:
            if name not in names:
                raise InputError(f"cotangent of {name}: the outputs are {', '.join(names)}{nearest(name, names)}")
        self._check_cotangents(cotangent, sizes, training)
        found = self.evaluate(bound, cotangent, training).gradients
        return found if inputs else {name: g for name, g in found.items() if not name.startswith("input:")}

    def _check_cotangents(self, cotangents: Mapping[str, Any], sizes: Mapping[str, int], training: bool) -> None:
        """An InputError where a cotangent has another shape than its output."""
        for output in self.graphs.of(training).outputs:
            if output.name in cotangents:
                expected = tuple(evaluate(size, sizes) for size in output.value.shape)
                shape = tuple(np.shape(cotangents[output.name]))  # lists too
                if shape != expected:
                    raise InputError(
                        f"cotangent of {output.name}: expected {format_shape(expected)}, got {format_shape(shape)}"
                    )

    def save_weights(self, path: str | os.PathLike[str]) -> None:
        """Write parameters and buffers as safetensors, atomically, canonical names and layout."""
        write_weights(path, self.weights())

    def _full(self, shape: tuple[int, ...], number: float, type: TensorType) -> Any:
        """A native array of one number, for an input that is left out."""
        dtype = "float64" if type.dtype == "float" else type.dtype
        return self.to_native("", np.full(shape, number, dtype), type)

    def _bind(
        self, arrays: tuple[Any, ...], named: Mapping[str, Any], training: bool
    ) -> tuple[dict[str, Any], dict[str, int]]:
        """Native arrays by input name, after all checks, and the size of each symbol."""
        graph = self.graphs.of(training)
        given = by_name(graph.inputs, arrays, named)
        native = {
            entry.name: self.to_native(entry.name, given[entry.name], entry.value.type)
            for entry in graph.inputs
            if entry.name in given
        }
        native = fill_left_out(graph, native, self._full)
        return native, self._checks[training](native, self.to_numpy)


def by_name(inputs: Sequence[Input], arrays: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs given in order and by name, all by name. Raises InputError unless each without a default is given once."""
    names = [entry.name for entry in inputs]
    expected = f"the inputs are {', '.join(names)}"
    if len(arrays) > len(names):
        raise InputError(f"{len(arrays)} inputs given: {expected}")
    given = dict(zip(names, arrays, strict=False))
    for name, value in named.items():
        if name not in names:
            raise InputError(f"there is no input {name}: {expected}{nearest(name, names)}")
        if name in given:
            raise InputError(f"input {name} is given twice")
        given[name] = value
    missing = [entry.name for entry in inputs if entry.name not in given and entry.default is None]
    if missing:
        raise InputError(f"input {missing[0]} is missing: {expected}")
    return given


Full = Callable[[tuple[Any, ...], float, TensorType], Any]


def fill_left_out(
    graph: Graph,
    given: Mapping[str, Any],
    full: Full,
    size_of: Callable[[Any, int], Any] = lambda x, axis: int(x.shape[axis]),
) -> dict[str, Any]:
    """All inputs in order: those that are given, and those left out filled with their defaults by `full`."""
    if len(given) == len(graph.inputs):
        return dict(given)
    sources = graph.symbols()
    for entry, _ in sources.values():
        if len(given[entry.name].shape) != entry.value.type.rank:
            expected, got = format_shape(entry.value.shape), format_shape(tuple(given[entry.name].shape))
            raise InputError(f"input {entry.name}: expected {expected}, got {got}")
    symbols = {name: size_of(given[entry.name], axis) for name, (entry, axis) in sources.items()}
    found: dict[str, Any] = {}
    for entry in graph.inputs:
        if entry.name in given:
            found[entry.name] = given[entry.name]
        else:
            assert entry.default is not None
            shape = tuple(evaluate(size, symbols) for size in entry.value.shape)
            found[entry.name] = full(shape, entry.default, entry.value.type)
    return found


class InputCheck:
    """Checks the arrays of one call against a graph: ranks, sizes, one size for each symbol, indices in range."""

    def __init__(self, graph: Graph) -> None:
        self._inputs = tuple((entry.name, entry.value.type) for entry in graph.inputs)
        self._bounds = index_bounds(graph)
        self._requirements = graph.requirements

    def __call__(self, arrays: Mapping[str, Any], to_numpy: Callable[[Any], Any] = np.asarray) -> dict[str, int]:
        """The size of each symbol, or an InputError."""
        shapes = {name: tuple(int(size) for size in arrays[name].shape) for name, _ in self._inputs}
        symbols: dict[str, int] = {}
        for name, type in self._inputs:
            if len(shapes[name]) != type.rank or 0 in shapes[name]:
                raise InputError(f"input {name}: expected {format_shape(type.shape)}, got {format_shape(shapes[name])}")
            for expected, size in zip(type.shape, shapes[name], strict=True):
                symbol = is_symbol(expected)
                if symbol is not None:
                    symbols.setdefault(symbol, size)
        for name, type in self._inputs:
            here = tuple(evaluate(size, symbols) for size in type.shape)
            if here != shapes[name]:
                known = "" if here == type.shape else f", which is {format_shape(here)} here"
                raise InputError(
                    f"input {name}: expected {format_shape(type.shape)}{known}, got {format_shape(shapes[name])}"
                )
            if name in self._bounds:
                bound = min(evaluate(bound, symbols) for bound in self._bounds[name])
                check_indices(name, to_numpy(arrays[name]), bound)
        for requirement in self._requirements:
            size = int(evaluate(requirement.size, symbols))
            if size < requirement.at_least:
                told = size if requirement.told is None else evaluate(requirement.told, symbols)
                message = f"{requirement.origin.path}: {requirement.message.format(size=told)}"
                raise InputError(message, requirement.origin.location)
        return symbols


def check_indices(name: str, indices: np.ndarray[Any, Any], bound: int) -> None:
    """An InputError unless every index of the input `name` is from 0 to below `bound`."""
    low, high = int(indices.min()), int(indices.max())
    if low < 0 or high >= bound:
        raise InputError(f"input {name}: indices must be from 0 to {bound - 1}, got {low if low < 0 else high}")


def numpy_input(name: str, value: Any, type: TensorType, dtype: str) -> np.ndarray[Any, Any]:
    """`value` as a NumPy array of the input's kind: any float for a float of `dtype`, any integer for an integer.

    bfloat16 stays float32 here; the adapter narrows it. Raises InputError for another kind: nothing is converted
    silently between floats, integers and flags.
    """
    array = np.asarray(value)
    if array.dtype.name == "bfloat16":  # an extension's, which NumPy does not count among the floats
        array = array.astype("float32")
    wanted = dtype if type.dtype == "float" else type.dtype
    kinds = {"float": "f", "int64": "iu", "int32": "iu", "bool": "b"}[type.dtype]
    if array.dtype.kind not in kinds:
        raise InputError(f"input {name}: expected {wanted}, got {array.dtype}")
    if kinds == "iu" and array.size and not np.can_cast(array.dtype, wanted):
        limits = np.iinfo(wanted)
        if int(array.min()) < limits.min or int(array.max()) > limits.max:
            raise InputError(f"input {name}: a value does not fit {wanted}")
    return array.astype("float32" if wanted == "bfloat16" else wanted, copy=False)
