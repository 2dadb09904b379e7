"""The layer `formula`: the primitives it becomes, what is a number in it, and every refusal with its column."""

from __future__ import annotations

from typing import Any

import pytest

from netspec.errors import LanguageError, NetspecError, ShapeError
from netspec.graph.builder import Builder, Entry
from netspec.graph.dims import symbol
from netspec.graph.graph import Graph, Origin
from netspec.graph.ops import Constant, NumberLike
from netspec.graph.printer import print_graph
from netspec.graph.types import TensorType
from netspec.layers import LAYERS, Formula
from netspec.layers.activation import Gelu
from netspec.layers.formula import formula_names
from netspec.layers.validation import construct, written_fields
from netspec.spec import loads
from tests.core.layer_graphs import PLACE, formula, graph_of

B, T = symbol("batch"), symbol("time")
TYPES = {
    "a": TensorType((B, 3)),
    "b": TensorType((B, 3)),
    "row": TensorType((3,)),
    "other": TensorType((T, 3)),
    "i": TensorType((B, 3), "int64"),
    "j": TensorType((B, 3), "int32"),
    "m": TensorType((B, 3), "bool"),
}


def graph(expr: str, **numbers: Any) -> Graph:
    """The graph of `expr` over those of TYPES that it names."""
    names = [name for name in TYPES if name in formula_names(expr, PLACE)]
    b = Builder("one")
    inputs = [b.input(name, TYPES[name]) for name in names]
    (y,) = b.call(formula(expr, *names, **numbers), Entry(Origin("it", None)), inputs)
    return b.finish({"y": y})


def primitives(expr: str, **numbers: Any) -> str:
    """The primitives of `expr` in order, constants as their numbers."""
    ops = [node.op for node in graph(expr, **numbers).primitives()]
    return " ".join(str(op.value) if isinstance(op, Constant | NumberLike) else op.name for op in ops)


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("a", ""),
        ("abs(a - b)", "Sub Abs"),
        ("-a * 2", "-1 Mul 2 Mul"),
        ("sqrt(2 / 3) * a", "0.816496580927726 Mul"),  # one number, rounded once
        ("a * sqrt(a.shape[1]) + len(b.shape)", "1.7320508075688772 Mul 2 Add"),
        ("a + (2 if big else b)", "2 Add"),
        ("a + (b if big else missing)", "Add"),
        ("(a if not big else 2) * 3 + b", "6 Add"),
        ("-(a if not big else 2) + b", "-2 Add"),
        ("exp(a if not big else 0) + b", "1.0 Add"),
        ("max(2, n, a, b)", "3 Maximum Maximum"),
        ("maximum(a, b) - min(b, 1, 2)", "Maximum 1 Minimum 2 Minimum Sub"),
        ("log(2) + cos(0) * sin(a)", "Sin 1.0 Mul 0.6931471805599453 Add"),
        ("a < b", "Greater"),
        ("a >= b", "Equal Greater Or"),
        ("a <= b", "Equal Greater Or"),
        ("a != b", "Equal Not"),
        ("m == true", "True Equal"),
        ("m and big and not (a > 1 and big)", "1 Greater Not And"),
        ("m or not big", ""),
        ("where(m, a, 2)", "2 Where"),
        ("where(big, a, nothing)", ""),
        ("where(m, 1, -2.5) * a", "-2.5 1 Where Mul"),
        ("where(i > 2, 1, 0) * i", "2 Greater 0 1 Where Mul"),
        ("i * 2 - 1", "2 Mul 1 Sub"),
        ("a * sum([x * n for x in range(n)])", "9 Mul"),
        ("a * p.scale[0]", "7 Mul"),
        ("gelu(a)", "0.5 Mul 0.7071067811865476 Mul Erf 1.0 Add Mul"),
        ("silu(a)", "Sigmoid Mul"),
        ("leaky_relu(a)", "0.0 Greater 0.01 Mul Where"),
    ],
)
def test_becomes_primitives_and_exact_numbers(expr: str, expected: str) -> None:
    assert primitives(expr, big=True, n=3, p={"scale": [7]}) == expected


