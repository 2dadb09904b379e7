"""The native object: a tf.Module that holds the variables and runs the graphs as tf.functions."""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from netspec.backend import Fused, Lowerings, Results, run
from netspec.graph.graph import Buffer, Graph, GraphPair, Param
from netspec.graph.ops import Array, Constant, Op, Scan
from netspec.graph.types import TensorType
from netspec.model import by_name, fill_left_out


@dataclass(frozen=True)
class Runner:
    """Runs a graph, traced or eagerly, with given tables, float type and device."""

    lowerings: Lowerings
    fused: Fused
    dtype: str
    device: str | None

    def __call__(self, graph: Graph, inputs: Mapping[str, Any], state: Mapping[str, Any]) -> Results:
        numbers: dict[Any, float] = {}

        def constant(**attributes: Any) -> tf.Tensor:
            number = self.lowerings[Constant](**attributes)
            made = tf.convert_to_tensor(number, self.type_of(attributes["dtype"]))
            if attributes["dtype"] == "float":
                numbers[made.ref()] = number
            return made

        def array(**attributes: Any) -> tf.Tensor:
            return tf.cast(self.lowerings[Array](**attributes), self.type_of(attributes["dtype"]))

        scan = partial(self.lowerings[Scan], type_of=self.type_of)
        table: dict[type[Op], Callable[..., Any]] = {Constant: constant, Array: array, Scan: scan}
        with self.placed():
            lowerings = {**self.lowerings, **table}
            if self.type_of("float").size < tf.float32.size:
                lowerings = {op: _widening(form, numbers) for op, form in lowerings.items()}
            results = run(graph, lowerings, self.fused, inputs, state, _size_of)
            outputs = {name: tf.convert_to_tensor(value) for name, value in results.outputs.items()}
        return Results(outputs, results.updates)

    def placed(self) -> Any:
        """The context in which tensors stand on the device."""
        return nullcontext() if self.device is None else tf.device(self.device)

    def type_of(self, dtype: str) -> tf.DType:
        """TensorFlow's type for a dtype of the graph."""
        return tf.as_dtype(self.dtype if dtype == "float" else dtype)

    def full(self, shape: tuple[Any, ...], number: float, type: TensorType) -> tf.Tensor:
        """A tensor of one number."""
        return tf.fill(shape, tf.constant(number, self.type_of(type.dtype)))

    def spec(self, type: TensorType, name: str) -> tf.TensorSpec:
        """What a tf.function is told of an argument: symbolic sizes are left open."""
        shape = [size if isinstance(size, int) else None for size in type.shape]
        return tf.TensorSpec(shape, self.type_of(type.dtype), name)


def _widening(form: Callable[..., Any], numbers: Mapping[Any, float]) -> Callable[..., Any]:
    """`form`, which gets a constant in float32 where it meets what was widened: TensorFlow does not mix types."""

    def met(*inputs: Any, **attributes: Any) -> Any:
        if any(tf.is_tensor(x) and x.dtype == tf.float32 for x in inputs):
            inputs = tuple(
                tf.constant(numbers[x.ref()], tf.float32) if tf.is_tensor(x) and x.ref() in numbers else x
                for x in inputs
            )
        return form(*inputs, **attributes)

    return met


class NetworkModule(tf.Module):
    """A model of netspec as a tf.Module.

    Call it with the inputs of the spec, in order or by name: `module(image)`; one with a default may be left out, here
    alone. `training=True` picks the training graph, which also assigns the model's buffers. One output comes alone,
    several as a dict. `inference_call` and `training_call` are the two tf.functions, each with an input signature in
    which symbolic sizes are open, so that one trace serves every batch size; SavedModel exports both, and the first one
    as `__call__`.

    `variables_by_path` has all parameters and buffers by the paths of the spec; `trainable_variables` leaves out
    buffers and what is frozen. Inputs and outputs have the layout of the spec, `[batch, channels, height, width]`.
    Variables hold what TensorFlow runs fastest: kernels of convolutions are `[height, width, in / groups, out]`, and
    weights of `linear` `[in, out]` unless something else reads them too; all others are as the spec has them.
    `Model.weights()` and `Model.gradients()` give the layout of the spec.

    Nothing is compiled by XLA. It would take 0.6 to 0.8 of the time in inference on fixed sizes, but 60 to 240 ms for
    each new batch size (1 to 9 ms without), no less time in training, and many times more for convolutions; and dropout
    would ignore `tf.random.set_seed`. `tf.function(module, jit_compile=True)` does it where that pays.

    An index out of range is undefined here; `Model.__call__` checks.
    """

    def __init__(self, graphs: GraphPair, weights: Mapping[str, Any], runner: Runner) -> None:
        super().__init__(name=identifiers([graphs.name])[0])
        with runner.placed():
            variables = {
                held.path: _variable(held, weights[held.path], runner.dtype) for held in graphs.inference.state
            }
        self.variables_by_path = variables
        self.inference_call = _function(graphs.inference, variables, runner)
        self.training_call = _function(graphs.training, variables, runner)
        # On the instance, beside the method of the class that Python itself calls: tf.saved_model looks here.
        self.__call__ = self.inference_call  # type: ignore[method-assign]
        # A partial, as tf.Module would make a part of every checkpoint of a plain dict.
        has_defaults = any(entry.default is not None for entry in graphs.inference.inputs)
        self._left_out = partial(_left_out, graphs, runner) if has_defaults else None
        self._argument = partial(_argument, {training: _arguments(graphs.of(training)) for training in (False, True)})

    def __call__(self, *inputs: Any, training: bool = False, **named: Any) -> Any:
        function = self.training_call if training else self.inference_call
        if self._left_out is not None:
            inputs, named = self._left_out(training, inputs, named), {}
        return function(*inputs, **{self._argument(training, name): value for name, value in named.items()})


