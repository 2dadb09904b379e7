"""What each layer needs beyond the types of its fields: ranks, dtypes, further inputs, fields that follow shapes.

A layer without a row here is drawn by its fields alone, on floats of any rank: where that is refused too often, or
leaves a field or an input out, it gets a row.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from netspec.fuzz.draft import Held, written_shape
from netspec.fuzz.fields import ABSENT, SIZES, Context, Maker
from netspec.graph.types import INTEGERS

ANY_RANK = (1, 2, 3, 4, 5)
Partner = Callable[[Context], Held]


@dataclass(frozen=True)
class Recipe:
    """How entries of one layer type are made.

    `ranks` and `dtypes` are those of the first input; `strict` says that a dtype that is not among them is refused, and
    `strict_rank` the same of ranks, which negative twins rely on. `fields` draws fields for which neither name nor type
    tell enough. `inputs` gives further inputs by name, the optional ones among them half the time; a required one
    without a row is of the first one's type. `several` gives the inputs behind the first of a layer that takes any
    number. `source` gives the first input of a layer that does not take every value. `domain` says where the layer is
    steady: its input is mapped there first. `extra` are keys of the entry beside the fields.
    """

    ranks: tuple[int, ...] = ANY_RANK
    dtypes: tuple[str, ...] = ("float",)
    strict: bool = False
    strict_rank: bool = False
    fields: Mapping[str, Maker] = field(default_factory=dict)
    inputs: Mapping[str, Partner] = field(default_factory=dict)
    several: Callable[[Context], list[Held]] | None = None
    source: Partner | None = None
    domain: Literal["any", "positive", "bounded"] = "any"
    extra: Callable[[Context], dict[str, Any]] | None = None


def _same(c: Context) -> list[Held]:
    """One or two more values of the same type."""
    assert c.x is not None
    return [c.draft.need(c.x.shape, c.x.dtype) for _ in range(c.rng.choice((1, 1, 2)))]


def _broadcasting(c: Context) -> list[Held]:
    """One more value that broadcasts with the first: some sizes are 1, some leading ones are left out."""
    assert c.x is not None
    if c.rng.random() < 0.5:
        return _same(c)
    shape = [size if c.rng.random() < 0.6 else 1 for size in c.shape][c.rng.randint(0, c.rank) :]
    return [c.draft.need(shape, c.x.dtype)]


def _joined(c: Context) -> list[Held]:
    """Values that differ in the size of `dim` alone."""
    assert c.x is not None
    shape: list[int | str] = list(c.shape)
    if c.rng.random() < 0.5 and shape and isinstance(shape[c.fields["dim"]], int):
        shape[c.fields["dim"]] = c.rng.choice(SIZES)
    return [c.draft.need(shape, c.x.dtype)]


def _right_factor(c: Context) -> Held:
    assert c.x is not None
    columns = c.rng.choice(SIZES)
    if c.rank > 2 and c.rng.random() < 0.3:
        return c.draft.need([*c.shape[:-2], c.shape[-1], columns])
    return c.draft.need([c.shape[-1], columns] if c.rng.random() < 0.8 else [c.shape[-1]])


def _key(c: Context) -> Held:
    assert c.x is not None
    if c.rng.random() < 0.5:
        return c.x
    return c.draft.need([*c.shape[:-2], c.rng.choice(SIZES), c.shape[-1]])


def _scores(dtype: str) -> Partner:
    return lambda c: c.draft.need([c.shape[-2], c.others["key"].shape[-2]], dtype)


def _equation(c: Context) -> str:
    """Any order and choice of the letters of one or two operands; equal sizes may share a letter."""
    letters: dict[str, int | str] = {}

    def of(shape: tuple[int | str, ...], share: float) -> str:
        text = ""
        for size in shape:
            known = [each for each, found in letters.items() if found == size and each not in text]
            letter = c.rng.choice(known) if known and c.rng.random() < share else string.ascii_lowercase[len(letters)]
            letters[letter] = size
            text += letter
        return text

    operands = [of(c.shape, 0.0), *(of(held.shape, 0.7) for held in c.others.values())]
    kept = c.rng.sample(sorted(letters), c.rng.randint(0, min(len(letters), 4)))
    return f"{','.join(operands)}->{''.join(kept)}"


def _pattern(c: Context) -> str:
    """Names in another order, now and then two of them joined, or one split with `sizes`."""
    left = list(string.ascii_lowercase[: c.rank])
    right = c.rng.sample(left, len(left))
    known = [axis for axis, size in enumerate(c.shape) if isinstance(size, int) and size > 1]
    if known and c.rng.random() < 0.5:
        axis = c.rng.choice(known)
        c.fields["sizes"] = {"z": c.rng.choice([d for d in range(1, c.size(axis) + 1) if c.size(axis) % d == 0])}
        left[axis] = f"({left[axis]} z)" if c.rng.random() < 0.5 else f"(z {left[axis]})"
        right.insert(c.rng.randint(0, len(right)), "z")
    if len(right) > 1 and c.rng.random() < 0.6:
        place = c.rng.randint(0, len(right) - 2)
        right[place : place + 2] = [f"({right[place]} {right[place + 1]})"]
    return f"{' '.join(left)} -> {' '.join(right)}"


def _reshaped(c: Context) -> list[int | str]:
    """The sizes in another order, a factor split off, one of them left to be found."""
    sizes: list[int | str] = list(c.shape)
    c.rng.shuffle(sizes)
    whole = [place for place, size in enumerate(sizes) if isinstance(size, int) and size % 2 == 0]
    if whole and len(sizes) < 5 and c.rng.random() < 0.5:
        place = c.rng.choice(whole)
        sizes[place : place + 1] = [int(sizes[place]) // 2, 2]
    written = written_shape(sizes)
    if written and c.rng.random() < 0.5:
        written[c.rng.randrange(len(written))] = -1
    return written


def _flattened(c: Context) -> int:
    c.fields["end_dim"] = c.rng.randint(0, c.rank - 1)
    return c.rng.randint(0, int(c.fields["end_dim"]))


def _made_shape(c: Context) -> list[int | str]:
    if c.draft.values and c.rng.random() < 0.5:
        return written_shape(c.rng.choice(c.draft.values).shape)
    return [c.rng.choice(SIZES) for _ in range(c.rng.randint(1, 3))]


def _parameter_shape(c: Context) -> list[int]:
    return [size for size in _made_shape(c) if isinstance(size, int)]


def _nested(c: Context) -> Any:
    """A number, or a list of them, one or two deep, of one kind."""
    kind = c.rng.choice(("float", "float", "int", "bool"))

    def number() -> Any:
        if kind == "float":
            return round(c.rng.uniform(-1, 1), 3) or 0.5
        return c.rng.randint(0, 4) if kind == "int" else c.rng.random() < 0.5

    width, height = c.rng.choice(SIZES), c.rng.choice((1, 2, 3))
    row = [number() for _ in range(width)]
    return c.rng.choice((number(), row, [row, *([number() for _ in row] for _ in range(height - 1))]))


def _constant(c: Context) -> Held:
    name = c.draft.name("c")
    assert c.draft.add([{"name": name, "type": "constant", "value": _nested(c)}], [name])
    return c.draft.values[-1]


ONE_INPUT = (
    *("abs(x) * 2 - x", "where(x > 0.1, x, -0.5 * x)", "exp(-abs(x)) + sin(x)", "maximum(x, 0.25) * cos(x)"),
    *("log(abs(x) + 0.5)", "x / sqrt(x * x + 1)", "min(x, 0.5, -x)", "gelu(x) + relu(x) - leaky_relu(x)", "1 - x"),
    *("x * x.shape[0]", "where(x <= 0 or not x > 1, x, 2)", "x // 1 if false else x"),
)
TWO_INPUTS = (
    *(
        "a * b",
        "a - b",
        "maximum(a, b)",
        "where(a > b, a, b * 0.5)",
        "a / (abs(b) + 1)",
        "silu(a) * b - 2 * tanh(a + b)",
    ),
    *("min(a, b) + a",),
)


def _formula(c: Context) -> str:
    return c.rng.choice(TWO_INPUTS if c.others else ONE_INPUT)


def _trailing(c: Context) -> Any:
    first = c.rng.randint(1, max(c.rank - 1, 1))
    return c.rng.choice((-1, list(range(first, c.rank)) or -1))


def _all_axes(c: Context) -> list[int]:
    axes = c.rng.sample(range(c.rank), c.rank)
    return axes if c.rng.random() < 0.7 else [axis - c.rank for axis in axes]


def _output_size(c: Context) -> Any:
    sizes = [c.rng.choice(SMALL_OUTPUTS) for _ in range(c.rank - 2)]
    return sizes[0] if len(sizes) == 1 or c.rng.random() < 0.5 else sizes


SMALL_OUTPUTS = (1, 1, 2, 3, 5)
RECIPES: Mapping[str, Recipe] = {
    "linear": Recipe((2, 3, 4), strict=True, strict_rank=True),
    "embedding": Recipe(
        (1, 2, 3), INTEGERS, strict=True, fields={"num_embeddings": lambda c: c.rng.choice((8, 11, 40))}
    ),
    "conv2d": Recipe((4,), strict=True, strict_rank=True),
    "conv_transpose2d": Recipe((4,), strict=True, strict_rank=True),
    "adaptive_avg_pool2d": Recipe((4,), strict=True, strict_rank=True, fields={"output_size": _output_size}),
    "max_pool2d": Recipe((4,), strict=True, strict_rank=True),
    "avg_pool2d": Recipe((4,), strict=True, strict_rank=True),
    "global_avg_pool": Recipe((3, 4, 5), strict=True, strict_rank=True),
    "batch_norm": Recipe((2, 3, 4, 5), strict=True, strict_rank=True),
    "layer_norm": Recipe((2, 3, 4), fields={"dim": _trailing}),
    "scaled_dot_product_attention": Recipe(
        (2, 3, 4),
        inputs={
            "key": _key,
            "value": lambda c: c.draft.need([*c.others["key"].shape[:-1], c.rng.choice(SIZES)]),
            "mask": _scores("bool"),
            "bias": _scores("float"),
        },
        fields={"causal_offset": lambda c: c.rng.choice((0, 1, -1)), "scale": lambda c: 0.5},
    ),
    "add": Recipe(several=_broadcasting),
    "mul": Recipe(several=_broadcasting),
    "concat": Recipe(several=_joined),
    "stack": Recipe((1, 2, 3), several=_same),
    "flatten": Recipe(fields={"start_dim": _flattened, "end_dim": lambda c: c.fields["end_dim"]}),
    "reshape": Recipe(fields={"shape": _reshaped}),
    "matmul": Recipe((2, 3, 4), inputs={"other": _right_factor}),
    "einsum": Recipe(
        (1, 2, 3), several=lambda c: _broadcasting(c) if c.rng.random() < 0.7 else [], fields={"equation": _equation}
    ),
    "rearrange": Recipe(fields={"pattern": _pattern, "sizes": lambda c: c.fields.get("sizes", ABSENT)}),
    "permute": Recipe(dtypes=("float", "int64", "bool"), fields={"dims": _all_axes}),
    "unsqueeze": Recipe((1, 2, 3, 4), ("float", "int64", "bool")),
    "identity": Recipe(dtypes=("float", "int64", "bool")),
    "one_hot": Recipe((1, 2, 3), INTEGERS, strict=True, fields={"num_classes": lambda c: c.rng.choice((7, 9, 11))}),
    "parameter": Recipe(fields={"shape": _parameter_shape}, extra=lambda c: {"init": {"type": "normal", "std": 0.5}}),
    "buffer": Recipe(source=_constant),
    "constant": Recipe(fields={"value": _nested}),
    "arange": Recipe(fields={"end": lambda c: c.rng.choice((3, 5, 7)), "step": lambda c: c.rng.choice((1, 1, 2))}),
    "zeros": Recipe(fields={"shape": _made_shape}),
    "ones": Recipe(fields={"shape": _made_shape}),
    "formula": Recipe(several=lambda c: _broadcasting(c) if c.rng.random() < 0.5 else [], fields={"expr": _formula}),
    # By what their names say, until they need more.
    "log": Recipe(domain="positive"),
    "sqrt": Recipe(domain="positive"),
    "pow": Recipe(domain="positive"),
    "exp": Recipe(domain="bounded"),
    "prod": Recipe(domain="bounded"),
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
