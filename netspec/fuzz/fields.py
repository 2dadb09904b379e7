"""Values for the fields of any layer, drawn by the field's name or else by its type."""

from __future__ import annotations

import random
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from netspec.fuzz.draft import Draft, Held
from netspec.graph.dims import Dim
from netspec.layers.base import Layer
from netspec.layers.validation import written_fields

# 1, primes, and small composites: where windows, groups and strides begin to differ from each other.
SIZES = (1, 2, 3, 4, 5, 6, 7)
SMALL = (1, 1, 2, 2, 3, 3, 4, 5)
NUMBERS = (0.5, -0.75, 0.3, 1.0, 2.0, 1.5, 0.1)


class Absent:
    """What a maker gives for a field that is not to be written."""


ABSENT = Absent()


@dataclass
class Context:
    """What a field is drawn for: the first input, the further ones, and the fields drawn already."""

    draft: Draft
    x: Held | None
    fields: dict[str, Any] = field(default_factory=dict)
    others: dict[str, Held] = field(default_factory=dict)

    @property
    def rng(self) -> random.Random:
        return self.draft.rng

    @property
    def shape(self) -> tuple[int | str, ...]:
        return self.x.shape if self.x is not None else ()

    @property
    def rank(self) -> int:
        return len(self.shape)

    def size(self, axis: int, unknown: int = 6) -> int:
        """The size of a dimension; `unknown` where it is symbolic or not there."""
        place = axis + self.rank if axis < 0 else axis
        found = self.shape[place] if 0 <= place < self.rank else unknown
        return found if isinstance(found, int) else unknown


Maker = Callable[[Context], Any]


def divisors(number: int) -> list[int]:
    return [each for each in range(1, number + 1) if number % each == 0]


def _channels_out(c: Context) -> int:
    """Mostly a multiple of the channels that come in, so that groups and depthwise kernels have their turn."""
    multiple = c.size(1) * c.rng.choice((1, 1, 2))
    return multiple if c.rng.random() < 0.65 and multiple <= 8 else c.rng.choice(SIZES)


def _features_out(c: Context) -> int:
    """Half the time those that come in: a square weight may be transposed and still fit."""
    same = c.size(-1)
    return same if c.rng.random() < 0.5 and same <= 8 else c.rng.choice(SIZES)


def _groups(c: Context) -> Any:
    """A divisor of the channels that come in and go out; mostly one above 1."""
    common = [each for each in divisors(c.size(1)) if c.fields.get("out_channels", each) % each == 0]
    return c.rng.choice(common[1:] or common) if c.rng.random() < 0.7 else 1


def _kernel(c: Context) -> Any:
    """One number or one for each dimension; now and then as large as the input itself."""
    sizes = [c.size(axis) for axis in range(2, c.rank)] or [3]
    if c.rng.random() < 0.25:
        return sizes if len(set(sizes)) > 1 else sizes[0]
    each = [c.rng.choice([k for k in SMALL if k <= size]) for size in sizes]
    return min(each) if c.rng.random() < 0.5 or len(each) == 1 else each


def _output_padding(c: Context) -> Any:
    """Below the stride, along each dimension; none beside `padding: same`."""
    strides = c.fields.get("stride", 1)
    if c.fields.get("padding") == "same":
        return ABSENT
    if isinstance(strides, int):
        return c.rng.randrange(strides)
    return [c.rng.randrange(stride) for stride in strides]


# The fields that mean the same in every layer that has them.
BY_NAME: Mapping[str, Maker] = {
    "out_channels": _channels_out,
    "out_features": _features_out,
    "groups": _groups,
    "kernel_size": _kernel,
    "num_groups": lambda c: c.rng.choice(divisors(c.size(1))),
    "num_heads": lambda c: c.rng.choice(divisors(c.size(-1))),
    "output_padding": _output_padding,
    "upscale_factor": lambda c: c.rng.choice([f for f in (2, 3) if c.size(1) % f**2 == 0] or [1]),
    "downscale_factor": lambda c: c.rng.choice([f for f in (2, 3) if c.size(2) % f == c.size(3) % f == 0] or [1]),
    "eps": lambda c: c.rng.choice((0.1, 0.1, 0.01)),
    "p": lambda c: c.rng.choice((0.0, 0.3, 0.5)),
    "stats_decay": lambda c: c.rng.choice((0.75, 0.5)),
    "index": lambda c: c.rng.choice((0, -1, 1, -2)),
    "k": lambda c: c.rng.choice((1, 1, 2, 3)),
    "padding_idx": lambda c: c.rng.choice((0, 1)),
    "num_layers": lambda c: c.rng.choice((1, 1, 2)),
}


