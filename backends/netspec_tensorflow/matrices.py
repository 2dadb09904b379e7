"""A pass over both graphs of a model: stores the matrices that are only ever read transposed the other way round.

The weight of `linear` is `[out, in]` to users, and the product wants `[in, out]`. TensorFlow's product of few rows with
a transposed matrix took 3.7 times as long (16 rows, 9216 to 128), as it moves the whole matrix in every call.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from netspec.graph.graph import Body, Call, Graph, GraphPair, Node, Param, Value
from netspec.graph.ops import Control, Permute

TRANSPOSED = (1, 0)


def store_transposed(pair: GraphPair) -> GraphPair:
    """The same graphs, where such a parameter has the `permutation` (1, 0) and needs no Permute. Both must agree."""
    paths = _only_transposed(pair.inference) & _only_transposed(pair.training)
    return GraphPair(_Rewriting.of(pair.inference, paths), _Rewriting.of(pair.training, paths))


def _only_transposed(graph: Graph) -> set[str]:
    """Paths of the matrices that nothing but a Permute reads, whose output is read by primitives alone."""
    beyond = {*graph.updates.values(), *(output.value for output in graph.outputs)}
    for call in graph.all_calls():
        beyond |= {*call.inputs, *call.outputs, *call.updates.values()}
    for node in graph.all_primitives():
        if isinstance(node.op, Control):
            beyond |= {*_handed_over(node, node.op)}
        elif not _transposes(node) or node.outputs[0] in beyond:
            beyond |= {*node.inputs}
    return {
        held.path
        for held in graph.params
        if held.value.type.rank == 2 and held.permutation is None and held.value not in beyond
    }


def _handed_over(node: Node, op: Control) -> Iterable[Value]:
    """What is not read as it is: what the bodies get under another name, and what they give."""
    for part, first in op.forward_parts():
        yield from (old for inside, old in zip(part.inputs, node.inputs[first:], strict=True) if inside is not old)
        yield from part.outputs


def _transposes(node: Node) -> bool:
    return isinstance(node.op, Permute) and node.op.axes == TRANSPOSED


@dataclass
class _Rewriting:
    """`stored` maps a parameter's old value to its new one, `present` what a Permute of it gave to the same."""

    stored: dict[Value, Value]
    present: dict[Value, Value]

    @classmethod
    def of(cls, graph: Graph, paths: set[str]) -> Graph:
        """The graph with the parameters `paths` stored transposed."""
        state = tuple(
            _transposed(held) if isinstance(held, Param) and held.path in paths else held for held in graph.state
        )
        stored = {old.value: new.value for old, new in zip(graph.state, state, strict=True) if old is not new}
        rewriting = cls(stored, {})
        return replace(graph, state=state, nodes=tuple(rewriting.nodes(graph.nodes)))

    def nodes(self, nodes: Iterable[Node | Call]) -> Iterable[Node | Call]:
        for node in nodes:
            if isinstance(node, Call):
                yield self.call(node)
            else:
                yield from self.primitive(node)

    def call(self, call: Call) -> Call:
        params = {name: self.stored.get(value, value) for name, value in call.params.items()}
        body = tuple(new for node in call.body for new in self.primitive(node))
        return replace(call, params=params, body=body)

    def primitive(self, node: Node) -> Iterable[Node]:
        """The node, unless it is a Permute that is no longer needed."""
        if _transposes(node) and node.inputs[0] in self.stored:
            self.present[node.outputs[0]] = self.stored[node.inputs[0]]
            return
        op = node.op.with_parts(self.part) if isinstance(node.op, Control) else node.op
        yield Node(op, self.values(node.inputs), node.outputs)

    def part(self, body: Body) -> Body:
        return Body(self.values(body.inputs), tuple(self.nodes(body.nodes)), self.values(body.outputs))

    def values(self, values: Iterable[Value]) -> tuple[Value, ...]:
        """In place of each value that is stored otherwise, or no longer made, what there is."""
        return tuple(self.present.get(value, self.stored.get(value, value)) for value in values)


def _transposed(held: Param) -> Param:
    rows, columns = held.value.type.shape
    new = Value(held.value.type.with_shape((columns, rows)), held.value.origin)
    return replace(held, value=new, permutation=TRANSPOSED)
