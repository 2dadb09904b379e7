"""Symbolic dimensions: integer polynomials over symbols and floor divisions, kept in one normal form."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Union, cast

from netspec.errors import ShapeError

# A symbol stands for any size from 1 up.
Size = Union[int, "Dim"]
Shape = tuple[Size, ...]

# Products of sums grow by multiplication: three sums of 100 symbols each have a million terms.
MAX_TERMS = 4096


@dataclass(frozen=True)
class FloorDivision:
    """`numerator // divisor`, where neither the numerator nor a part of it divides evenly."""

    numerator: Dim
    divisor: int

    def __str__(self) -> str:
        return f"{_factor(self.numerator)}//{self.divisor}"


Atom = str | FloorDivision
Monomial = tuple[Atom, ...]  # a product of atoms, sorted; () is 1


def _order(atom: Atom) -> tuple[int, str]:
    return (0, atom) if isinstance(atom, str) else (1, str(atom))


def _monomial_order(monomial: Monomial) -> tuple[int, tuple[tuple[int, str], ...]]:
    return -len(monomial), tuple(_order(atom) for atom in monomial)


@dataclass(frozen=True)
class Dim:
    """A size that is not one number: a sum of integer multiples of products of symbols and floor divisions.

    Arithmetic with `+ - *` and with `//` by a positive integer gives a Dim, or an int where nothing symbolic is
    left. Equal polynomials are equal objects: terms are sorted, and of a floor division everything is taken out that
    divides evenly. A product of more than MAX_TERMS terms is a ShapeError.
    """

    terms: tuple[tuple[Monomial, int], ...]

    def __add__(self, other: Size) -> Size:
        return _sum(self, other, 1)

    def __sub__(self, other: Size) -> Size:
        return _sum(self, other, -1)

    def __rsub__(self, other: Size) -> Size:
        return _sum(other, self, -1)

    def __neg__(self) -> Size:
        return _sum(0, self, -1)

    def __mul__(self, other: Size) -> Size:
        product: dict[Monomial, int] = {}
        if isinstance(other, Dim) and len(self.terms) * len(other.terms) > MAX_TERMS:
            raise ShapeError(f"a symbolic size of more than {MAX_TERMS:,} terms")
        for left, a in self.terms:
            for right, b in _terms(other):
                monomial = tuple(sorted(left + right, key=_order))
                product[monomial] = product.get(monomial, 0) + a * b
        return _normal(product)

    __radd__ = __add__
    __rmul__ = __mul__

    def __floordiv__(self, divisor: int) -> Size:
        if divisor <= 0:
            raise ValueError(f"a symbolic size can be divided by a positive integer only, not by {divisor}")
        return _floor_divide(self, divisor)

    def symbols(self) -> set[str]:
        """The names of all symbols in it."""
        found: set[str] = set()
        for monomial, _ in self.terms:
            for atom in monomial:
                found |= {atom} if isinstance(atom, str) else atom.numerator.symbols()
        return found

    def __str__(self) -> str:
        text = ""
        for monomial, coefficient in self.terms:
            factors = [str(atom) for atom in monomial]
            # A division inside a product, or behind a minus that begins the text, would be read from the left.
            if len(factors) > 1 or abs(coefficient) != 1 or (coefficient < 0 and not text):
                factors = [f"({factor})" if "//" in factor else factor for factor in factors]
            if abs(coefficient) != 1 or not factors:
                factors.insert(0, str(abs(coefficient)))
            sign = " - " if coefficient < 0 else " + "
            text += (sign if text else sign.strip(" +")) + "*".join(factors)
        return text

    __repr__ = __str__


def symbol(name: str) -> Dim:
    """The dimension that is the symbol `name` alone."""
    return Dim((((name,), 1),))


def is_symbol(size: Size) -> str | None:
    """The symbol's name if `size` is one symbol and nothing else."""
    if isinstance(size, Dim) and len(size.terms) == 1:
        monomial, coefficient = size.terms[0]
        if coefficient == 1 and len(monomial) == 1 and isinstance(monomial[0], str):
            return monomial[0]
    return None


def product(sizes: Iterable[Size]) -> Size:
    """The product of sizes; 1 for none."""
    result: Size = 1
    for size in sizes:
        result = result * size
    return result


def evaluate(size: Size, symbols: Mapping[str, Any]) -> Any:
    """The value of `size` with each symbol replaced: by a number, a Dim, or any object that has `+ * //`."""
    if isinstance(size, int):
        return size
    total: Any = None
    for monomial, coefficient in size.terms:
        term: Any = None
        for atom in monomial:
            if isinstance(atom, str):
                value = symbols[atom]
            else:
                value = evaluate(atom.numerator, symbols) // atom.divisor
            term = value if term is None else term * value
        if term is None:
            term = coefficient
        elif coefficient != 1:
            term = term * coefficient
        total = term if total is None else total + term
    return total


def bounds(size: Size, largest: float = math.inf) -> tuple[float, float]:
    """The smallest and the largest value that `size` is known to stay between, for symbols from 1 to `largest`.

    Finite bounds are integers, exact however large.
    """
    if isinstance(size, int):
        return size, size
    low: float = 0
    high: float = 0
    for monomial, coefficient in size.terms:
        term_low: float = 1
        term_high: float = 1
        for atom in monomial:
            if isinstance(atom, str):
                ends: tuple[float, float] = (1, largest)
            else:
                inner = bounds(atom.numerator, largest)
                ends = _divided(inner[0], atom.divisor), _divided(inner[1], atom.divisor)
            corners = [_times(x, y) for x in (term_low, term_high) for y in ends]
            term_low, term_high = min(corners), max(corners)
        ends = _times(term_low, coefficient), _times(term_high, coefficient)
        low, high = low + min(ends), high + max(ends)
    return low, high