# A norm over one number, or over equal ones, is what eps makes of roundings: at 1e-5 they count 300 times.
ODDS = {"eps": 0.95, "groups": 0.7, "output_padding": 0.8}


def draw_fields(layer: type[Layer], context: Context, own: Mapping[str, Maker], odds: float = 0.55) -> dict[str, Any]:
    """A value for each field that is required, and for some of the others; into `context.fields`, in their order."""
    for name in written_fields(layer):
        info = layer.model_fields[name]
        likely = ODDS.get(name, odds)
        if not info.is_required() and context.rng.random() > likely and name not in own:
            continue
        maker = own.get(name) or BY_NAME.get(name)
        value = maker(context) if maker is not None else draw(info.annotation, info.metadata, context)
        if maker is None and value == info.default:  # what a field says when it is left out proves nothing of it
            value = draw(info.annotation, info.metadata, context)
        if not isinstance(value, Absent):
            context.fields[name] = value
    return context.fields


def draw(annotation: Any, constraints: Any, c: Context) -> Any:
    """A value of a field's type, by the constraints that pydantic knows of; ABSENT where the type says nothing."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        return draw(inner, [*constraints, *_flat(more)], c)
    if origin in (Union, types.UnionType):
        options = [each for each in get_args(annotation) if _is_plain(each)]
        return draw(c.rng.choice(options), constraints, c) if options else ABSENT
    if origin is Literal:
        return c.rng.choice(get_args(annotation))
    if origin is tuple:
        return _tuple(get_args(annotation), constraints, c)
    if annotation is bool:
        return c.rng.random() < 0.5
    if annotation is int:
        return _integer(*_bounds(constraints, -3, 7), c)
    if annotation is float:
        low, high = _bounds(constraints, float("-inf"), float("inf"))
        return c.rng.choice([number for number in NUMBERS if low < number < high] or [max(low, min(high, 0.0))])
    return ABSENT


def _is_plain(annotation: Any) -> bool:
    """Whether values of a type are plain data: not those of expressions, nor nothing at all."""
    plain = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    return plain not in (Dim, type(None), Any)


def _flat(constraints: Any) -> list[Any]:
    return [each for one in constraints for each in (one.metadata if isinstance(one, FieldInfo) else [one])]


def _constraint(constraints: Any, name: str) -> Any:
    """What pydantic's metadata say of `gt`, `le`, `min_length` and their like; None where they do not."""
    return next((value for one in _flat(constraints) if (value := getattr(one, name, None)) is not None), None)


def _bounds(constraints: Any, low: float, high: float) -> tuple[Any, Any]:
    step = 1 if type(low) is int else 0
    below, least, above, most = (_constraint(constraints, name) for name in ("gt", "ge", "lt", "le"))
    low = low if below is None else below + step
    high = high if above is None else above - step
    return low if least is None else least, high if most is None else most


def _integer(low: int, high: int, c: Context) -> int:
    if (low, high) == (-8, 7):  # the number of a dimension
        return c.rng.randint(-c.rank, c.rank - 1) if c.rank else 0
    inside = [number for number in (-1, 0, 1, 1, 2, 2, 3, 4, 5) if low <= number <= high]
    return c.rng.choice(inside) if inside else low


def _tuple(parts: tuple[Any, ...], constraints: Any, c: Context) -> Any:
    if parts[-1] is not Ellipsis:
        return [draw(part, [], c) for part in parts]
    least = _constraint(constraints, "min_length") or 0
    most = _constraint(constraints, "max_length") or max(c.rank, 1)
    count = c.rng.randint(min(least, most), max(min(most, max(c.rank, 1)), least))
    drawn = [draw(parts[0], [], c) for _ in range(count)]
    return list(dict.fromkeys(drawn)) if all(type(each) is int for each in drawn) else drawn
