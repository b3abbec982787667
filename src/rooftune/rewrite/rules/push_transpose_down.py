"""Transposes move down through elementwise operators, reductions and Concats, to where they cancel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from rooftune.graph.text import node_line
from rooftune.rewrite.axes import permutation
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.edit import Workplace, remove_unread
from rooftune.rewrite.journal import Applied
from rooftune.rewrite.layout import Layout, Region, can_go, undoes
from rooftune.rewrite.match import label_of
from rooftune.rewrite.movable import Moved, Perm, inverse
from rooftune.rewrite.rule import Example
from rooftune.rewrite.sweep import Sweep
from rooftune.rewrite.views import dims_of
from rooftune.verdicts import Exactness

MAX_PASSES = 10


class PushTransposeDown(Sweep):
    """Move Transposes behind the operators that read them where fewer, or only smaller ones, remain."""

    exactness = Exactness.REASSOCIATES

    def run(self, place: Workplace) -> list[Applied]:
        found: list[Applied] = []
        for graph in (place.ir.graph, *place.ir.graph.subgraphs()):
            for _ in range(MAX_PASSES):
                applied = list(self._pass(place, graph))
                found += applied
                if not applied:
                    break
        return found

    def _pass(self, place: Workplace, graph: ir.Graph) -> Iterator[Applied]:
        """Every region once, but those whose Transposes another one has just changed."""
        if not any(n.op_type == "Transpose" for n in graph):
            return
        layout, touched = Layout(graph), set[int]()
        found = [(region, *_transposes(region, layout)) for region in layout.regions()]  # before anything is changed
        for region, sources, readers in found:
            around = {id(t) for t in (*sources, *readers)}
            if around & touched or {id(t) for t in sources} & {id(t) for t in readers}:
                continue
            touched |= around
            yield _Move(place, graph, region, sources).applied(self.name, readers)

    examples = (
        Example(
            "between two convolutions",
            """(float[1,2,4,4] x) => (float[1,2,2,2] y) <float[3,2,3,3] v, float[3] b, float[2,3,1,1] w>
            { c = Conv(x, v) t = Transpose<perm=[0,2,3,1]>(c) a = Add(t, b) r = Relu(a)
              u = Transpose<perm=[0,3,1,2]>(r) y = Conv(u, w) }""",
            "c = Conv(x, #)\nv1 = Add(c, #)\nv2 = Relu(v1)\ny = Conv(v2, #)",
        ),
        Example(
            "a residual block in the other layout",
            """(float[1,2,4,4] x) => (float[1,2,4,4] y) <float[2,2,1,1] v, float[2,2,1,1] w>
            { c = Conv(x, v) s = Transpose<perm=[0,2,3,1]>(x) t = Transpose<perm=[0,2,3,1]>(c) a = Add(t, s)
              u = Transpose<perm=[0,3,1,2]>(a) d = Conv(u, w) e = Transpose<perm=[0,2,3,1]>(d)
              f = Add(a, e) y = Transpose<perm=[0,3,1,2]>(f) }""",
            "c = Conv(x, #)\nv1 = Add(c, x)\nd = Conv(v1, #)\ny = Add(v1, d)",
        ),
        Example(
            "one behind instead of two before",
            """(float[2,3] a, float[2,3] b) => (float[3,2] y)
            { s = Transpose(a) t = Transpose(b) c = Add(s, t) y = Relu(c) }""",
            "v1 = Add(a, b)\nc = Transpose<perm=[1,0]>(v1)\ny = Relu(c)",
        ),
        Example(
            "a mean over the image",
            """(float[N,3,4,4] x) => (float[N,3] y) <int64[2] axes = {1,2}>
            { t = Transpose<perm=[0,2,3,1]>(x) m = ReduceMean<keepdims=0>(t, axes) y = Relu(m) }""",
            "m = ReduceMean<keepdims=0>(x, #)\ny = Relu(m)",
        ),
        Example(
            "through Concat, Pad and Softmax",
            """(float[1,2,4,4] x, float[1,3,4,4] z) => (float[1,5,6,4] y) <int64[8] p = {0,1,0,0,0,1,0,0}>
            { s = Transpose<perm=[0,2,3,1]>(x) t = Transpose<perm=[0,2,3,1]>(z) c = Concat<axis=3>(s, t)
              d = Pad(c, p) e = Softmax<axis=-1>(d) y = Transpose<perm=[0,3,1,2]>(e) }""",
            "v1 = Concat<axis=1>(x, z)\nv2 = Pad(v1, #)\ny = Softmax<axis=1>(v2)",
        ),
        Example(
            "a smaller one",
            """(float[2,8,5] x) => (float[5,2,2] y) <int64[1] a = {0}, int64[1] b = {2}, int64[1] axis = {1}>
            { t = Transpose<perm=[2,1,0]>(x) y = Slice(t, a, b, axis) }""",
            "v1 = Slice(x, #, #, #)\ny = Transpose<perm=[2,1,0]>(v1)",
        ),
    )


def _transposes(region: Region, layout: Layout) -> tuple[list[ir.Node], list[ir.Node]]:
    """Transposes the region reads from, and those that read from it."""
    chosen = {id(node) for node, _ in region}
    sources: dict[int, ir.Node] = {}
    readers: dict[int, ir.Node] = {}
    for node, how in region:
        for place in how.carried:
            value = node.inputs[place]
            maker = None if value is None else value.producer()
            if maker is None or id(maker) in chosen or id(value) not in layout.perms:
                continue
            if maker.op_type == "Transpose" and maker.domain == "":
                sources[id(maker)] = maker
        for output in node.outputs:
            for reader, _ in output.uses():
                if reader.op_type == "Transpose" and reader.domain == "" and reader.graph is node.graph:
                    readers[id(reader)] = reader
    return list(sources.values()), list(readers.values())


class _Move:
    """One region on its way to the front of its Transposes."""

    def __init__(self, place: Workplace, graph: ir.Graph, region: Region, sources: list[ir.Node]) -> None:
        self.place, self.graph, self.region, self.sources = place, graph, region, sources
        self.how = {id(node): how for node, how in region}
        self.source_of = {id(t.outputs[0]): t for t in sources}
        self.made: set[int] = set()
        self.turned: dict[tuple[int, Perm], ir.Value] = {}
        self.added: list[ir.Node] = []
        self.removed: list[ir.Node] = []

    def applied(self, rule: str, readers: list[ir.Node]) -> Applied:
        """Move the region; what that changed."""
        concerned = [*self.sources, *(n for n, _ in self.region), *readers]
        shown, price = tuple(node_line(n) for n in concerned), self.place.price(concerned)
        for node, how in self.region:
            self._inputs(node, how)
            for output, perm in zip(node.outputs, how.outputs, strict=False):
                if output.name and perm != tuple(range(len(perm))):
                    self._output(node, output, perm)
        self.removed += remove_unread(self.sources)
        remaining = [*(n for n in concerned if n.graph is not None), *self.added]
        after = self.place.price(remaining)
        return Applied(
            rule,
            label_of(self.region[0][0]),
            tuple(label_of(n) for n in self.removed),
            tuple(label_of(n) for n in self.added),
            shown,
            tuple(node_line(n) for n in remaining),
            *(after - price),
        )

    def _inputs(self, node: ir.Node, how: Moved) -> None:
        new = Builder(node, self.place.names, self.place.repair, self.place.opset)
        for place, perm in how.carried.items():
            value = node.inputs[place]
            if value is not None and id(value) not in self.made:
                node.replace_input_with(place, self._before(value, perm, node))
        for place, numbers in how.integers.items():
            array = np.asarray(list(numbers), np.int64)
            node.replace_input_with(place, new.constant(array, like=node.inputs[place]))
        for place, perm in how.padded.items():
            node.replace_input_with(place, _permuted(new, node.inputs[place], perm))
        for value in new.constants:
            self.place.ir.graph.register_initializer(value)
        for name, setting in how.attributes.items():
            node.attributes[name] = ir.convenience.convert_attribute(name, setting)

    def _before(self, value: ir.Value, perm: Perm, reader: ir.Node) -> ir.Value:
        """The value as it is before a Transpose: found there, or permuted back once for all readers."""
        source = self.source_of.get(id(value))
        if source is not None and source.inputs[0] is not None:
            return source.inputs[0]
        key = (id(value), perm)
        if key not in self.turned:
            self.turned[key] = self._transpose(value, inverse(perm), value.name or "value")
            self.graph.insert_before(reader, self.added[-1])
        return self.turned[key]

    def _transpose(self, value: ir.Value, perm: Perm, stem: str) -> ir.Value:
        """A new Transpose, not yet in the graph."""
        names = self.place.names
        made = ir.Value(name=names.value(f"{stem}_Transpose"), type=value.type, shape=_by(value.shape, perm))
        attributes = [ir.AttrInt64s("perm", list(perm))]
        node = ir.Node("", "Transpose", [value], attributes, outputs=[made], name=names.node("Transpose"))
        self.added.append(node)
        return made

    def _output(self, node: ir.Node, value: ir.Value, perm: Perm) -> None:
        """From here on the value is what stood before the Transpose; whoever wants the old one gets it behind one."""
        self.made.add(id(value))
        readers = list(value.uses())
        name, was_output = value.name, value.is_graph_output()
        going, plain = [], []
        for reader, place in readers:
            if id(reader) in self.how and place in self.how[id(reader)].carried:
                continue
            if reader.op_type == "Transpose" and reader.domain == "" and reader.graph is node.graph:
                if undoes(reader, perm) and can_go(reader, value):
                    going.append(reader)
                else:
                    _compose(reader, perm)
                continue
            plain.append((reader, place))
        value.shape = _by(value.shape, inverse(perm))
        value.name = self.place.names.value(name or "value")
        if plain or was_output:
            behind = self._transpose(value, perm, name or "value")
            self.graph.insert_after(node, self.added[-1])
            for reader, place in plain:
                reader.replace_input_with(place, behind)
            if was_output:
                _give_output(self.graph, value, behind)
            behind.name = name
        for transpose in going:
            self._cancel(transpose, value)

    def _cancel(self, transpose: ir.Node, value: ir.Value) -> None:
        old = transpose.outputs[0]
        name, was_output = old.name, old.is_graph_output()
        self.place.standing[name or ""] = value
        old.replace_all_uses_with(value, replace_graph_outputs=True)
        if was_output:
            old.name, value.name = None, name
            value.shape = old.shape if old.shape is not None else value.shape
        self.removed += remove_unread([transpose])


def _by(shape: ir.Shape | None, perm: Perm) -> ir.Shape | None:
    return None if shape is None else ir.Shape([shape[p] for p in perm])


def _compose(transpose: ir.Node, first: Perm) -> None:
    """Let a Transpose read from before another by `first`."""
    second = permutation(transpose)
    assert second is not None
    transpose.attributes["perm"] = ir.AttrInt64s("perm", [first[q] for q in second])


def _give_output(graph: ir.Graph, old: ir.Value, value: ir.Value) -> None:
    for place, output in enumerate(graph.outputs):
        if output is old:
            graph.outputs[place] = value


def _permuted(new: Builder, constant: ir.Value | None, perm: Perm) -> ir.Value:
    """A constant as it must be for a reader before the Transpose."""
    assert constant is not None
    dims = [int(d) for d in dims_of(constant) or ()]
    full = [1] * (len(perm) - len(dims)) + dims
    back = inverse(perm)
    shape = [full[i] for i in back]
    return new.derive(lambda c: np.transpose(c.reshape(full), back), constant, shape=shape, exact=True)
