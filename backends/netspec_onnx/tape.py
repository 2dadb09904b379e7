"""The tape on which lowerings record ONNX nodes, and the sizes that only a run of the model knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from netspec.graph.graph import Origin
from netspec.graph.types import DType, TensorType
from netspec_onnx.schemas import output_types

Lowering = Callable[..., ir.Value | tuple[ir.Value, ...]]


class Tape:
    """Records nodes in order, each with the entry of the spec that it belongs to.

    `origin` is the entry that is being lowered; a primitive outside of any layer counts to the layer before it.
    """

    def __init__(self) -> None:
        self.origin: Origin | None = None
        self.groups: list[tuple[Origin | None, list[ir.Node]]] = []
        self.nodes: list[ir.Node] = []  # of the graph that is recorded now, in order
        self._tape = ir.tape.Tape()
        self._types: dict[ir.Value, ir.DataType] = {}  # beside the values: what a value holds is written to the file

    def enter(self, origin: Origin | None) -> None:
        """The nodes that follow belong to `origin`, and to this application of it."""
        self.origin = origin
        self.groups.append((origin, []))

    def op(self, op_type: str, *inputs: ir.Value | None, **attributes: Any) -> ir.Value:
        """The output of a new node; an optional input that is left out is None."""
        (output,) = self.ops(op_type, 1, *inputs, **attributes)
        return output

    def ops(self, op_type: str, count: int, *inputs: ir.Value | None, **attributes: Any) -> tuple[ir.Value, ...]:
        """The `count` outputs of a new node."""
        outputs = tuple(self._tape.op_multi_out(op_type, inputs, attributes, num_outputs=count))
        node = outputs[0].producer()
        assert node is not None
        if not self.groups:
            self.enter(None)
        self.groups[-1][1].append(node)
        self.nodes.append(node)
        types = output_types(op_type, [None if x is None else self.type_of(x) for x in inputs], attributes, count)
        self._types.update(zip(outputs, types, strict=True))
        return outputs

    def type_of(self, x: ir.Value) -> ir.DataType:
        """The type of the numbers in `x`."""
        return self._types[x] if x.dtype is None else x.dtype

    def value(self, name: str, type: TensorType | ir.DataType) -> ir.Value:
        """An input of a graph; of any shape where only the type of its numbers is given."""
        if isinstance(type, ir.DataType):
            return ir.Value(name=name, type=ir.TensorType(type))
        shape = ir.Shape([size if isinstance(size, int) else str(size) for size in type.shape])
        return ir.Value(name=name, type=ir.TensorType(self.element_type(type.dtype)), shape=shape)

    def graph(
        self,
        name: str,
        inputs: Sequence[ir.Value],
        record: Callable[[], Sequence[ir.Value]],
        types: Sequence[TensorType | ir.DataType],
        origin: Origin | None,
    ) -> ir.Graph:
        """A graph inside of a node of `origin`: what `record` records, and gives, on `inputs` and on values around it.

        Each output is a value of its own, made inside: another one passes an Identity.
        """
        outer, self.nodes = self.nodes, []
        results = record()
        if origin != self.origin:  # behind the last layer in it
            self.enter(origin)
        outputs: list[ir.Value] = []
        for value, type in zip(results, types, strict=True):
            made = value if value.producer() in self.nodes and value not in outputs else self.op("Identity", value)
            declared = self.value(name, type)
            made.type, made.shape = declared.type, declared.shape
            outputs.append(made)
        inner = ir.Graph(inputs, outputs, nodes=self.nodes, name=name)
        self.nodes = outer
        return inner

    def element_type(self, dtype: DType) -> ir.DataType:
        """ONNX's word for a dtype of the graph."""
        return ir.DataType.FLOAT if dtype == "float" else ir.DataType[dtype.upper()]

    def constant(self, value: Any, dtype: DType) -> ir.Value:
        """A number, or an array, that stands in the model itself."""
        array = np.asarray(value, self.element_type(dtype).numpy())
        return self.op("Constant", value=ir.tensor(array))

    def integers(self, values: Sequence[int]) -> ir.Value:
        """A vector of int64, as ONNX takes axes, shapes and pads."""
        return self.constant(list(values), "int64")

    def size_of(self, x: ir.Value, axis: int) -> RuntimeSize:
        """The size of one axis of `x` in the run."""
        return RuntimeSize(self, self.op("Shape", x, start=axis, end=axis + 1))

    def vector(self, sizes: Sequence[int | RuntimeSize]) -> ir.Value:
        """The sizes as one vector of int64."""
        if all(isinstance(size, int) for size in sizes):
            return self.integers([size for size in sizes if isinstance(size, int)])
        parts = [self.integers([size]) if isinstance(size, int) else size.value for size in sizes]
        return self.op("Concat", *parts, axis=0) if len(parts) > 1 else parts[0]


@dataclass(frozen=True, eq=False)
class RuntimeSize:
    """A size in the run, an int64 vector of one element: arithmetic with it records nodes."""

    tape: Tape
    value: ir.Value

    def __add__(self, other: int | RuntimeSize) -> RuntimeSize:
        return self._with("Add", other)

    def __sub__(self, other: int | RuntimeSize) -> RuntimeSize:
        return self._with("Sub", other)

    def __mul__(self, other: int | RuntimeSize) -> RuntimeSize:
        return self._with("Mul", other)

    def __floordiv__(self, divisor: int) -> RuntimeSize:
        # Div of integers rounds towards 0 and Mod has the sign of the divisor, so what Mod leaves is taken off first.
        whole = self - self._with("Mod", divisor, fmod=0)
        return whole._with("Div", divisor)

    @property
    def scalar(self) -> ir.Value:
        """The size without its axis."""
        return self.tape.op("Squeeze", self.value, self.tape.integers([0]))

    def at_least(self, low: int) -> RuntimeSize:
        return self._with("Max", low)

    def _with(self, op_type: str, other: int | RuntimeSize, **attributes: int) -> RuntimeSize:
        right = self.tape.integers([other]) if isinstance(other, int) else other.value
        return RuntimeSize(self.tape, self.tape.op(op_type, self.value, right, **attributes))
