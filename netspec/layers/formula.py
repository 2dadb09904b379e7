"""The layer `formula`: an expression of the language over tensors, element by element."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, reduce
from typing import Annotated, Any, ClassVar, Literal

from pydantic import InstanceOf

from netspec.errors import LanguageError, ShapeError
from netspec.expressions.evaluation import evaluate
from netspec.expressions.parser import FUNCTIONS, parse
from netspec.expressions.place import Place
from netspec.expressions.scalars import shown
from netspec.expressions.syntax import (
    Arithmetic,
    Attribute,
    Call,
    Comparison,
    Comprehension,
    Conditional,
    Expression,
    Logic,
    Name,
    Negative,
    Not,
    Syntax,
    free_names,
    parts_of,
)
from netspec.expressions.syntax import Literal as Constant
from netspec.expressions.values import ShapedValue, describe
from netspec.expressions.values import Value as Plain
from netspec.graph.builder import Builder
from netspec.graph.dims import Dim
from netspec.graph.graph import Value
from netspec.graph.types import DType
from netspec.layers.base import Layer, input_names
from netspec.layers.fields import Expected

Number = bool | int | float
Operand = Value | Number

MAX_INT32 = 2**31 - 1
FLOAT_FIRST: tuple[DType, ...] = ("float", "int64", "int32")

_CHOICES: Mapping[str, Callable[[Builder, Operand, Operand], Value]] = {
    "max": Builder.maximum,
    "maximum": Builder.maximum,
    "min": Builder.minimum,
    "minimum": Builder.minimum,
}
_ARITHMETIC: Mapping[str, Callable[[Builder, Operand, Operand], Value]] = {
    "+": Builder.add,
    "-": Builder.sub,
    "*": Builder.mul,
    "/": Builder.div,
}


class Formula(Layer):
    """`expr` of each element of the inputs, whose names are variables; shapes broadcast as in NumPy.

    On tensors there are `+ - * /`, comparisons (tensors of flags), `and or not`, `where(c, a, b)`, `maximum minimum`
    (also `max`, `min` of two or more; equals share the gradient evenly), and the elementwise layers with their
    defaults, as in `gelu(x)`: `exp log sin cos sqrt abs` are among them. A number takes the type of the tensor that it
    meets. What reads no tensor, `x.shape[k]` among it, is a number and computed as in every expression.
    """

    type: Literal["formula"] = "formula"
    derived: ClassVar[frozenset[str]] = frozenset({"variables", "numbers", "place"})

    expr: Annotated[str, Expected("an expression as text, such as abs(a - b)")]
    variables: tuple[str, ...]  # the names of the inputs, in order
    numbers: Mapping[str, Any]  # what else `expr` reads, by name: the plain values of its scope
    place: Annotated[Place, InstanceOf()]  # where `expr` is written

    def expand(self, b: Builder, *xs: Value) -> Value:
        inputs = dict(zip(self.variables, xs, strict=True))
        return _Expansion(b, parse_formula(self.expr, self.place), inputs, self.numbers).result()


def formula_names(expr: str, place: Place) -> set[str]:
    """The names that an `expr` takes from its inputs and its scope.

    Raises LanguageError with the column of what does not parse.
    """
    return free_names(parse_formula(expr, place))


def parse_formula(expr: str, place: Place) -> Expression:
    """The syntax of an `expr`. Raises LanguageError with the column of what does not parse."""
    own = {"where": (3, 3), "maximum": (2, 2), "minimum": (2, 2)}
    return parse(expr, place, ChainMap(own, dict(FUNCTIONS), _LayerArguments()))


class _LayerArguments(dict[str, tuple[int, int]]):
    """How many arguments the elementwise layers take: one. A layer is loaded when its name is asked for."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _elementwise_layer(name) is not None

    def __missing__(self, name: str) -> tuple[int, int]:
        if name not in self:
            raise KeyError(name)
        return 1, 1

    def __iter__(self) -> Iterator[str]:
        from netspec.layers import LAYER_TYPES

        return (name for name in LAYER_TYPES.built_in if name in self)


@cache
def _elementwise_layer(name: str) -> type[Layer] | None:
    """The layer that is a function here too: of one input, with a default for every field."""
    from netspec.layers import LAYER_TYPES  # which holds this file's layer too

    if name not in LAYER_TYPES.built_in:
        return None
    layer = LAYER_TYPES[name]
    required = any(field.is_required() for field in layer.model_fields.values())
    return layer if layer.elementwise and len(input_names(layer).required) == 1 and not required else None


