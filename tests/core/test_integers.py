"""Which layers take integers of both widths; all others refuse them, in one clear line."""

from __future__ import annotations

from functools import cache

import pytest

from netspec import layers
from netspec.errors import NetspecError
from netspec.graph.builder import Builder, Entry
from netspec.graph.graph import Call, Origin
from netspec.graph.types import INTEGERS, DType, TensorType
from netspec.layers import LAYERS
from netspec.layers.base import Layer
from tests.conformance.table import rows

# Layers that take integers where other calls of them take floats, and what they give: `same` is the type that is given.
SAME = (
    *("abs", "add", "sub", "mul", "neg", "maximum", "minimum", "max", "min", "formula", "stop_gradient", "identity"),
    *("concat", "stack", "split", "chunk", "unbind", "select", "slice", "flip", "roll", "channel_shuffle"),
    *("reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "permute", "transpose", "rearrange", "expand"),
    *("pixel_shuffle", "pixel_unshuffle", "interpolate", "global_max_pool"),
)
WIDENED = ("sum", "prod", "cumsum", "argmax", "cast")
GIVES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(SAME, ("same",)),
    **dict.fromkeys(WIDENED, ("int64",)),
    "compare": ("bool",),
    "top_k": ("same", "int64"),
    "alibi": ("float",),  # reads sizes alone
}
# Layers that read integers anyway, or nothing.
OTHERS = {"embedding", "one_hot", "gather", "take", "where", "by_mode"}
OTHERS |= {"ones", "zeros", "arange", "constant", "parameter", "buffer"}
ONE_LINE = "floating-point numbers are needed here, not|mixed types|does not fit"


@cache
def calls() -> dict[str, Call]:
    """One call of each layer of which all inputs are floats, out of the conformance cases."""
    found: dict[str, Call] = {}
    for row in rows():
        for call in row.spec.graphs.inference.all_calls():
            floats = [value.type.dtype == "float" for value in call.inputs]
            if floats and all(floats) and not isinstance(call.layer, layers.ByMode):
                found.setdefault(call.layer.type, call)
    return found


def expanded(call: Call, dtype: DType, training: bool) -> set[str]:
    """The dtypes that the layer of `call` gives for inputs of `dtype` and the same shapes. Raises NetspecError."""
    b = Builder("one", training)
    inputs = [b.input(f"x{k}", TensorType(value.shape, dtype)) for k, value in enumerate(call.inputs)]
    required = len(inputs) - len(call.optional)
    optional = dict(zip(call.optional, inputs[required:], strict=True))
    assert isinstance(call.layer, Layer)
    outputs = b.call(call.layer, Entry(Origin("it", None)), inputs[:required], optional)
    return {value.type.dtype for value in outputs}


def in_both_modes(call: Call, dtype: DType) -> list[set[str]]:
    """In inference and in training, where alone the noise of a dropout stands."""
    return [expanded(call, dtype, training) for training in (False, True)]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_are_taken_or_refused_in_one_line(dtype: DType) -> None:
    for name, call in calls().items():
        if name in GIVES:
            given = {dtype if each == "same" else each for each in GIVES[name]}
            assert in_both_modes(call, dtype) == [given, given], name
        else:
            with pytest.raises(NetspecError, match=ONE_LINE) as refused:
                in_both_modes(call, dtype)
            assert "\n" not in str(refused.value), name


def test_every_layer_is_asked() -> None:
    assert {layer.model_fields["type"].default for layer in LAYERS} == calls().keys() | OTHERS
    assert GIVES.keys() <= calls().keys()
