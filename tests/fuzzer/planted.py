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


CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
TRANSPOSED = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
RECURRENT = ("rnn", "lstm", "gru")
AVERAGES = ("avg_pool1d", "avg_pool2d", "avg_pool3d")
TORCH, BOTH, SLOW = ("torch",), ("torch", "onnx"), ("tensorflow", "jax")
PLANTED = (
    Planted("padding_side", "the odd zero of `same` on the other side", CONVOLUTIONS, BOTH, SLOW),
    Planted(
        "same_symmetric",
        "`same` with a stride padded alike on both sides",
        CONVOLUTIONS,
        ("onnx",),
        ("torch", "jax"),
        asked=True,
    ),
    Planted("kernel_flipped", "the kernel flipped", ("conv2d",), TORCH),
    Planted("kernel_transposed", "a square kernel transposed", ("conv2d",), TORCH, asked=True),
    Planted("groups_interleaved", "the outputs of groups in turns", CONVOLUTIONS, TORCH),
    Planted("conv_without_bias", "no bias in a grouped convolution", CONVOLUTIONS, BOTH, asked=True),
    Planted("crop_shifted", "a transposed convolution cut off by one", TRANSPOSED, BOTH, SLOW),
    Planted("pool_divisor", "padding counted where it is not, and the reverse", AVERAGES, BOTH, ("jax",), asked=True),
    Planted(
        "pool_beyond",
        "what `ceil_mode` reaches beyond the padding counted in means",
        AVERAGES,
        BOTH,
        ("jax",),
        asked=True,
    ),
    Planted("pool_last", "of equals the last one gets the gradient", ("max_pool2d",), TORCH, SLOW),
    Planted("max_pool_of_zeros", "padding counts as 0", ("max_pool1d", "max_pool2d", "max_pool3d"), TORCH),
    Planted("batch_norm_eps", "another eps", ("batch_norm",), BOTH),
    Planted("batch_norm_reversed", "the weight of old statistics read as that of new ones", ("batch_norm",), TORCH),
    Planted("batch_norm_decay", "the same", ("batch_norm",), TORCH, where="shared body"),
    Planted("batch_norm_biased", "the running variance biased", ("batch_norm",), TORCH),
    Planted("variance_biased", "the same", ("batch_norm",), TORCH, where="shared body"),
    Planted("frozen_uses_batch", "a frozen layer takes the batch's statistics", ("batch_norm",), TORCH),
    Planted("frozen_moves", "a frozen layer's statistics move", ("batch_norm",), TORCH),
    Planted("layer_norm_eps", "another eps", ("layer_norm",), ("onnx",), ("jax",)),
    Planted("layer_norm_single", "in float32 inside", ("layer_norm",), TORCH, asked=True),
    Planted(
        "layer_norm_last",
        "mean and variance of the last axis alone",
        ("layer_norm",),
        TORCH,
        where="shared body",
        asked=True,
    ),
    Planted("group_norm_eps", "another eps", ("group_norm",), BOTH),
    Planted("group_norm_per_group", "one scale for each group", ("group_norm",), TORCH),
    Planted("group_of_every", "groups of every g-th channel", ("group_norm",), TORCH, where="shared body", asked=True),
    Planted("instance_norm_eps", "another eps", ("instance_norm",), ("onnx",)),
    Planted("rms_eps_outside", "eps outside of the root", ("rms_norm",), TORCH),
    Planted("rms_eps_added", "the same", ("rms_norm",), TORCH, where="shared body"),
    Planted("l2_eps", "eps not read", ("l2_normalize",), TORCH, asked=True),
    Planted("l2_eps_added", "eps added inside of the root", ("l2_normalize",), TORCH, where="shared body"),
    Planted("response_alpha", "alpha for each channel, not for all", ("local_response_norm",), ("onnx",), asked=True),
    Planted("linear_transposed", "a square weight transposed", ("linear",), BOTH, SLOW, asked=True),
    Planted("linear_without_bias", "no bias", ("linear",), TORCH),
    Planted("linear_single", "in float32 inside", ("linear",), TORCH),
    Planted("embedding_shifted", "the row before", ("embedding",), BOTH, ("jax",)),
    Planted("embedding_masked", "the padding row is zero", ("embedding",), TORCH, ("jax",), asked=True),
    Planted("padding_trained", "the padding row is trained", ("embedding",), TORCH, SLOW),
    Planted("gelu_tanh", "the tanh form", ("gelu",), BOTH, SLOW),
    Planted("leaky_slope", "a slope of 0.2", ("leaky_relu",), BOTH, ("jax",)),
    Planted("leaky_kink", "the derivative at 0", ("leaky_relu", "formula"), TORCH, SLOW),
    Planted("leaky_at_0", "the same", ("leaky_relu",), TORCH, where="shared body", asked=True),
    Planted("relu_kink", "the derivative at 0", ("relu",), TORCH, ("jax",)),
    Planted("hardtanh_kink", "the derivative at the bounds", ("hardtanh",), (), TORCH, asked=True),
    Planted("prelu_shared", "the first channel's slope for all", ("prelu",), TORCH, asked=True),
    Planted("elu_alpha", "alpha not read", ("elu",), BOTH, asked=True),
    Planted("elu_width", "alpha not read", ("elu",), TORCH, where="shared body", asked=True),
    Planted("celu_alpha", "alpha not read", ("celu",), BOTH, asked=True),
    Planted("hardsigmoid_slope", "a slope of 0.2, which is ONNX's default", ("hardsigmoid",), BOTH),
    Planted("softplus_scaled", "not divided by beta", ("softplus",), TORCH, where="shared body", asked=True),
    Planted("glu_swapped", "the first half is the gate", ("glu",), TORCH, where="shared body", asked=True),
    Planted("tanh_detached", "no gradient", ("tanh",), ("torch", "tensorflow"), ("jax",)),
    Planted("tanh_twice", "twice the gradient", ("tanh",), TORCH),
    Planted("softmax_axis", "along the last axis whatever `dim` says", ("softmax",), BOTH, ("jax",), asked=True),
    Planted("log_softmax_axis", "the same", ("log_softmax",), BOTH),
    Planted("dropout_unscaled", "not divided by 1 - p", ("dropout",), TORCH, ("jax",), asked=True),
    Planted("attention_unscaled", "a scale of 1", ("scaled_dot_product_attention",), TORCH),
    Planted("attention_scale", "the same", ("scaled_dot_product_attention",), TORCH, where="shared body", asked=True),
    Planted("mask_inverted", "true hides", ("scaled_dot_product_attention",), TORCH, asked=True),
    Planted(
        "causal_at_the_end",
        "the last query sees the last key",
        ("scaled_dot_product_attention",),
        (),
        TORCH,
        asked=True,
    ),
    Planted(
        "causal_shifted",
        "no query sees itself",
        ("scaled_dot_product_attention",),
        TORCH,
        where="shared body",
        asked=True,
    ),
    Planted(
        "rotary_layout",
        "the layouts taken for each other",
        ("rotary_embedding",),
        TORCH,
        ("jax",),
        where="one body",
        asked=True,
    ),
    Planted(
        "sinusoidal_layout",
        "the layouts taken for each other",
        ("sinusoidal_positions",),
        BOTH,
        ("jax",),
        where="one body",
    ),
    Planted("alibi_slopes", "slopes from 1 on", ("alibi",), BOTH, ("jax",), where="one body"),
    Planted("lstm_gate_order", "i, o, f, g", ("lstm",), BOTH, where="shared body", asked=True),
    Planted("lstm_without_bias", "the second bias dropped", ("lstm",), TORCH, asked=True),
    Planted("gru_gate_order", "z, r, n", ("gru",), BOTH, where="shared body", asked=True),
    Planted(
        "gru_reset", "`reset` before and after taken for each other", ("gru",), TORCH, where="shared body", asked=True
    ),
    Planted("reverse_ignored", "from the start whatever `reverse` says", RECURRENT, TORCH, asked=True),
    Planted("add_detached", "no gradient for the second input", ("add",), ("torch", "jax")),
    Planted("stop_gradient_ignored", "a gradient all the same", ("stop_gradient",), TORCH),
    Planted("concat_reversed", "inputs in reverse order", ("concat", "stack"), BOTH),
    Planted("flatten_channels_last", "in the order height, width, channels", ("flatten",), BOTH, SLOW, asked=True),
    Planted("roll_sign", "the other way", ("roll",), TORCH),
    Planted("roll_back", "the same", ("roll",), TORCH, where="shared body"),
    Planted("pad_edge", "`reflect` read as `edge`", ("pad",), (), ("onnx",), asked=True),
    Planted("pad_symmetric", "`reflect` read as `symmetric`", ("pad",), (), ("onnx",), where="shared body", asked=True),
    Planted(
        "pixel_shuffle_rows",
        "rows and columns taken for each other",
        ("pixel_shuffle",),
        TORCH,
        where="shared body",
        asked=True,
    ),
    Planted(
        "channel_shuffle_inverse",
        "the groups' number and size taken for each other",
        ("channel_shuffle",),
        TORCH,
        asked=True,
    ),
    Planted("interpolate_coords", "other coordinates", ("interpolate",), BOTH, asked=True),
    Planted("nearest_rounded", "`nearest` read as `nearest_exact`", ("interpolate",), TORCH, where="shared body"),
    Planted("cubic_coefficient", "-0.5 for -0.75", ("interpolate",), (), TORCH, where="shared body", asked=True),
    Planted("var_ddof", "divided by n - 1", ("var",), TORCH),
    Planted("var_other_ddof", "ddof 0 and 1 taken for each other", ("var",), TORCH, where="shared body"),
    Planted("cumsum_exclusive", "without the element itself", ("cumsum",), BOTH),
    Planted("argmax_last", "of equals the last one", ("argmax",), TORCH, asked=True),
    Planted("max_first", "of equals one gets the gradient", ("max",), (), TORCH, asked=True),
    Planted("top_k_reversed", "the smallest of them first", ("top_k",), TORCH, asked=True),
    Planted("top_k_last", "of equals the last ones", ("top_k",), TORCH, asked=True),
    Planted("scan_reversed", "from the other end", ("Scan",), BOTH, SLOW),
    Planted("scan_stacks_backwards", "stacked outputs in reverse order", ("Scan",), TORCH),
    Planted("while_limit", "one turn more than the limit", ("While",), BOTH, SLOW),
    Planted("cond_swapped", "the branches in reverse order", ("Cond",), ("torch", "onnx", "jax"), ("tensorflow",)),
    Planted("custom_gradient_ignored", "the derivative of the block itself", ("CustomGradient",), TORCH, SLOW),
)
