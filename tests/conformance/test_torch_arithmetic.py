"""Arithmetic, comparisons, types and reductions against torch's own functions: outputs and gradients in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch

from tests.conformance.test_torch_tensor_layers import Judged, compare_with_torch

Tensor = torch.Tensor

TWO: Mapping[str, tuple[str | int, ...]] = {"x": ("batch", 4, 6), "y": (4, 1)}


def one(fields: str, function: Callable[[Tensor], Tensor], rounded: bool = False) -> Judged:
    """One layer of one input."""
    return Judged(f"{{name: l, {fields}}}", function, rounded=rounded)


def two(fields: str, function: Callable[[Tensor, Tensor], Tensor], rounded: bool = False) -> Judged:
    """One layer of two inputs, the second of which is broadcast."""
    entry = fields if "from" in fields else f"{fields}, from: [x, y]"
    return Judged(f"{{name: l, {entry}}}", function, TWO, rounded=rounded)


def of_size(fields: str, function: Callable[[Tensor], Tensor]) -> Judged:
    """One layer of |x| + 1/4."""
    entries = f"{{name: s, type: formula, from: x, expr: abs(x) + 0.25}}, {{name: l, {fields}}}"
    return Judged(entries, lambda x: function(x.abs() + 0.25))


def power_of_parts(x: Tensor, y: Tensor) -> Tensor:
    """x^|y|, where torch's gradient for the exponent is NaN at x < 0: there it is not asked for."""
    exponent = y.abs().expand_as(x)
    return torch.where(x < 0, x ** exponent.detach(), x.clamp_min(0) ** exponent)


