"""Turns graphs into pure functions of parameters, buffers, inputs and a random key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from netspec.backend import Fused, Lowerings, run
from netspec.errors import BackendError
from netspec.graph.graph import Graph, GraphPair
from netspec.graph.ops import Array, Constant
from netspec.graph.types import TensorType
from netspec.model import InputCheck, by_name, fill_left_out
from netspec_jax.keys import with_keys

Tensors = dict[str, Any]
# (params, buffers, key, inputs by name) -> (outputs by name, all buffers after the pass).
Pass = Callable[[Mapping[str, Any], Mapping[str, Any], Any, Mapping[str, Any]], tuple[Tensors, Tensors]]


def draws(graph: Graph) -> bool:
    """Whether a pass of the graph needs random numbers."""
    return any(node.op.random for node in graph.all_primitives())


def pass_function(graph: Graph, lowerings: Lowerings, fused: Fused, dtype: str) -> Pass:
    """One pass of `graph`. It checks ranks and sizes while JAX traces it, which costs the calls nothing."""
    check = InputCheck(graph)
    random = draws(graph)
    typed = _with_type(lowerings, dtype)

    def one_pass(
        params: Mapping[str, Any], buffers: Mapping[str, Any], key: Any, inputs: Mapping[str, Any]
    ) -> tuple[Tensors, Tensors]:
        if random and key is None:
            mode, argument = ("training", "training=True, ") if graph.training else ("inference", "")
            raise BackendError(
                f"{graph.name} draws random numbers in {mode}: "
                f"give a key, as in apply(..., {argument}key=jax.random.key(0))"
            )
        check(inputs, _unknown_indices)
        table = with_keys(typed, key) if random else typed
        results = run(graph, table, fused, inputs, {**params, **buffers}, lambda x, axis: x.shape[axis])
        outputs = {name: jnp.asarray(value) for name, value in results.outputs.items()}  # a constant is no array yet
        return outputs, {**buffers, **results.updates}

    return one_pass


def apply_function(graphs: GraphPair, passes: Mapping[bool, Pass], dtype: str) -> Callable[..., Any]:
    """The public `apply`, jitted: `training` is static, so that there is one program for each mode."""

    def full(shape: tuple[int, ...], number: float, type: TensorType) -> Any:
        return jnp.full(shape, number, dtype if type.dtype == "float" else type.dtype)

    def given(graph: Graph, inputs: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
        return fill_left_out(graph, by_name(graph.inputs, inputs, named), full)

    def apply(params: Any, buffers: Any, /, *inputs: Any, training: bool = False, key: Any = None, **named: Any) -> Any:
        """The output (a dict of several by name); with `training=True` the pair of it and the buffers after the pass.

        `params` and `buffers` are flat dicts by path, `inputs` come in order or by name (those called `training` or
        `key` in order); one with a default may be left out. `key` is needed where the model draws random numbers, which
        most do in training alone. Pure, and fit for jax.grad, jvp, hessian, vmap; an index out of range is not noticed
        here, while ranks and sizes are: InputError.
        """
        outputs, moved = passes[training](params, buffers, key, given(graphs.of(training), inputs, named))
        result = next(iter(outputs.values())) if len(outputs) == 1 else outputs
        return (result, moved) if training else result

    return jax.jit(apply, static_argnames=("training",))


def _with_type(lowerings: Lowerings, float_type: str) -> Lowerings:
    """The table with constants of the model's float type, which a table does not know.

    Also single numbers have a type: the branches of a cond, and the steps of a loop, must all give the same.
    """
    number, array = lowerings[Constant], lowerings[Array]

    def typed_number(*, dtype: str, **attributes: Any) -> Any:
        held = jnp.dtype(float_type) if dtype == "float" else jax.dtypes.canonicalize_dtype(dtype)
        return held.type(number(dtype=dtype, **attributes))

    def typed_array(*, dtype: str, **attributes: Any) -> Any:
        made = array(dtype=dtype, **attributes)
        return made.astype(float_type) if dtype == "float" else made

    return {**lowerings, Constant: typed_number, Array: typed_array}


def _unknown_indices(array: Any) -> Any:
    """What an index input holds is not known while JAX traces; 0 is in range for every table."""
    return np.zeros(1, np.int64)