class _Expansion:
    """One walk over the syntax tree. A part that reads no tensor is a number, and left to the evaluator."""

    def __init__(
        self, b: Builder, expression: Expression, inputs: Mapping[str, Value], numbers: Mapping[str, Plain]
    ) -> None:
        self.b = b
        self.expression = expression
        self.inputs = inputs
        self.names: dict[str, Plain] = {**numbers, **{name: ShapedValue(x.shape) for name, x in inputs.items()}}

    def result(self) -> Value:
        root = self.expression.root
        value = self.value(root)
        if not isinstance(value, Value):
            raise self.error(f"it is the number {describe(value)}: nothing of a tensor is left in it", root)
        return value

    def value(self, syntax: Syntax) -> Operand:
        if not _reads_tensors(syntax, frozenset(self.inputs)):
            return self.number(syntax)
        match syntax:
            case Name():
                return self.inputs[syntax.name]
            case Arithmetic():
                return self.arithmetic(syntax)
            case Negative():
                return self.negative(syntax)
            case Comparison():
                return self.comparison(syntax)
            case Conditional():
                condition = self.value(syntax.condition)
                if not isinstance(condition, bool):
                    raise self.error("if needs one flag for all elements: where(c, a, b) chooses for each", syntax)
                return self.value(syntax.then if condition else syntax.otherwise)
            case Logic():
                return self.logic(syntax)
            case Not():
                operand = self.flag(syntax.operand, "not")
                return self.b.logical_not(operand) if isinstance(operand, Value) else not operand
            case Call():
                return self.call(syntax)
            case _:
                raise self.error("lists, indices and names of a tensor: only its shape can be read", syntax)

    def number(self, syntax: Syntax) -> Number:
        value = evaluate(Expression(syntax, self.expression.text, self.expression.place), self.names)
        if isinstance(value, Dim):
            raise self.error(f"the size {value} is known in a call only: a number is needed here", syntax)
        if not isinstance(value, bool | int | float):
            raise self.error(f"a number is needed here, got {describe(value)}", syntax)
        return value

    def arithmetic(self, syntax: Arithmetic) -> Operand:
        function = _ARITHMETIC.get(syntax.operator)
        if function is None:
            raise self.error(f"{syntax.operator} of a tensor: only + - * / are possible", syntax)
        return self.joined(syntax, function, self.value(syntax.left), self.value(syntax.right))

    def negative(self, syntax: Negative) -> Operand:
        operand = self.value(syntax.operand)
        if not isinstance(operand, Value):
            return self.number(_of_numbers(syntax, operand))
        with self.at(syntax):
            return self.b.mul(operand, -1)

    def comparison(self, syntax: Comparison) -> Operand:
        left, right = self.value(syntax.left), self.value(syntax.right)
        if not isinstance(left, Value) and not isinstance(right, Value):
            return self.number(_of_numbers(syntax, left, right))
        with self.at(syntax):
            flags = syntax.operator in ("==", "!=")
            return self.b.compare(syntax.operator, *self.fitted(left, right, flags=flags))

    def logic(self, syntax: Logic) -> Operand:
        """Numbers that are flags decide at once, as everywhere; the flags of tensors are combined one by one."""
        stop = syntax.operator == "or"
        function = Builder.logical_or if stop else Builder.logical_and
        found: Value | None = None
        for part in syntax.operands:
            operand = self.flag(part, syntax.operator)
            if isinstance(operand, Value):
                with self.at(syntax):
                    found = operand if found is None else function(self.b, found, operand)
            elif operand is stop:
                return stop
        return not stop if found is None else found

    def flag(self, syntax: Syntax, user: str) -> Value | bool:
        operand = self.value(syntax)
        if isinstance(operand, bool) or (isinstance(operand, Value) and operand.type.dtype == "bool"):
            return operand
        got = str(operand.type) if isinstance(operand, Value) else describe(operand)
        raise self.error(f"{user} needs flags, got {got}", syntax)

    def call(self, syntax: Call) -> Operand:
        name = syntax.function
        if name == "where":
            return self.where(syntax)
        if name in _CHOICES and len(syntax.arguments) > 1:
            choose = _CHOICES[name]
            return reduce(lambda a, c: self.joined(syntax, choose, a, c), map(self.value, syntax.arguments))
        layer = _elementwise_layer(name)
        if layer is None:
            raise self.error(f"{name} of a tensor is no function of each element", syntax)
        operand = self.value(syntax.arguments[0])
        if not isinstance(operand, Value):
            return self.number(_of_numbers(syntax, operand))
        with self.at(syntax):
            result = layer.model_validate({}).expand(self.b, operand)
            assert isinstance(result, Value)
            return result

    def where(self, syntax: Call) -> Operand:
        first, *others = syntax.arguments
        condition = self.flag(first, "where")
        if not isinstance(condition, Value):
            return self.value(others[0] if condition else others[1])
        left, right = map(self.value, others)
        with self.at(syntax):
            if not isinstance(left, Value) and not isinstance(right, Value):
                right = self.b.number_like(right, self.like(left, right))
            return self.b.where(condition, *self.fitted(left, right, flags=True))

    def like(self, left: Number, right: Number) -> Value:
        """The tensor whose type two numbers get that meet none: the first of the floats, else of the integers."""
        if isinstance(left, bool) or isinstance(right, bool):
            raise ShapeError("where chooses from tensors and numbers: join flags by and, or, not")
        by_type: dict[DType, Value] = {x.type.dtype: x for x in reversed(list(self.inputs.values()))}
        whole = isinstance(left, int) and isinstance(right, int)
        for dtype in FLOAT_FIRST if whole else FLOAT_FIRST[:1]:
            if dtype in by_type:
                return by_type[dtype]
        raise ShapeError(f"no input is a tensor of numbers that gives {left} and {right} a type")

    def joined(
        self, syntax: Arithmetic | Call, function: Callable[[Builder, Operand, Operand], Value], a: Operand, c: Operand
    ) -> Operand:
        """`function` of two operands; both are numbers between the first of `max`, and where an `if` chose them."""
        if not isinstance(a, Value) and not isinstance(c, Value):
            return self.number(_of_numbers(syntax, a, c))
        with self.at(syntax):
            return function(self.b, *self.fitted(a, c))

    def fitted(self, left: Operand, right: Operand, flags: bool = False) -> tuple[Operand, Operand]:
        """Both operands, after a number among them is known to fit the tensor on the other side."""
        for number, tensor in ((left, right), (right, left)):
            if isinstance(number, Value) or not isinstance(tensor, Value):
                continue
            dtype = tensor.type.dtype
            if isinstance(number, bool) != (dtype == "bool") or (isinstance(number, bool) and not flags):
                raise ShapeError(f"{describe(number)} does not fit {tensor.type}")
            if isinstance(number, float) and dtype != "float":
                raise ShapeError(f"the floating-point number {number} does not fit {tensor.type}")
            if dtype == "int32" and abs(number) > MAX_INT32:
                raise ShapeError(f"{number} does not fit {tensor.type}")
        return left, right

    @contextmanager
    def at(self, syntax: Syntax) -> Iterator[None]:
        """Tell what is wrong with tensors at the part of the expression that joins them."""
        try:
            yield
        except ShapeError as error:
            text, place = shown(self.expression.text), self.expression.place.at(syntax.at)
            raise ShapeError(f"$({text}): {error.mistakes[0].message}", place) from None

    def error(self, message: str, syntax: Syntax) -> LanguageError:
        return LanguageError(f"$({shown(self.expression.text)}): {message}", self.expression.place.at(syntax.at))


def _of_numbers(syntax: Arithmetic | Comparison | Negative | Call, *numbers: Number) -> Syntax:
    """The same operation of numbers alone."""
    operands = tuple(Constant(syntax.at, number) for number in numbers)
    if isinstance(syntax, Call):
        return replace(syntax, arguments=operands)
    if isinstance(syntax, Negative):
        return replace(syntax, operand=operands[0])
    return replace(syntax, left=operands[0], right=operands[1])


def _reads_tensors(syntax: Syntax, variables: frozenset[str]) -> bool:
    """Whether a part reads an input, other than its shape."""
    match syntax:
        case Name():
            return syntax.name in variables
        case Attribute(value=Name()):
            return False
        case Comprehension():
            return _reads_tensors(syntax.source, variables) or _reads_tensors(
                syntax.item, variables - {syntax.variable}
            )
    return any(_reads_tensors(part, variables) for part in parts_of(syntax))