def sign(size: Size) -> int | None:
    """-1, 0 or 1 where `size` has one sign for all values of its symbols, else None."""
    low, high = bounds(size)
    if low == high == 0:
        return 0
    return 1 if low > 0 else -1 if high < 0 else None


def divide(size: Size, divisor: Size) -> Size | None:
    """`size / divisor` where it is exact for all values of the symbols, else None."""
    leading, coefficient = _terms(divisor)[0] if divisor != 0 else ((), 0)
    if coefficient == 0:
        return None
    quotient: Size = 0
    rest = size
    while rest != 0:
        monomial, factor = _terms(rest)[0]
        reduced = _without(monomial, leading)
        if reduced is None or factor % coefficient:
            return None
        step = _normal({reduced: factor // coefficient})
        quotient = quotient + step
        rest = rest - step * divisor
    return quotient


def format_shape(shape: Iterable[Size]) -> str:
    """`[batch, 3, 28, 28]`."""
    return "[" + ", ".join(str(size) for size in shape) + "]"


def _times(a: float, b: float) -> float:
    """`a * b`, where infinity times 0 is 0, and an integer that no float can hold may stand beside infinity."""
    if a == 0 or b == 0:
        return 0
    if math.inf in (abs(a), abs(b)):
        return math.inf if (a > 0) == (b > 0) else -math.inf
    return a * b


def _divided(bound: float, divisor: int) -> float:
    return bound if abs(bound) == math.inf else bound // divisor


def _terms(size: Size) -> tuple[tuple[Monomial, int], ...]:
    if isinstance(size, Dim):
        return size.terms
    return (((), size),) if size else ()


def _normal(terms: dict[Monomial, int]) -> Size:
    kept = [(monomial, coefficient) for monomial, coefficient in terms.items() if coefficient]
    if not kept:
        return 0
    if len(kept) == 1 and kept[0][0] == ():
        return kept[0][1]
    kept.sort(key=lambda term: _monomial_order(term[0]))
    return Dim(tuple(kept))


def _sum(left: Size, right: Size, factor: int) -> Size:
    terms = dict(_terms(left))
    for monomial, coefficient in _terms(right):
        terms[monomial] = terms.get(monomial, 0) + factor * coefficient
    return _normal(terms)


def _floor_divide(size: Dim, divisor: int) -> Size:
    """Take out what divides evenly; `(n // a + c) // b` becomes `(n + a*c) // (a*b)`; one atom is left for the rest."""
    whole: dict[Monomial, int] = {}
    rest: dict[Monomial, int] = {}
    for monomial, coefficient in size.terms:
        if monomial == ():
            whole[monomial], rest[monomial] = divmod(coefficient, divisor)
        else:  # towards zero, so that what is left keeps its sign: -n // 2 is known to be negative, -n + n // 2 is not
            whole[monomial] = abs(coefficient) // divisor * (1 if coefficient > 0 else -1)
            rest[monomial] = coefficient - whole[monomial] * divisor
    constant = rest.pop((), 0)
    rest = {monomial: coefficient for monomial, coefficient in rest.items() if coefficient}
    if not rest:
        return _normal(whole)
    common = math.gcd(divisor, *rest.values())  # (2n + 1) // 4 is n // 2
    divisor, constant = divisor // common, constant // common
    rest = {monomial: coefficient // common for monomial, coefficient in rest.items()}
    divided = [monomial for monomial in rest if any(isinstance(atom, FloorDivision) for atom in monomial)]
    inner = divided[0][0] if len(divided) == 1 and len(divided[0]) == 1 else None
    if isinstance(inner, FloorDivision) and rest[divided[0]] == 1:
        del rest[divided[0]]
        merged = inner.numerator + inner.divisor * (_normal(rest) + constant)
        return _normal(whole) + cast(Dim, merged) // (inner.divisor * divisor)
    numerator = cast(Dim, _normal({**rest, (): constant}))
    return _normal(whole) + Dim((((FloorDivision(numerator, divisor),), 1),))


def _without(monomial: Monomial, part: Monomial) -> Monomial | None:
    left = list(monomial)
    for atom in part:
        if atom not in left:
            return None
        left.remove(atom)
    return tuple(left)


def _factor(size: Dim) -> str:
    return str(size) if is_symbol(size) else f"({size})"


_COMPARISONS: dict[str, Callable[[int], bool]] = {
    "==": lambda s: s == 0,
    "!=": lambda s: s != 0,
    "<": lambda s: s < 0,
    "<=": lambda s: s <= 0,
    ">": lambda s: s > 0,
    ">=": lambda s: s >= 0,
}


def compare(left: Size, operator: str, right: Size) -> bool | None:
    """`left operator right` where it has one answer for all values of the symbols, else None."""
    difference = left - right
    low, high = bounds(difference)
    holds = _COMPARISONS[operator]
    answers = {holds(s) for s in (-1, 0, 1) if (low < 0 if s < 0 else high > 0 if s > 0 else low <= 0 <= high)}
    return answers.pop() if len(answers) == 1 else None