def _left_out(
    graphs: GraphPair, runner: Runner, training: bool, inputs: tuple[Any, ...], named: Mapping[str, Any]
) -> tuple[Any, ...]:
    """All inputs in order, those that are left out filled with their defaults."""
    graph = graphs.of(training)
    given = {name: tf.convert_to_tensor(x) for name, x in by_name(graph.inputs, inputs, named).items()}
    return tuple(fill_left_out(graph, given, runner.full, _size_of).values())


def _variable(held: Param | Buffer, value: Any, dtype: str) -> tf.Variable:
    trainable = isinstance(held, Param) and held.trainable
    return tf.Variable(stored(held, value, dtype), trainable=trainable, name=held.path)


def stored(held: Param | Buffer, value: Any, dtype: str) -> np.ndarray[Any, Any]:
    """A value of the canonical layout as the variable holds it."""
    type = held.value.type.dtype
    array = np.asarray(value).astype(tf.as_dtype(dtype if type == "float" else type).as_numpy_dtype)
    axes = held.permutation if isinstance(held, Param) else None
    return array if axes is None else np.ascontiguousarray(array.transpose(axes))


def canonical(held: Param | Buffer, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A value that stands as the variable holds it, in the canonical layout."""
    axes = held.permutation if isinstance(held, Param) else None
    return array if axes is None else np.ascontiguousarray(array.transpose(np.argsort(axes)))


def _function(graph: Graph, variables: Mapping[str, tf.Variable], runner: Runner) -> Any:
    """The graph as a tf.function of its inputs that assigns the buffers it updates."""
    names = _arguments(graph)
    call = partial(_call, graph, tuple(names), variables, runner)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    # tf.function reads the names of the arguments here, which is how inputs can be given by name.
    call.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in names.values()])  # type: ignore[attr-defined]
    signature = [runner.spec(entry.value.type, names[entry.name]) for entry in graph.inputs]
    return traced(call, signature)


def traced(call: partial[Any], signature: Sequence[Any]) -> Any:
    """`call` as a tf.function.

    A partial, since TensorFlow counts the traces of each piece of Python code: closures of one function, each traced
    once for a model of its own, would be reported as one function that is traced again and again.
    """
    return tf.function(call, input_signature=signature, autograph=False)


def _call(
    graph: Graph, names: Sequence[str], variables: Mapping[str, tf.Variable], runner: Runner, *inputs: tf.Tensor
) -> Any:
    results = runner(graph, dict(zip(names, inputs, strict=True)), variables)
    for path, value in results.updates.items():
        variables[path].assign(value)
    outputs = results.outputs
    return outputs if len(outputs) > 1 else next(iter(outputs.values()))


def _arguments(graph: Graph) -> dict[str, str]:
    """The name of the argument of a tf.function for each input."""
    names = [entry.name for entry in graph.inputs]
    return dict(zip(names, identifiers(names), strict=True))


def _argument(known: Mapping[bool, Mapping[str, str]], training: bool, name: str) -> str:
    """The argument for the input `name`; an unknown name stays, for TensorFlow to refuse it."""
    return known[training].get(name, name)


def identifiers(names: Iterable[str]) -> list[str]:
    """The names as identifiers of Python, unequal: what may not stand in one becomes `_`."""
    found: list[str] = []
    for name in names:
        word = re.sub(r"\W", "_", name, flags=re.ASCII)
        if not word[:1].isalpha() or keyword.iskeyword(word):
            word = f"input_{word}"
        while word in found:
            word += "_"
        found.append(word)
    return found


def _size_of(x: tf.Tensor, axis: int) -> tf.Tensor:
    return tf.shape(x)[axis]
