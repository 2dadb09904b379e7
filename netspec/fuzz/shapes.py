"""Fields and further inputs that follow the shape of a layer's first input."""

from __future__ import annotations

import string
from typing import Any

from netspec.fuzz.draft import Held, written_shape
from netspec.fuzz.fields import ABSENT, SIZES, Context, divisors
from netspec.fuzz.recipe import Partner

SMALL_OUTPUTS = (1, 1, 2, 3, 5)
COORDS = ("half_pixel", "align_corners", "asymmetric")
PAD_MODES = ("constant", "reflect", "edge", "wrap", "symmetric")


def same(c: Context) -> list[Held]:
    """One or two more values of the same type."""
    assert c.x is not None
    return [c.draft.need(c.x.shape, c.x.dtype) for _ in range(c.rng.choice((1, 1, 2)))]


def broadcasting(c: Context) -> list[Held]:
    """One more value that broadcasts with the first: some sizes are 1, some leading ones are left out."""
    assert c.x is not None
    if c.rng.random() < 0.5:
        return same(c)
    shape = [size if c.rng.random() < 0.6 else 1 for size in c.shape][c.rng.randint(0, c.rank) :]
    return [c.draft.need(shape, c.x.dtype)]


def perhaps_broadcasting(c: Context) -> list[Held]:
    """One more value that broadcasts with the first, or none."""
    return broadcasting(c) if c.rng.random() < 0.6 else []


def joined(c: Context) -> list[Held]:
    """Values that differ in the size of `dim` alone."""
    assert c.x is not None
    shape: list[int | str] = list(c.shape)
    if c.rng.random() < 0.5 and shape and isinstance(shape[c.fields["dim"]], int):
        shape[c.fields["dim"]] = c.rng.choice(SIZES)
    return [c.draft.need(shape, c.x.dtype)]


def right_factor(c: Context) -> Held:
    assert c.x is not None
    columns = c.rng.choice(SIZES)
    if c.rank > 2 and c.rng.random() < 0.3:
        return c.draft.need([*c.shape[:-2], c.shape[-1], columns])
    return c.draft.need([c.shape[-1], columns] if c.rng.random() < 0.8 else [c.shape[-1]])


def key(c: Context) -> Held:
    assert c.x is not None
    if c.rng.random() < 0.5:
        return c.x
    return c.draft.need([*c.shape[:-2], c.rng.choice(SIZES), c.shape[-1]])


def scores(dtype: str) -> Partner:
    return lambda c: c.draft.need([c.shape[-2], c.others["key"].shape[-2]], dtype)


def equation(c: Context) -> str:
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


def pattern(c: Context) -> str:
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


def reshaped(c: Context) -> list[int | str]:
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


def flattened(c: Context) -> Any:
    """Where it begins; the end goes to the fields. Half the time neither is written."""
    if c.rng.random() < 0.5:
        return ABSENT
    c.fields["end_dim"] = c.rng.randint(0, c.rank - 1)
    return c.rng.randint(0, int(c.fields["end_dim"]))


def made_shape(c: Context) -> list[int | str]:
    if c.draft.values and c.rng.random() < 0.5:
        return written_shape(c.rng.choice(c.draft.values).shape)
    return [c.rng.choice(SIZES) for _ in range(c.rng.randint(1, 3))]


def parameter_shape(c: Context) -> list[int]:
    return [size for size in made_shape(c) if isinstance(size, int)]


def nested(c: Context) -> Any:
    """A number, or a list of them, one or two deep, of one kind."""
    kind = c.rng.choice(("float", "float", "int", "bool"))

    def number() -> Any:
        if kind == "float":
            return round(c.rng.uniform(-1, 1), 3) or 0.5
        return c.rng.randint(0, 4) if kind == "int" else c.rng.random() < 0.5

    width, height = c.rng.choice(SIZES), c.rng.choice((1, 2, 3))
    row = [number() for _ in range(width)]
    return c.rng.choice((number(), row, [row, *([number() for _ in row] for _ in range(height - 1))]))


def constant(c: Context) -> Held:
    name = c.draft.name("c")
    assert c.draft.add([{"name": name, "type": "constant", "value": nested(c)}], [name])
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


def formula(c: Context) -> str:
    return c.rng.choice(TWO_INPUTS if c.others else ONE_INPUT)


