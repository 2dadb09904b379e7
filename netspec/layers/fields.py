"""Types of the layers' fields, each with the words that say what it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, InstanceOf, Strict

from netspec.graph.dims import Dim
from netspec.graph.types import MAX_SIZE


@dataclass(frozen=True)
class Expected:
    """What a field takes, as a message says it: `expected <phrase>, got ...`."""

    phrase: str


# A list of the text becomes a tuple; what stands in it is still checked strictly.
_FromList = Strict(False)

Flag = Annotated[bool, Expected("true or false")]
Count = Annotated[int, Field(gt=0, le=MAX_SIZE)]
Number = Annotated[int, Field(ge=0, le=MAX_SIZE)]

PositiveInt = Annotated[Count, Expected("a positive integer")]
NonNegativeInt = Annotated[Number, Expected("an integer from 0 up")]
PositiveFloat = Annotated[float, Field(gt=0), Expected("a number above 0")]
NonNegativeFloat = Annotated[float, Field(ge=0), Expected("a number from 0 up")]
Real = Annotated[float, Expected("a number")]
DropProbability = Annotated[float, Field(ge=0, lt=1), Expected("a number in [0, 1)")]
Fraction = Annotated[float, Field(ge=0, le=1), Expected("a number in [0, 1]")]
Axis = Annotated[int, Field(ge=-8, le=7), Expected("the number of a dimension")]
AxisList = Annotated[tuple[Axis, ...], _FromList, Field(min_length=1)]
Axes = Annotated[Axis | AxisList, Expected("the number of a dimension, or a list of them")]

CountPair = Annotated[tuple[Count, Count], _FromList]
NumberPair = Annotated[tuple[Number, Number], _FromList]
ExplicitPadding2d = Annotated[tuple[NumberPair, NumberPair], _FromList]

Size2d = Annotated[Count | CountPair, Expected("a positive integer or a pair of them")]
Numbers2d = Annotated[Number | NumberPair, Expected("an integer from 0 up or a pair of them")]
Padding2d = Annotated[
    Number | NumberPair | ExplicitPadding2d | Literal["same", "same_lower"],
    Expected("an integer from 0 up, a pair of them, [[begin, end], [begin, end]], same or same_lower"),
]
TransposedPadding2d = Annotated[
    Number | NumberPair | ExplicitPadding2d | Literal["same"],
    Expected("an integer from 0 up, a pair of them, [[begin, end], [begin, end]] or same"),
]

# A size of `reshape`: a number, -1 for what is left, or what an expression such as $(batch) gave.
TargetSize = Annotated[int, Field(ge=-1, le=MAX_SIZE)] | Annotated[Dim, InstanceOf()]
TargetShape = Annotated[
    tuple[TargetSize, ...],
    _FromList,
    Field(max_length=8),
    Expected("a list of sizes: positive integers, one -1 at most, or expressions such as $(batch)"),
]

# A size of a tensor that is made from nothing: a number, or what an expression such as $(batch) gave.
_Given = Annotated[int, Field(gt=0, le=MAX_SIZE)] | Annotated[Dim, InstanceOf()]
NewSize = Annotated[_Given, Expected("a positive integer, or an expression such as $(time)")]
NewShape = Annotated[
    tuple[_Given, ...],
    _FromList,
    Field(max_length=8),
    Expected("a list of sizes: positive integers, or expressions such as $(batch)"),
]
_Integer = Annotated[int, Field(ge=-MAX_SIZE, le=MAX_SIZE)]
Whole = Annotated[_Integer, Expected("an integer")]
Index = Annotated[_Integer, Expected("the number of an element, negative ones counted from the end")]
WholeOrSymbolic = Annotated[
    _Integer | Annotated[Dim, InstanceOf()], Expected("an integer, or an expression such as $(time)")
]
AxisSizes = Annotated[
    dict[str, _Given], Expected("a mapping from names of the pattern to positive integers, such as {h: 8}")
]

# Layers that cut and move.
Place = Annotated[
    _Integer | Annotated[Dim, InstanceOf()],
    Expected("a position, negative ones counted from the end, or an expression such as $(time - 1)"),
]
Sections = Annotated[
    Count | Annotated[tuple[_Given, ...], _FromList, Field(min_length=1)],
    Expected("a positive integer, or a list of sizes"),
]
Shifts = Annotated[
    _Integer | Annotated[tuple[_Integer, ...], _FromList, Field(min_length=1)],
    Expected("an integer or a list of them"),
]
PadPairs = Annotated[
    tuple[_Integer, ...], _FromList, Field(min_length=2), Expected("a list of integers, two for each dimension")
]
SpatialSizes = Annotated[
    _Given | Annotated[tuple[_Given, ...], _FromList, Field(min_length=1, max_length=3)],
    Expected("a positive integer or an expression such as $(height), or a list of one for each spatial dimension"),
]
_Scale = Annotated[float, Field(gt=0)]
SpatialScales = Annotated[
    _Scale | Annotated[tuple[_Scale, ...], _FromList, Field(min_length=1, max_length=3)],
    Expected("a number above 0, or a list of one for each spatial dimension"),
]
ExpandedSize = Annotated[
    tuple[TargetSize, ...],
    _FromList,
    Field(max_length=8),
    Expected("a list of sizes: positive integers, expressions such as $(time), or -1 for one that stays"),
]
