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
Axis = Annotated[int, Field(ge=-8, le=7), Expected("the number of a dimension, from -8 to 7")]
AxisList = Annotated[tuple[Axis, ...], _FromList, Field(min_length=1)]
Axes = Annotated[Axis | AxisList, Expected("the number of a dimension, from -8 to 7, or a list of them")]

# Sizes along spatial axes: one number for all of them, or one for each.
_CountSingle = Annotated[tuple[Count], _FromList]
_CountPair = Annotated[tuple[Count, Count], _FromList]
_CountTriple = Annotated[tuple[Count, Count, Count], _FromList]
_NumberSingle = Annotated[tuple[Number], _FromList]
_NumberPair = Annotated[tuple[Number, Number], _FromList]
_NumberTriple = Annotated[tuple[Number, Number, Number], _FromList]

Size1d = Annotated[Count | _CountSingle, Expected("a positive integer or a list of one")]
Size2d = Annotated[Count | _CountPair, Expected("a positive integer or a pair of them")]
Size3d = Annotated[Count | _CountTriple, Expected("a positive integer or three of them")]
Numbers1d = Annotated[Number | _NumberSingle, Expected("an integer from 0 up or a list of one")]
Numbers2d = Annotated[Number | _NumberPair, Expected("an integer from 0 up or a pair of them")]
Numbers3d = Annotated[Number | _NumberTriple, Expected("an integer from 0 up or three of them")]

# Padding of a convolution: also (begin, end) for each spatial axis, or a word.
_Explicit1d = Number | _NumberSingle | Annotated[tuple[_NumberPair], _FromList]
_Explicit2d = Number | _NumberPair | Annotated[tuple[_NumberPair, _NumberPair], _FromList]
_Explicit3d = Number | _NumberTriple | Annotated[tuple[_NumberPair, _NumberPair, _NumberPair], _FromList]
_EXPLICIT_1D = "an integer from 0 up, [[begin, end]]"
_EXPLICIT_2D = "an integer from 0 up, a pair of them, [[begin, end], [begin, end]]"
_EXPLICIT_3D = "an integer from 0 up, three of them, [[begin, end], [begin, end], [begin, end]]"
_Same = Literal["same", "same_lower"]

Padding1d = Annotated[_Explicit1d | _Same, Expected(f"{_EXPLICIT_1D}, same or same_lower")]
Padding2d = Annotated[_Explicit2d | _Same, Expected(f"{_EXPLICIT_2D}, same or same_lower")]
Padding3d = Annotated[_Explicit3d | _Same, Expected(f"{_EXPLICIT_3D}, same or same_lower")]
TransposedPadding1d = Annotated[_Explicit1d | Literal["same"], Expected(f"{_EXPLICIT_1D} or same")]
TransposedPadding2d = Annotated[_Explicit2d | Literal["same"], Expected(f"{_EXPLICIT_2D} or same")]
TransposedPadding3d = Annotated[_Explicit3d | Literal["same"], Expected(f"{_EXPLICIT_3D} or same")]

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