@pytest.mark.parametrize(
    ("expr", "message"),
    [
        ("a + * 2", "s.yaml:3:14: $(a + * 2): expected a value, got *"),
        ("a + zz", "s.yaml:3:14: $(a + zz): unknown name zz"),
        ("a + row + other", "s.yaml:3:18: $(a + row + other): shapes [batch, 3] and [time, 3] do not broadcast"),
        ("a + i", "s.yaml:3:12: $(a + i): mixed types float[batch, 3] and int64[batch, 3]: nothing is converted"),
        ("i + 1.5", "s.yaml:3:12: $(i + 1.5): the floating-point number 1.5 does not fit int64[batch, 3]"),
        ("j * 3000000000", "s.yaml:3:12: $(j * 3000000000): 3000000000 does not fit int32[batch, 3]"),
        ("i / 2", "s.yaml:3:12: $(i / 2): floating-point numbers are needed here, not int64[batch, 3]"),
        ("sqrt(i)", "s.yaml:3:10: $(sqrt(i)): floating-point numbers are needed here"),
        ("gelu(i)", "s.yaml:3:10: $(gelu(i)): floating-point numbers are needed here"),
        ("a // 2", "s.yaml:3:12: $(a // 2): // of a tensor: only + - * / are possible"),
        ("2 % a", "s.yaml:3:12: $(2 % a): % of a tensor"),
        ("a + true", "s.yaml:3:12: $(a + true): true does not fit float[batch, 3]"),
        ("a == true", "true does not fit float[batch, 3]"),
        ("m == 1", "1 does not fit bool[batch, 3]"),
        ("m > m", "s.yaml:3:12: $(m > m): numbers are needed here, not bool[batch, 3]"),
        ("m > true", "true does not fit bool[batch, 3]"),
        ("maximum(m, m)", "numbers are needed here, not bool[batch, 3]"),
        ("-m", "numbers are needed here, not bool[batch, 3]"),
        ("a and m", "s.yaml:3:10: $(a and m): and needs flags, got float[batch, 3]"),
        ("m or 3", "s.yaml:3:15: $(m or 3): or needs flags, got 3"),
        ("not a", "s.yaml:3:14: $(not a): not needs flags, got float[batch, 3]"),
        ("where(a, 1, b)", "s.yaml:3:16: $(where(a, 1, b)): where needs flags, got float[batch, 3]"),
        ("where(m, 1, 0)", "no input is a tensor of numbers that gives 1 and 0 a type"),
        ("where(i > 1, 1.5, 0)", "no input is a tensor of numbers that gives 1.5 and 0 a type"),
        ("where(m, true, false)", "where chooses from tensors and numbers: join flags by and, or, not"),
        ("a if a > b else b", "s.yaml:3:12: $(a if a > b else b): if needs one flag for all elements: where(c, a, b)"),
        ("a * a.shape[0]", "s.yaml:3:21: $(a * a.shape[0]): the size batch is known in a call only"),
        ("a * a.size", "s.yaml:3:16: $(a * a.size): a value has no size: only its shape can be read"),
        ("a[0]", "s.yaml:3:11: $(a[0]): lists, indices and names of a tensor: only its shape can be read"),
        ("(a + b).shape[0]", "only its shape can be read"),
        ("sum([a, b])", "s.yaml:3:10: $(sum([a, b])): sum of a tensor is no function of each element"),
        ("max(a)", "s.yaml:3:10: $(max(a)): max of a tensor is no function of each element"),
        ("round(a)", "round of a tensor is no function of each element"),
        ("softmax(a)", "unknown function softmax"),
        ("gelu(2) * a", "s.yaml:3:10: $(gelu(2) * a): gelu is a layer: it needs a tensor"),
        ("exp(1000) * a", "the result is not finite"),
        ("log(0) * a", "log of 0: a number above 0 is needed"),
        ("a * (1 / 0)", "s.yaml:3:17: $(a * (1 / 0)): division by zero: 1 / 0"),
        ("m and not (1 > 0)", "it is the number false: nothing of a tensor is left in it"),
        ("2 * 3", "s.yaml:3:12: $(2 * 3): it is the number 6: nothing of a tensor is left in it"),
        ("a < b < 1", "comparisons are not chained: use and"),
        ("minimum(a, b, 1)", "minimum takes 2 arguments, got 3"),
        ("__import__('os')", "unknown function __import__"),
        ("+".join("a" * 200), "an expression of 399 characters: at most 256"),
    ],
)
def test_refused_at_its_column(expr: str, message: str) -> None:
    with pytest.raises(NetspecError) as caught:
        graph(expr)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("s.yaml:3:")
    assert isinstance(caught.value, LanguageError | ShapeError)


