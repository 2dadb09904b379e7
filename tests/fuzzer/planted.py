"""The mistakes that the fuzzer must catch: where each is planted, and which layers or primitives it hits.

The mistakes themselves stand in tests/conformance/mutants, one table of lowerings and fused forms for each framework,
and in bodies.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Where = Literal["tables", "shared body", "one body"]


@dataclass(frozen=True)
class Planted:
    """A mistake, in words for the table of tests/README.md; `hits` are layers or primitives, one of which a graph has.

    `quick` and `thorough` are frameworks: the first run by default. It stands in their tables, in the body that all
    run and the reference too (so that a native form must disagree), or in the body that one backend runs. With `asked`
    the graphs are those of `netspec fuzz --layers`, else those of a plain run.
    """

    name: str
    words: str
    hits: tuple[str, ...]
    quick: tuple[str, ...]
    thorough: tuple[str, ...] = ()
    where: Where = "tables"
    asked: bool = False


CONVOLUTION = ("conv2d",)
PLANTED = (
    Planted(
        "padding_side",
        "the odd zero of `same` on the other side",
        CONVOLUTION,
        ("torch", "onnx"),
        ("tensorflow", "jax"),
    ),
    Planted(
        "same_symmetric", "`same` with a stride padded alike on both sides", CONVOLUTION, ("onnx",), ("torch", "jax")
    ),
    Planted("kernel_flipped", "the kernel flipped", CONVOLUTION, ("torch",)),
    Planted("conv_without_bias", "no bias in a grouped convolution", CONVOLUTION, ("torch", "onnx")),
    Planted(
        "pool_divisor",
        "padding counted in means where it is not, and the reverse",
        ("avg_pool2d",),
        ("torch", "onnx"),
        ("jax",),
    ),
    Planted(
        "pool_last", "of equals the last one gets the gradient", ("max_pool2d",), ("torch",), ("tensorflow", "jax")
    ),
    Planted("batch_norm_eps", "another eps", ("batch_norm",), ("torch", "onnx")),
    Planted(
        "batch_norm_reversed", "the weight of old statistics read as that of new ones", ("batch_norm",), ("torch",)
    ),
    Planted("batch_norm_biased", "the running variance biased", ("batch_norm",), ("torch",)),
    Planted("frozen_uses_batch", "a frozen layer takes the batch's statistics", ("batch_norm",), ("torch",)),
    Planted("frozen_moves", "a frozen layer's statistics move", ("batch_norm",), ("torch",)),
    Planted("layer_norm_eps", "another eps", ("layer_norm",), ("onnx",), ("jax",)),
    Planted("layer_norm_single", "in float32 inside", ("layer_norm",), ("torch",)),
    Planted("linear_transposed", "a square weight transposed", ("linear",), ("torch", "onnx"), ("tensorflow", "jax")),
    Planted("linear_without_bias", "no bias", ("linear",), ("torch",)),
    Planted("linear_single", "in float32 inside", ("linear",), ("torch",)),
    Planted("embedding_shifted", "the row before", ("embedding",), ("torch", "onnx"), ("jax",)),
    Planted("embedding_masked", "the padding row is zero", ("embedding",), ("torch",), ("jax",)),
    Planted("padding_trained", "the padding row is trained", ("embedding",), ("torch",), ("tensorflow", "jax")),
    Planted("gelu_tanh", "the tanh form", ("gelu",), ("torch", "onnx"), ("tensorflow", "jax")),
    Planted("leaky_slope", "a slope of 0.2", ("leaky_relu",), ("torch", "onnx"), ("jax",)),
    Planted("leaky_kink", "the derivative at 0", ("leaky_relu", "formula"), ("torch",), ("tensorflow", "jax")),
    Planted("relu_kink", "the derivative at 0", ("relu",), ("torch",), ("jax",)),
    Planted("tanh_detached", "no gradient", ("tanh",), ("torch",), ("tensorflow", "jax")),
    Planted("tanh_twice", "twice the gradient", ("tanh",), ("torch",)),
    Planted("softmax_axis", "along the last axis whatever `dim` says", ("softmax",), ("torch", "onnx"), ("jax",)),
    Planted("dropout_unscaled", "not divided by 1 - p", ("dropout",), ("torch",), ("jax",)),
    Planted("add_detached", "no gradient for the second input", ("add",), ("torch",), ("jax",)),
    Planted("concat_reversed", "inputs in reverse order", ("concat", "stack"), ("torch", "onnx")),
    Planted(
        "flatten_channels_last",
        "in the order height, width, channels",
        ("flatten",),
        ("torch", "onnx"),
        ("tensorflow", "jax"),
    ),
)
