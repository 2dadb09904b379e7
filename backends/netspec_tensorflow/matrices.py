"""A pass over both graphs of a model: stores the matrices that are only ever read transposed the other way round.

The weight of `linear` is `[out, in]` to users, and the product wants `[in, out]`. TensorFlow's product of few rows with
a transposed matrix took 3.7 times as long (16 rows, 9216 to 128), as it moves the whole matrix in every call.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from netspec.graph.graph import Call, Graph, GraphPair, Node, Param, Value
from netspec.graph.ops import Permute

TRANSPOSED = (1, 0)


def store_transposed(pair: GraphPair) -> GraphPair:
    """The same graphs, where such a parameter has the `permutation` (1, 0) and needs no Permute. Both must agree."""
    paths = _only_transposed(pair.inference) & _only_transposed(pair.training)
    return GraphPair(_Rewriting.of(pair.inference, paths), _Rewriting.of(pair.training, paths))


def _only_transposed(graph: Graph) -> set[str]:
    """Paths of the matrices that nothing but a Permute reads, whose output is read by primitives alone."""
    beyond = {*graph.updates.values(), *(output.value for output in graph.outputs)}
    for call in graph.calls():
        beyond |= {*call.inputs, *call.outputs, *call.updates.values()}
    for node in graph.primitives():
        if not _transposes(node) or node.outputs[0] in beyond:
            beyond |= {*node.inputs}
    return {
        held.path
        for held in graph.params
        if held.value.type.rank == 2 and held.permutation is None and held.value not in beyond
    }


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
        nodes: list[Node | Call] = []
        for node in graph.nodes:
            nodes.extend([rewriting.call(node)] if isinstance(node, Call) else rewriting.body([node]))
        return replace(graph, state=state, nodes=tuple(nodes))

    def call(self, call: Call) -> Call:
        params = {name: self.stored.get(value, value) for name, value in call.params.items()}
        return replace(call, params=params, body=tuple(self.body(call.body)))

    def body(self, nodes: Iterable[Node]) -> Iterable[Node]:
        for node in nodes:
            if _transposes(node) and node.inputs[0] in self.stored:
                self.present[node.outputs[0]] = self.stored[node.inputs[0]]
            else:
                yield replace(node, inputs=tuple(self.present.get(value, value) for value in node.inputs))


def _transposed(held: Param) -> Param:
    rows, columns = held.value.type.shape
    new = Value(held.value.type.with_shape((columns, rows)), held.value.origin)
    return replace(held, value=new, permutation=TRANSPOSED)
