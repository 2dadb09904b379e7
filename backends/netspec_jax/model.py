"""The JAX model: netspec's face over a pure, jitted function and the arrays it is called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from netspec.backend import Fused, Lowerings
from netspec.errors import BackendError, InputError
from netspec.graph.graph import Buffer, GraphPair, Param
from netspec.graph.types import TensorType
from netspec.model import Arrays, Evaluation, Model, numpy_input
from netspec.passes.channels_last import channels_last_pair
from netspec_jax.function import Pass, apply_function, draws, pass_function

Tensors = dict[str, jax.Array]


class Native(NamedTuple):
    """What JAX runs: `apply(params, buffers, *inputs)`, jitted and pure, and the tensors to call it with.

    `params` and `buffers` are flat dicts by path, kernels of convolutions stored as `[*kernel, in, out]`. What is
    differentiated and optimised is `params`: **frozen parameters stand in `buffers`**, so that no gradient, no
    optimiser and no weight decay ever touches them; a training pass returns them unchanged.
    """

    apply: Callable[..., Any]
    params: Tensors
    buffers: Tensors


class JaxModel(Model):
    """A spec as a pure function of JAX."""

    def __init__(
        self,
        graphs: GraphPair,
        weights: Mapping[str, Any],
        lowerings: Lowerings,
        fused: Fused,
        dtype: str,
        device: str | None,
    ) -> None:
        super().__init__(graphs, dtype, "jax")
        if dtype == "float64" and not _wide():
            raise BackendError(
                'dtype float64 needs jax.config.update("jax_enable_x64", True) at the start of the program'
            )
        self._device = None if device is None else find_device(device)
        self._numpy_dtype = jnp.dtype(dtype)
        stored = channels_last_pair(graphs)
        self._state = stored.inference.state
        self._random = {mode: draws(stored.of(mode)) for mode in (False, True)}
        passes = {mode: pass_function(stored.of(mode), lowerings, fused, dtype) for mode in (False, True)}
        self._apply = apply_function(stored, passes, dtype)
        self._evaluators = {mode: _evaluator(passes[mode]) for mode in (False, True)}
        self._key = jax.random.key(0)
        self._draws = 0
        self._params, self._buffers = self.native_weights(weights)

    @property
    def native(self) -> Native:
        """`(apply, params, buffers)` with the present values; they stay as they are when the model moves on."""
        return Native(self._apply, dict(self._params), dict(self._buffers))

    def run(self, inputs: Mapping[str, Any], training: bool) -> dict[str, Any]:
        graph = self.graphs.of(training)
        arrays = [inputs[entry.name] for entry in graph.inputs]
        # An argument that is None would be a trace of its own beside that of users, who leave it out.
        key = {"key": self._next_key()} if self._random[training] else {}
        if training:
            result, self._buffers = self._apply(self._params, self._buffers, *arrays, training=True, **key)
        else:
            result = self._apply(self._params, self._buffers, *arrays, **key)
        if len(graph.outputs) == 1:
            return {graph.outputs[0].name: result}
        return {output.name: result[output.name] for output in graph.outputs}  # jit sorts the keys of a dict

    def evaluate(
        self, inputs: Mapping[str, Any], cotangents: Mapping[str, Any] | None = None, training: bool = False
    ) -> Evaluation:
        graph = self.graphs.of(training)
        floats: dict[str, Any] = {}
        others: dict[str, Any] = {}
        for entry in graph.inputs:
            kind = floats if entry.value.type.dtype == "float" else others
            kind[entry.name] = self.to_native(entry.name, inputs[entry.name], entry.value.type)
        if cotangents is not None:
            cotangents = {name: jnp.asarray(value, self._numpy_dtype) for name, value in cotangents.items()}
        key = self._key if self._random[training] else None
        outputs, buffers, (by_path, by_name) = self._evaluators[training](
            self._params, self._buffers, key, floats, others, cotangents
        )
        gradients = self._canonical(by_path) | {f"input:{name}": _on_host(value) for name, value in by_name.items()}
        return Evaluation(
            {output.name: _on_host(outputs[output.name]) for output in graph.outputs},
            gradients,
            {path: _on_host(buffers[path]) for path in graph.updates},
        )

    def weights(self) -> Arrays:
        return self.numpy_weights(self._params, self._buffers)

    def load_weights(self, weights: Mapping[str, Any]) -> None:
        """Take new values for all parameters and buffers: NumPy by path, canonical layout."""
        self._params, self._buffers = self.native_weights(weights)

    def native_weights(self, weights: Mapping[str, Any]) -> tuple[Tensors, Tensors]:
        """`(params, buffers)` as `apply` takes them, of NumPy arrays by path in the canonical layout."""
        params: Tensors = {}
        buffers: Tensors = {}
        for held in self._state:
            permutation = _permutation(held)
            value = np.asarray(weights[held.path])
            value = value if permutation is None else value.transpose(permutation)
            # A copy: JAX may go on using the memory of an array that it is given.
            array = jax.device_put(np.array(value, self._held_dtype(held.value.type), order="C"), self._device)
            (params if isinstance(held, Param) and held.trainable else buffers)[held.path] = array
        return params, buffers

    def numpy_weights(self, params: Mapping[str, Any], buffers: Mapping[str, Any]) -> Arrays:
        """NumPy copies by path in the canonical layout, of `params` and `buffers` as `apply` takes them."""
        return self._canonical({**params, **buffers})

    def to_native(self, name: str, value: Any, type: TensorType) -> Any:
        """A JAX array of the right dtype as it is; anything else as a NumPy array, which JAX takes without a call more.

        int64 is int32 while `jax_enable_x64` is off. Raises InputError for another dtype or a value that does not fit.
        """
        if not isinstance(value, jax.Array):
            # A copy: JAX may still read the memory after the call, while the caller fills it with the next batch.
            array = np.array(numpy_input(name, numpy_input(name, value, type, self.dtype), _as_held(type), self.dtype))
            return array if array.dtype.kind != "f" else array.astype(self._numpy_dtype, copy=False)
        wanted = jnp.dtype(self._held_dtype(type))
        if value.dtype != wanted:
            raise InputError(f"input {name}: expected {wanted}, got {value.dtype}")
        return value

    def to_numpy(self, value: Any) -> np.ndarray[Any, Any]:
        return np.asarray(value, _numpy_dtype(value))

    def _canonical(self, tensors: Mapping[str, Any]) -> Arrays:
        """NumPy copies in the order of the state dict, transposed back to torch's layout."""
        arrays: Arrays = {}
        for held in self._state:
            if held.path in tensors:
                permutation = _permutation(held)
                value = np.asarray(tensors[held.path])
                value = value if permutation is None else value.transpose(np.argsort(permutation))
                dtype = held.value.type.dtype
                arrays[held.path] = np.array(value, _numpy_dtype(value) if dtype == "float" else dtype, order="C")
        return arrays

    def _held_dtype(self, type: TensorType) -> Any:
        return self._numpy_dtype if type.dtype == "float" else _as_held(type).dtype

    def _next_key(self) -> jax.Array:
        self._draws += 1
        return jax.random.fold_in(self._key, self._draws)


