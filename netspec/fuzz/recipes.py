"""What each layer needs beyond the types of its fields: ranks, dtypes, further inputs, fields that follow shapes.

A layer without a row here is drawn by its fields alone, on floats of any rank: where that is refused too often, or
leaves a field or an input out, it gets a row.
"""

from __future__ import annotations

from collections.abc import Mapping

from netspec.fuzz import shapes
from netspec.fuzz.fields import ABSENT, SIZES
from netspec.fuzz.recipe import Recipe
from netspec.fuzz.states import RECURRENT
from netspec.graph.types import INTEGERS

NORMAL = {"type": "normal", "std": 0.5}
POOLING = {"padding": shapes.half_kernel}

RECIPES: Mapping[str, Recipe] = {
    "linear": Recipe((2, 3, 4), strict=True, strict_rank=True),
    "embedding": Recipe(
        (1, 2, 3), INTEGERS, strict=True, fields={"num_embeddings": lambda c: c.rng.choice((8, 11, 40))}
    ),
    "conv2d": Recipe((4,), strict=True, strict_rank=True),
    "conv_transpose2d": Recipe((4,), strict=True, strict_rank=True),
    "adaptive_avg_pool2d": Recipe((4,), strict=True, strict_rank=True, fields={"output_size": shapes.output_size}),
    "max_pool1d": Recipe((3,), fields=POOLING),
    "max_pool2d": Recipe((4,), strict=True, strict_rank=True, fields=POOLING),
    "max_pool3d": Recipe((5,), fields=POOLING),
    "avg_pool1d": Recipe((3,), fields=POOLING),
    "avg_pool2d": Recipe((4,), strict=True, strict_rank=True, fields=POOLING),
    "avg_pool3d": Recipe((5,), fields=POOLING),
    "global_avg_pool": Recipe((3, 4, 5), strict=True, strict_rank=True),
    "batch_norm": Recipe((2, 3, 4, 5), strict=True, strict_rank=True),
    "layer_norm": Recipe((2, 3, 4), fields={"dim": shapes.trailing}),
    "scaled_dot_product_attention": Recipe(
        (2, 3, 4),
        inputs={
            "key": shapes.key,
            "value": lambda c: c.draft.need([*c.others["key"].shape[:-1], c.rng.choice(SIZES)]),
            "mask": shapes.scores("bool"),
            "bias": shapes.scores("float"),
        },
        fields={"causal_offset": lambda c: c.rng.choice((0, 1, -1)), "scale": lambda c: c.rng.choice((ABSENT, 0.5))},
    ),
    "add": Recipe(several=shapes.broadcasting),
    "mul": Recipe(several=shapes.broadcasting),
    "concat": Recipe(several=shapes.joined),
    "stack": Recipe((1, 2, 3), several=shapes.same),
    "flatten": Recipe(fields={"start_dim": shapes.flattened, "end_dim": lambda c: c.fields.get("end_dim", ABSENT)}),
    "reshape": Recipe(fields={"shape": shapes.reshaped}),
    "matmul": Recipe((2, 3, 4), inputs={"other": shapes.right_factor}),
    "einsum": Recipe(
        (1, 2, 3),
        several=lambda c: shapes.broadcasting(c) if c.rng.random() < 0.7 else [],
        fields={"equation": shapes.equation},
    ),
    "rearrange": Recipe(fields={"pattern": shapes.pattern, "sizes": lambda c: c.fields.get("sizes", ABSENT)}),
    "permute": Recipe(dtypes=("float", "int64", "bool"), fields={"dims": shapes.all_axes}),
    "unsqueeze": Recipe((1, 2, 3, 4), ("float", "int64", "bool")),
    "identity": Recipe(dtypes=("float", "int64", "bool")),
    "one_hot": Recipe((1, 2, 3), INTEGERS, strict=True, fields={"num_classes": lambda c: c.rng.choice((7, 9, 11))}),
    "parameter": Recipe(fields={"shape": shapes.parameter_shape}, extra=lambda c: {"init": NORMAL}),
    "buffer": Recipe(source=shapes.constant),
    "constant": Recipe(fields={"value": shapes.nested}),
    "arange": Recipe(fields={"end": lambda c: c.rng.choice((3, 5, 7)), "step": lambda c: c.rng.choice((1, 1, 2))}),
    "zeros": Recipe(fields={"shape": shapes.made_shape}),
    "ones": Recipe(fields={"shape": shapes.made_shape}),
    "formula": Recipe(several=shapes.perhaps_broadcasting, fields={"expr": shapes.formula}),
    "div": Recipe(inputs={"other": shapes.positive}),
    "log": Recipe(domain="positive"),
    "sqrt": Recipe(domain="positive"),
    "pow": Recipe(domain="positive", fields={"exponent": lambda c: c.rng.choice((2.0, 0.5, 3.0, -1.0))}),
    "exp": Recipe(domain="bounded"),
    # Of 150 numbers it is 1e-40, and of numbers near 0 its gradient is noise: both prove little in float32.
    "prod": Recipe(domain="positive", fields={"dim": shapes.known_axis}),
    "compare": Recipe(fields={"value": lambda c: c.rng.choice((0.0, 0.5))}),
    "where": Recipe(dtypes=("bool",), inputs={"x": shapes.like_first, "other": shapes.like_first}),
    "norm": Recipe(fields={"p": lambda c: c.rng.choice((1, 2, "inf"))}),
    "pad": Recipe(fields={"pad": shapes.pads, "mode": lambda c: c.fields.get("mode", ABSENT)}),
    "rms_norm": Recipe(fields={"dim": shapes.trailing}),
    "glu": Recipe(fields={"dim": shapes.even_axis}),
    "group_norm": Recipe((2, 3, 4), strict=True),
    "instance_norm": Recipe((3, 4, 5), strict=True),
    "local_response_norm": Recipe((3, 4)),
    "dropout": Recipe(fields={"p": lambda c: c.rng.choice((0.3, 0.3, 0.5, 0.0))}),
    "dropout2d": Recipe((4,)),
    **RECURRENT,
    "multi_head_attention": Recipe((3,)),
    "sinusoidal_positions": Recipe((3,)),
    "learned_positions": Recipe((3,), fields={"num_embeddings": lambda c: 11}),
    "rotary_embedding": Recipe((4,)),
    "alibi": Recipe((4,), fields={"num_heads": lambda c: c.size(1)}),
    "unflatten": Recipe(fields={"dim": lambda c: ABSENT, "unflattened_size": shapes.factors}),
    "expand": Recipe(fields={"size": shapes.expanded}),
    "split": Recipe(fields={"split_size_or_sections": shapes.parts, "dim": lambda c: c.fields["dim"]}, main="0"),
    "chunk": Recipe(fields={"chunks": shapes.divisor_of_axis, "dim": lambda c: c.fields["dim"]}, main="0"),
    "unbind": Recipe((2, 3, 4), fields={"dim": shapes.known_axis}, main="0"),
    "gather": Recipe((1, 2, 3), inputs={"index": shapes.indices_of_each}),
    "take": Recipe((2, 3, 4), inputs={"index": shapes.rows}),
    "pixel_shuffle": Recipe((4,), channels=(4, 8, 12, 18)),  # with one channel out, their order shows nowhere
    "pixel_unshuffle": Recipe((4,)),
    "channel_shuffle": Recipe((4,), channels=(4, 6, 8)),
    "interpolate": Recipe(
        (3, 4),
        fields={
            "size": shapes.interpolated,
            "scale_factor": lambda c: c.fields.get("scale_factor", ABSENT),
            "mode": lambda c: c.rng.choice(("nearest", "nearest_exact", "linear", "cubic")),
            "coords": lambda c: ABSENT if "nearest" in c.fields["mode"] else c.rng.choice(shapes.COORDS),
            "a": lambda c: c.rng.choice((ABSENT, -0.5)) if c.fields["mode"] == "cubic" else ABSENT,
        },
    ),
}
# Layers that are not generated, each with the reason.
NOT_GENERATED: Mapping[str, str] = {}
SUFFIXES = {"1d": 3, "2d": 4, "3d": 5}


def recipe(type: str) -> Recipe:
    """The recipe of a layer type: its row, else what the end of its name says of its rank."""
    found = RECIPES.get(type)
    if found is not None:
        return found
    rank = SUFFIXES.get(type[-2:])
    return Recipe() if rank is None else Recipe((rank,))
