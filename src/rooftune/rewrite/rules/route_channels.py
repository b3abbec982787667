"""Channels go straight from the convolutions that make them to those that read them, past channel shuffles."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from rooftune.graph.constants import constant_tensor
from rooftune.graph.text import node_line
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.channels import (
    behind,
    channelwise,
    dense,
    permuted_channelwise,
    permuted_inputs,
    permuted_outputs,
)
from rooftune.rewrite.edit import Workplace, remove_unread
from rooftune.rewrite.journal import Applied
from rooftune.rewrite.match import SMALL, label_of
from rooftune.rewrite.routing import Piece, Region, Way, regions, shortest_way
from rooftune.rewrite.rule import Example
from rooftune.rewrite.sweep import Sweep
from rooftune.verdicts import Exactness, Refusal

Order = NDArray[np.int64]


class RouteChannels(Sweep):
    """Replace Splits, Concats and channel shuffles between convolutions by one Split a maker and one Concat a reader.

    In ShuffleNetV2 a stage of n units needs 2n such nodes instead of 5n, and moves a third of the data: a channel
    stays where it was made until the convolution that reads it collects it. The order of the channels goes into the
    weights on both sides.
    """

    exactness = Exactness.REASSOCIATES

    def run(self, place: Workplace) -> list[Applied]:
        found: list[Applied] = []
        for graph in (place.ir.graph, *place.ir.graph.subgraphs()):
            before = -1
            while before < len(found):
                before = len(found)
                for region in list(regions(graph)):
                    way = shortest_way(region) if _stands(region) else None
                    if way is None:
                        continue
                    shared = _shared_weight(region)
                    if shared is None:
                        found.append(_Rerouting(place, graph, region, way).applied(self.name))
                        continue
                    why = Refusal(f"the weight {shared.name} is shared and would be stored twice")
                    place.refuse(self.name, region.nodes[0], why)
        return found

    examples = (
        Example(
            "between a Concat and a Split",
            """(float[1,3,4,4] x) => (float[1,4,4,4] y)
            <float[2,3,1,1] a, float[2,3,1,1] b, float[2,2,1,1] d, float[4,4,1,1] e, int64[5] s = {1,2,2,4,4},
             int64[4] t = {1,4,4,4}>
            { f = Conv(x, a) g = Conv(x, b) c = Concat<axis=1>(f, g)
              p = Reshape(c, s) q = Transpose<perm=[0,2,1,3,4]>(p) k = Reshape(q, t)
              l, r = Split<axis=1, num_outputs=2>(k) h = Conv(r, d) n = Relu(h) m = Concat<axis=1>(l, n)
              p2 = Reshape(m, s) q2 = Transpose<perm=[0,2,1,3,4]>(p2) k2 = Reshape(q2, t) y = Conv(k2, e) }""",
            """v1 = Conv(x, #)
            v2, v3 = Split<axis=1>(v1, #)
            v4 = Conv(x, #)
            v5, v6 = Split<axis=1>(v4, #)
            v7 = Concat<axis=1>(v2, v5)
            h = Conv(v7, #)
            n = Relu(h)
            v8 = Concat<axis=1>(v3, v6, n)
            y = Conv(v8, #)""",
        ),
    )


def _stands(region: Region) -> bool:
    """False where another region's change has replaced a convolution that feeds this one; it is looked at again."""
    return all(value.uses() for value in region.sources)


def _shared_weight(region: Region) -> ir.Value | None:
    """A large weight that would have to be permuted and has other readers."""
    convolutions = [behind(v)[1].producer() for v in region.sources]
    for value in region.ends:
        convolutions += [n for n, _ in value.uses()]
    for node in convolutions:
        if node is None or not dense(node) or node.inputs[1] is None:
            continue
        if constant_tensor(node.inputs[1]).size > SMALL and len(node.inputs[1].uses()) > 1:
            return node.inputs[1]
    return None


class _Rerouting:
    """One region on its way to fewer nodes."""

    def __init__(self, place: Workplace, graph: ir.Graph, region: Region, way: Way) -> None:
        self.place, self.graph, self.region, self.way = place, graph, region, way
        self.inside = {id(n) for n in region.nodes}
        self.added: list[ir.Node] = []
        self.removed: list[ir.Node] = []
        self.renewed: dict[ir.Value, ir.Value] = {}  # sources whose convolution has read another end since

    def applied(self, rule: str) -> Applied:
        """Reroute the region; what that changed."""
        nodes, opset = self.region.nodes, self.place.opset
        shown, before, label = tuple(node_line(n) for n in nodes), self.place.price(nodes), label_of(nodes[0])
        cut: dict[Piece, ir.Value] = {}
        for value, pieces in zip(self.region.sources, self.way.pieces, strict=True):
            source = self._reordered(value, np.array([c for p in pieces for c in p.channels], np.int64))
            if len(pieces) == 1:
                cut[pieces[0]] = source
                continue
            maker = source.producer()
            new = Builder(nodes[0], self.place.names, self.place.repair, opset)
            sizes = [len(p.channels) for p in pieces]
            if opset >= 13:
                parts = new.node("Split", [source, new.integers(sizes)], outputs=len(pieces), axis=1)
            else:
                parts = new.node("Split", [source], outputs=len(pieces), axis=1, split=sizes)
            cut.update(zip(pieces, parts, strict=True))
            self._put(new, after=maker)
        for end, parts_of_end, order in zip(self.region.ends, self.way.joined, self.way.orders, strict=True):
            values = [self.renewed.get(cut[p], cut[p]) for p in parts_of_end]
            joined = values[0]
            if len(values) > 1:
                new = Builder(nodes[0], self.place.names, self.place.repair, opset)
                joined = new.Concat(*values, axis=1)
                self._put(new, before=end.producer())
            self._read(end, joined, order)
        routing = [n for n in self.added if n.op_type in ("Concat", "Split")]
        self.removed += remove_unread(nodes[::-1])
        after = self.place.price(routing)
        return Applied(
            rule,
            label,
            tuple(label_of(n) for n in self.removed),
            tuple(label_of(n) for n in self.added if n.graph is not None),
            shown,
            tuple(node_line(n) for n in routing),
            *(after - before),
        )

    def _put(self, new: Builder, *, after: ir.Node | None = None, before: ir.Node | None = None) -> None:
        new.infer_types()
        for constant in new.constants:
            self.place.ir.graph.register_initializer(constant)
        if after is not None and after.graph is self.graph:
            self.graph.insert_after(after, new.nodes)
        else:
            self.graph.insert_before(before or self.graph[0], new.nodes)
        self.added += new.nodes

    def _reordered(self, source: ir.Value, order: Order) -> ir.Value:
        """The source with its channels in another order, from a convolution with permuted weights."""
        if (order == np.arange(len(order))).all():
            return source
        through, start = behind(source)
        conv = start.producer()
        assert conv is not None
        new = Builder(conv, self.place.names, self.place.repair, self.place.opset)
        value = permuted_outputs(conv, order, new)
        for node in reversed(through):
            value = permuted_channelwise(node, value, order, new)
        last = through[0] if through else conv
        self._put(new, before=last)
        source.replace_all_uses_with(value)
        self.removed += remove_unread([last])
        return value

    def _read(self, old: ir.Value, value: ir.Value, order: Order) -> None:
        """Let the readers outside the region read the value, whose channel i was channel order[i]."""
        if (order == np.arange(len(order))).all():
            self.place.standing[old.name or ""] = value
            for reader, place in list(old.uses()):
                if id(reader) not in self.inside:
                    reader.replace_input_with(place, value)
            return
        for reader in [n for n, _ in old.uses() if id(n) not in self.inside]:
            new = Builder(reader, self.place.names, self.place.repair, self.place.opset)
            output = reader.outputs[0]
            if dense(reader):
                made = permuted_inputs(reader, value, order, new)
                self._put(new, before=reader)
                name, was_output = output.name, output.is_graph_output()
                output.replace_all_uses_with(made, replace_graph_outputs=True)
                output.name, made.name = None, name
                self.renewed[output] = made
                if was_output:
                    made.shape, made.type = output.shape, output.type
            else:
                assert channelwise(reader) is not None
                made = permuted_channelwise(reader, value, order, new)
                self._put(new, before=reader)
                self._read(output, made, order)
            self.removed += remove_unread([reader])