def find_device(name: str) -> jax.Device:
    """The device `cpu`, `gpu`, `gpu:1`, ...; a BackendError where JAX has none of that name."""
    platform, _, index = name.partition(":")
    try:
        devices = jax.devices(platform)
    except RuntimeError:
        devices = []
    number = int(index) if index.isdecimal() else 0 if not index else len(devices)
    if number >= len(devices):
        known = sorted({f"{device.platform}:{device.id}" for device in (*jax.devices(), *jax.devices("cpu"))})
        raise BackendError(f"jax has no device {name}: there are {', '.join(known)}")
    return devices[number]


def _numpy_dtype(value: Any) -> Any:
    """The type of an array on the host: bfloat16, which NumPy does not have, becomes float32."""
    return np.float32 if value.dtype == jnp.bfloat16 else value.dtype


def _on_host(value: Any) -> np.ndarray[Any, Any]:
    """A NumPy copy."""
    return np.array(value, _numpy_dtype(value))


def _permutation(held: Param | Buffer) -> tuple[int, ...] | None:
    return held.permutation if isinstance(held, Param) else None


def _wide() -> bool:
    """Whether JAX has 64-bit numbers in this process; that is the user's to switch on."""
    return bool(jax.config.read("jax_enable_x64"))


def _as_held(type: TensorType) -> TensorType:
    """The type that JAX holds an input in: int64 as int32 where there are no 64-bit numbers."""
    if type.dtype == "int64" and not _wide():
        return TensorType(type.shape, "int32")
    return type


def _evaluator(one_pass: Pass) -> Callable[..., Any]:
    """Outputs, buffers and both kinds of gradients of one pass, jitted: one program for each set of cotangents."""

    def evaluate(params: Any, buffers: Any, key: Any, floats: Any, others: Any, cotangents: Any) -> Any:
        def shown(params: Any, floats: Any) -> Any:
            outputs, moved = one_pass(params, buffers, key, {**floats, **others})
            return {name: outputs[name] for name in cotangents or ()}, (outputs, moved)

        if cotangents is None:
            _, (outputs, moved) = shown(params, floats)
            return outputs, moved, ({}, {})
        _, pullback, (outputs, moved) = jax.vjp(shown, params, floats, has_aux=True)
        return outputs, moved, pullback(cotangents)

    return jax.jit(evaluate)
