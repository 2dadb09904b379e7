"""Interpolation along one axis: which elements each output is a sum of, and the primitives that add them up."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Literal, NamedTuple

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import Size, divide
from netspec.graph.graph import Value
from netspec.layers.padding import padded

Mode = Literal["nearest", "nearest_exact", "linear", "cubic"]
Coords = Literal["half_pixel", "align_corners", "asymmetric"]
Tap = tuple[int, float]  # the position of an element, and its weight

# Outputs of known positions repeat with a period: up to so many are sums of slices; of symbolic sizes they must be.
_MOST_PHASES = 4
_MOST_SYMBOLIC_PHASES = 16
_MOST_OUTPUTS = 2**16
# Elements of a matrix of weights, above which the few that are not 0 are gathered instead.
_LARGEST_MATRIX = 2**16


class Rule(NamedTuple):
    """How elements between the given ones are found; `a` is the coefficient of cubic."""

    mode: Mode
    coords: Coords
    a: float

    def taps(self, position: int, step: Fraction) -> list[Tap]:
        """The elements that output `position` is a sum of; some may lie outside: the nearest element stands there."""
        half = Fraction(1, 2)
        if self.mode == "nearest":
            return [(floor(position * step), 1.0)]
        if self.mode == "nearest_exact":
            return [(floor((position + half) * step), 1.0)]
        at = (position + half) * step - half if self.coords == "half_pixel" else position * step
        first, t = floor(at), at - floor(at)
        if t == 0:
            return [(first, 1.0)]
        if self.mode == "linear":
            return [(first, float(1 - t)), (first + 1, float(t))]
        distances = (t + 1, t, 1 - t, 2 - t)
        return [(first - 1 + k, _cubic(float(distance), self.a)) for k, distance in enumerate(distances)]


def _cubic(d: float, a: float) -> float:
    """The weight of an element at distance d (Keys 1981, doi:10.1109/TASSP.1981.1163711)."""
    if d <= 1:
        return ((a + 2) * d - (a + 3)) * d * d + 1
    return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a


class AxisPlan(NamedTuple):
    """The sizes along one axis, and how far apart two outputs are in x: exactly `size / new_size` or 1 / scale."""

    size: Size
    new_size: Size
    step: Fraction


def plan_of_size(size: Size, new_size: Size) -> AxisPlan:
    """To `new_size`. Raises ShapeError where the ratio of symbolic sizes is not known."""
    if isinstance(size, int) and isinstance(new_size, int):
        return AxisPlan(size, new_size, Fraction(size, new_size))
    up, down = divide(new_size, size), divide(size, new_size)
    if isinstance(up, int):
        return AxisPlan(size, new_size, Fraction(1, up))
    if isinstance(down, int):
        return AxisPlan(size, new_size, Fraction(down))
    raise ShapeError(f"how many times {size} goes into {new_size} depends on the call: give scale_factor")


def plan_of_scale(size: Size, scale: float) -> AxisPlan:
    """To floor(size * scale), the scale read as the fraction that it stands for."""
    exact = Fraction(scale)
    near = exact.limit_denominator(10**6)
    fraction = near if abs(near - exact) <= exact * Fraction(1, 10**12) else exact
    new_size = size * fraction.numerator // fraction.denominator
    if isinstance(new_size, int) and new_size < 1:
        raise ShapeError(f"nothing is left of a size of {size} with a scale_factor of {scale}")
    return AxisPlan(size, new_size, 1 / fraction)


def resampled(b: Builder, x: Value, axis: int, plan: AxisPlan, rule: Rule) -> Value:
    """x with `new_size` elements along `axis`; x itself where the sizes are equal."""
    size, new_size, step = plan
    if size == new_size:
        return x
    known = isinstance(size, int) and isinstance(new_size, int)
    by_corners = rule.coords == "align_corners" and rule.mode in ("linear", "cubic")
    if not known:
        _check_symbolic(plan, by_corners)
    if not by_corners and (not known or step.denominator <= _MOST_PHASES):
        return _by_phases(b, x, axis, plan, rule)
    assert isinstance(size, int) and isinstance(new_size, int)
    if new_size > _MOST_OUTPUTS:
        raise ShapeError(f"{size} to {new_size} is not supported: above {_MOST_OUTPUTS} the ratio must be a simple one")
    if by_corners:
        step = Fraction(size - 1, new_size - 1) if new_size > 1 else Fraction(0)
    rows = [_inside(rule.taps(position, step), size) for position in range(new_size)]
    if size * new_size <= _LARGEST_MATRIX and any(len(row) > 1 for row in rows):
        return _by_matrix(b, x, axis, size, rows)
    return _by_gathering(b, x, axis, rows)


def _check_symbolic(plan: AxisPlan, by_corners: bool) -> None:
    """A scale below 3/2 leaves some sizes as they are, and others not."""
    if by_corners:
        raise ShapeError(f"align_corners needs sizes that are known, got {plan.size}: take half_pixel")
    if 1 < 1 / plan.step < Fraction(3, 2) or plan.step.denominator > _MOST_SYMBOLIC_PHASES:
        supported = f"it must not be above 1 and below 3/2, its numerator at most {_MOST_SYMBOLIC_PHASES}"
        raise ShapeError(f"a scale of {1 / plan.step} of {plan.size}, which the call alone knows: {supported}")


def _inside(taps: list[Tap], size: int) -> list[Tap]:
    found: dict[int, float] = {}
    for place, weight in taps:
        place = min(max(place, 0), size - 1)
        found[place] = found.get(place, 0.0) + weight
    return list(found.items())


def _by_phases(b: Builder, x: Value, axis: int, plan: AxisPlan, rule: Rule) -> Value:
    """Output p k + j reads elements q k + o for a few o, where q / p is the step: p sums of slices with stride q,
    interleaved."""
    stride, count = plan.step.numerator, plan.step.denominator
    phases = [rule.taps(position, plan.step) for position in range(count)]
    turns = (plan.new_size + (count - 1)) // count
    if stride == 1 and all(phase == [(0, 1.0)] for phase in phases):
        column = b.reshape(x, (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :]))
        whole = b.expand(column, (*x.shape[: axis + 1], count, *x.shape[axis + 1 :]))
        return b.reshape(whole, (*x.shape[:axis], plan.new_size, *x.shape[axis + 1 :]))
    offsets = [offset for phase in phases for offset, _ in phase]
    before, behind = max(0, -min(offsets)), max(0, *offsets)  # stride (turns - 1) is below the size
    wide = padded(b, x, axis, before, behind, "edge")
    slices = {}
    for offset in offsets:
        if offset not in slices:
            begin = before + offset
            slices[offset] = b.slice(wide, axis, begin, begin + stride * (turns - 1) + 1, stride)
    sums = []
    for phase in phases:
        terms = [slices[offset] if weight == 1 else slices[offset] * weight for offset, weight in phase]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        sums.append(total)
    if count == 1:
        return sums[0]
    shape = (*x.shape[:axis], turns, 1, *x.shape[axis + 1 :])
    stacked = b.concat([b.reshape(each, shape) for each in sums], axis + 1)
    y = b.reshape(stacked, (*x.shape[:axis], turns * count, *x.shape[axis + 1 :]))
    return b.slice(y, axis, 0, plan.new_size)


def _by_matrix(b: Builder, x: Value, axis: int, size: int, rows: list[list[Tap]]) -> Value:
    """A product with a matrix `[size, new_size]` of weights, most of them 0."""
    weights = [[0.0] * len(rows) for _ in range(size)]
    for position, row in enumerate(rows):
        for place, weight in row:
            weights[place][position] = weight
    matrix = b.array([weight for line in weights for weight in line], (size, len(rows)))
    letters = "abcdefgh"[: x.type.rank]
    given = letters[axis]
    return b.einsum(f"{letters},{given}z->{letters.replace(given, 'z')}", x, matrix)


def _by_gathering(b: Builder, x: Value, axis: int, rows: list[list[Tap]]) -> Value:
    """A sum over the taps of as many gathered tensors."""
    most = max(map(len, rows))
    filled = [row + [(0, 0.0)] * (most - len(row)) for row in rows]
    terms = []
    for taps in zip(*filled, strict=True):
        term = b.gather(x, b.array([place for place, _ in taps], (len(rows),), "int64"), axis)
        if any(weight != 1 for _, weight in taps):
            shape = (len(rows), *[1] * (x.type.rank - 1 - axis))
            term = term * b.array([weight for _, weight in taps], shape)
        terms.append(term)
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