def trailing(c: Context) -> Any:
    first = c.rng.randint(1, max(c.rank - 1, 1))
    return c.rng.choice((-1, list(range(first, c.rank)) or -1))


def all_axes(c: Context) -> list[int]:
    axes = c.rng.sample(range(c.rank), c.rank)
    return axes if c.rng.random() < 0.7 else [axis - c.rank for axis in axes]


def output_size(c: Context) -> Any:
    sizes = [c.rng.choice(SMALL_OUTPUTS) for _ in range(c.rank - 2)]
    return sizes[0] if len(sizes) == 1 or c.rng.random() < 0.5 else sizes


def interpolated(c: Context) -> Any:
    """New sizes, or factors in their place."""
    if c.rng.random() < 0.7:
        return output_size(c)
    c.fields["scale_factor"] = c.rng.choice((2, 1.5, 0.7, 3))
    return ABSENT


def half_kernel(c: Context) -> Any:
    """Padding of at most half of the kernel, half the time."""
    kernel = c.fields["kernel_size"]
    if c.rng.random() < 0.5:
        return ABSENT
    return c.rng.randint(0, kernel // 2) if isinstance(kernel, int) else [c.rng.randint(0, k // 2) for k in kernel]


def pads(c: Context) -> list[int]:
    """Pads of one or two of the last dimensions, that the mode allows; the mode goes to the fields."""
    mode = c.fields["mode"] = c.rng.choice(PAD_MODES)
    drawn: list[int] = []
    for axis in range(-1, -1 - c.rng.randint(1, min(c.rank, 2)), -1):
        most = min(3, c.size(axis, 3) - (mode == "reflect"))
        drawn += [c.rng.randint(-1 if mode == "constant" else 0, most) for _ in range(2)]
    return drawn


def known_axis(c: Context) -> int:
    """A dimension whose size is known; the first one where none is."""
    known = [axis for axis, size in enumerate(c.shape) if isinstance(size, int)]
    axis = c.rng.choice(known) if known else 0
    return axis if c.rng.random() < 0.6 else axis - c.rank


def parts(c: Context) -> Any:
    """One size for all parts, or the size of each."""
    c.fields["dim"] = known_axis(c)
    size = c.size(c.fields["dim"])
    first = c.rng.randint(1, size)
    return first if first == size or c.rng.random() < 0.5 else [first, size - first]


def divisor_of_axis(c: Context) -> int:
    """A number of equal parts."""
    c.fields["dim"] = known_axis(c)
    return c.rng.choice(divisors(c.size(c.fields["dim"])))


def factors(c: Context) -> list[int]:
    """Two sizes in the place of one, one of them left to be found half the time."""
    c.fields["dim"] = known_axis(c)
    size = c.size(c.fields["dim"])
    first = c.rng.choice(divisors(size))
    return c.rng.choice(([first, size // first], [-1, first], [first, -1]))


def expanded(c: Context) -> list[Any]:
    """Dimensions of size 1 become longer; the others stay."""
    return written_shape([c.rng.choice(SIZES) if size == 1 else size for size in c.shape])


def even_axis(c: Context) -> int:
    even = [axis for axis, size in enumerate(c.shape) if isinstance(size, int) and size % 2 == 0]
    return c.rng.choice(even) if even else -1


def positive(c: Context) -> Held:
    """A value of the first one's type that is away from 0."""
    assert c.x is not None
    source, name = c.draft.need(c.x.shape, c.x.dtype), c.draft.name("guard")
    entry = {"name": name, "type": "formula", "expr": "abs(x) + 0.5", "from": {"x": source.reference}}
    return c.draft.values[-1] if c.draft.add([entry], [name]) else source


def like_first(c: Context) -> Held:
    """A float value of the first one's shape."""
    return c.draft.need(c.shape)


def rows(c: Context) -> Held:
    """A new input of indices, one for each sample, or several."""
    shape = c.shape[:1] if c.rng.random() < 0.5 else (*c.shape[:1], c.rng.choice(SIZES))
    return c.draft.need(shape, "int64", fresh=True)


def indices_of_each(c: Context) -> Held:
    """A new input of indices with as many dimensions as the first, all of them as long or shorter."""
    shape = [size if isinstance(size, str) else c.rng.randint(1, size) for size in c.shape]
    return c.draft.need(shape, "int64", fresh=True)