def lowest(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """`function` of x with -inf in place of what is above 0."""
    return lambda x: function(torch.where(x > 0, -torch.inf, x))


MASKED = '{name: m, type: formula, from: x, expr: "where(x > 0, log(stop_gradient(0 * x)), x)"}'
WHOLE = "{name: s, type: formula, from: x, expr: x * 4}, {name: i, type: cast, dtype: int32}"


def whole(fields: str, function: Callable[[Tensor], Tensor]) -> Judged:
    """One layer of integers, 4 x cut off."""
    return Judged(f"{WHOLE}, {{name: l, {fields}, from: i}}", lambda x: function((x * 4).to(torch.int32)))


JUDGED = {
    "sub": two("type: sub", torch.sub),
    "div": two("type: div, from: {other: x, x: y}", lambda x, y: y / x),
    "neg": one("type: neg", torch.neg),
    "neg-integers": whole("type: neg", torch.neg),
    "abs": one("type: abs", torch.abs, rounded=True),
    "abs-integers": whole("type: abs", torch.abs),
    "exp": one("type: exp", torch.exp),
    "log": of_size("type: log", torch.log),
    "sqrt": of_size("type: sqrt", torch.sqrt),
    "sin": one("type: sin", torch.sin),
    "cos": one("type: cos", torch.cos),
    "pow": one("type: pow, exponent: 3", lambda x: x**3, rounded=True),
    "pow-square": one("type: pow, exponent: 2", lambda x: x**2),
    "pow-first": one("type: pow, exponent: 1", lambda x: x**1, rounded=True),
    "pow-none": one("type: pow, exponent: 0", lambda x: x**0, rounded=True),
    "pow-inverse": of_size("type: pow, exponent: -2", lambda x: x**-2),
    "pow-uneven": of_size("type: pow, exponent: 0.7", lambda x: x**0.7),
    "pow-input": Judged(
        "{name: s, type: formula, from: x, expr: abs(x) + 0.25}, {name: l, type: pow, from: {x: s, exponent: y}}",
        lambda x, y: (x.abs() + 0.25) ** y,
        TWO,
    ),
    "pow-kinks": Judged(
        "{name: s, type: abs, from: y}, {name: l, type: pow, from: {x: x, exponent: s}}",
        power_of_parts,
        TWO,
        rounded=True,
    ),
    "maximum": two("type: maximum", torch.maximum, rounded=True),
    "minimum": two("type: minimum", torch.minimum, rounded=True),
    **{
        f"compare-{name}": two(f"type: compare, op: '{op}', from: {{x: x, other: y}}", function, rounded=True)
        for name, op, function in (
            *(("eq", "==", torch.eq), ("ne", "!=", torch.ne), ("lt", "<", torch.lt)),
            *(("le", "<=", torch.le), ("gt", ">", torch.gt), ("ge", ">=", torch.ge)),
        )
    },
    "compare-number": one("type: compare, op: '<=', value: -1", lambda x: x <= -1, rounded=True),
    "where": Judged(
        "{name: c, type: compare, op: '>', from: {x: x, other: y}}, {name: l, type: where, from: [c, x, y]}",
        lambda x, y: torch.where(x > y, x, y),
        TWO,
        rounded=True,
    ),
    "cast": Judged(
        "{name: s, type: formula, from: x, expr: x * 4}, {name: l, type: cast, dtype: int64}",
        lambda x: (x * 4).to(torch.int64),
    ),
    "cast-bool": one("type: cast, dtype: bool", lambda x: x.to(torch.bool), rounded=True),
    "cast-float": Judged(
        f"{WHOLE}, {{name: f, type: cast, dtype: float}}, {{name: l, type: mul, from: [f, x]}}",
        lambda x: (x * 4).to(torch.int32).to(x.dtype) * x,
    ),
    "stop_gradient": Judged(
        "{name: s, type: stop_gradient}, {name: l, type: mul, from: [s, x]}", lambda x: x.detach() * x
    ),
    "sum-integers": whole("type: sum, dim: 1", lambda x: x.sum(1)),
    "prod": one("type: prod, dim: 1", lambda x: x.prod(1)),
    "prod-zeros": one("type: prod, dim: 2, keepdim: true", lambda x: x.prod(2, keepdim=True), rounded=True),
    "prod-all": one("type: prod", torch.prod, rounded=True),
    "prod-two": one("type: prod, dim: [2, 0]", lambda x: x.prod(2).prod(0)),
    "prod-integers": whole("type: prod, dim: 1", lambda x: x.prod(1)),
    "max": one("type: max, dim: [0, 2]", lambda x: x.amax((0, 2)), rounded=True),
    "max-all": one("type: max, keepdim: true", lambda x: x.amax(keepdim=True)),
    "min": one("type: min, dim: 1", lambda x: x.amin(1), rounded=True),
    "min-integers": whole("type: min", torch.amin),
    "logsumexp": one("type: logsumexp, dim: [1, -1]", lambda x: x.logsumexp((1, 2))),
    "logsumexp-large": Judged(
        "{name: s, type: formula, from: x, expr: x * 1000}, {name: l, type: logsumexp, dim: 0, keepdim: true}",
        lambda x: (x * 1000).logsumexp(0, keepdim=True),
    ),
    "logsumexp-lowest": Judged(
        f"{MASKED}, {{name: l, type: logsumexp, dim: [0, 1]}}", lowest(lambda x: x.logsumexp((0, 1)))
    ),
    "norm": one("type: norm, dim: 1", lambda x: torch.linalg.vector_norm(x, dim=1)),
    "norm-one": one("type: norm, p: 1", lambda x: torch.linalg.vector_norm(x, 1), rounded=True),
    "norm-inf": one("type: norm, p: inf, dim: [0, 1]", lambda x: x.abs().amax((0, 1)), rounded=True),
    "norm-zero": Judged(
        "{name: s, type: relu}, {name: l, type: norm, dim: 0, keepdim: true}",
        lambda x: torch.linalg.vector_norm(x.relu(), dim=0, keepdim=True),
    ),
    "var": one("type: var, dim: [0, 2]", lambda x: x.var((0, 2), correction=0)),
    "var-sample": one("type: var, ddof: 1", torch.var),
    "var-two": one("type: var, ddof: 2, dim: 1, keepdim: true", lambda x: x.var(1, correction=2, keepdim=True)),
    "argmax": one("type: argmax, dim: 1, keepdim: true", lambda x: x.argmax(1, keepdim=True), rounded=True),
    "argmax-all": one("type: argmax", torch.argmax, rounded=True),
    "cumsum": one("type: cumsum, dim: -2", lambda x: x.cumsum(-2)),
    "cumsum-integers": whole("type: cumsum, dim: 0", lambda x: x.cumsum(0)),
}


@pytest.mark.parametrize("name", JUDGED)
def test_layer_means_what_torch_means(name: str) -> None:
    compare_with_torch(JUDGED[name])