def test_an_input_hides_a_number_of_its_name() -> None:
    assert primitives("a * 2", a=5) == "2 Mul"


def test_free_names_are_read_off_the_text_alone() -> None:
    assert formula_names("abs(a - b) * q.shape[0] + sum([z * n for z in c])", PLACE) == {"a", "b", "q", "n", "c"}
    with pytest.raises(LanguageError, match=r"s\.yaml:3:15: \$\(a \+ b\)\): expected an operator or the end, got \)"):
        formula_names("a + b)", PLACE)


def test_what_the_expansion_fills_is_never_written_and_never_shown() -> None:
    assert Formula.derived == {"variables", "numbers", "place"}
    assert written_fields(Formula) == ["expr"]
    layer = construct(Formula, {"expr": "2 * x"}, {"variables": ("x",), "numbers": {}, "place": PLACE})
    assert layer == formula("2 * x", "x")
    assert "formula(expr=2 * x) of" in print_graph(graph_of(layer, (B,)))
    for each in LAYERS:
        assert each.derived <= set(each.model_fields)


def test_the_functions_are_the_elementwise_layers() -> None:
    """Each is the layer with its defaults, and no layer that is not elementwise is one."""
    single = {"relu", "leaky_relu", "gelu", "silu", "sigmoid", "tanh", "mish", "hardtanh", "softplus", "gelu_tanh"}
    assert single <= {layer.model_fields["type"].default for layer in LAYERS if layer.elementwise}
    inside = [node.op for node in graph("gelu(a)").primitives()]
    assert inside == [node.op for node in graph_of(Gelu(), (B, 3)).primitives()]
    for name in ("dropout", "softmax", "prelu", "threshold", "glu", "linear", "batch_norm", "add", "flatten"):
        with pytest.raises(LanguageError, match=f"unknown function {name}"):
            formula_names(f"{name}(a)", PLACE)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            "{type: formula, from: a, expr: x * zz + n}",
            "s.yaml:5:40: 0 (formula): $(x * zz + n): unknown name zz",
        ),
        (
            '{type: formula, from: a, expr: "x + "}',
            "s.yaml:5:41: 0 (formula): expr: $(x + ): expected a value, got the",
        ),
        (
            "{type: formula, from: [a, b], expr: n * (a + b)}",
            "s.yaml:5:48: 0 (formula): $(n * (a + b)): shapes [batch, 3]",
        ),
        ("{type: formula, from: a}", "s.yaml:5:5: 0 (formula): expr is required"),
        ("{type: formula, from: a, expr: x, place: 3}", "0 (formula): unknown field place; its fields are expr"),
    ],
)
def test_a_spec_is_told_the_column_inside_the_expression(entry: str, message: str) -> None:
    text = (
        "netspec: 1\nparams: {n: 2}\ninputs: {a: {shape: [batch, 3]}, b: {shape: [batch, 4]}}\nlayers:\n"
        f"  - {entry}\n"
    )
    with pytest.raises(NetspecError) as caught:
        loads(text, file="s.yaml")
    assert len(caught.value.mistakes) == 1
    assert message in str(caught.value)
