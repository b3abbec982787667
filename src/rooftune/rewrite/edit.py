"""The only place where graphs are edited: putting a replacement in, taking out what nobody reads any more."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import onnx_ir as ir

from rooftune.analysis.tensors import TensorTable
from rooftune.graph.constants import constant_tensor
from rooftune.graph.model import Model
from rooftune.graph.repair import Repair
from rooftune.graph.text import node_line
from rooftune.rewrite.builder import Builder, NotFinite
from rooftune.rewrite.journal import Applied, Journal, Refused
from rooftune.rewrite.match import Match, label_of
from rooftune.rewrite.names import Names
from rooftune.rewrite.price import Price, Target, price_of
from rooftune.rewrite.rule import Rule
from rooftune.rewrite.sweep import Evaluate
from rooftune.verdicts import Refusal

__all__ = [
    "Workplace",
    "commit",
    "exchange",
    "graphs_of",
    "remove_unread",
    "replace_by_constant",
    "stand_in",
    "take_out",
    "unread",
]


class Workplace:
    """A model under work: its names, what is known of its open dimensions, and the journal."""

    def __init__(self, model: Model, target: Target | None, evaluate: Evaluate | None) -> None:
        self.model, self.target, self.evaluate = model, target, evaluate
        self.ir = model.ir
        self.opset = model.opset
        self.names = Names(self.ir)
        self.journal = Journal()
        self.standing: dict[str, ir.Value] = {}  # what took the place of a value, by its old name
        self.refused: dict[tuple[str, int], tuple[ir.Node, Refused]] = {}  # of this round, by rule and node
        self.repair = Repair(self.ir.opset_imports, self.ir.functions, {})
        self._in_functions = {id(graph) for f in self.ir.functions.values() for graph in (f.graph, *f.subgraphs())}
        for node in self.all_nodes():
            for value in node.outputs:
                _type_constant(value)
                self.repair.allow(value)
        for value in self.ir.graph.inputs:
            self.repair.allow(value)

    def all_nodes(self) -> Iterator[ir.Node]:
        """Every node of the main graph, of the graphs inside it and of the functions, in running order."""
        yield from self.ir.graph.all_nodes()
        for function in self.ir.functions.values():
            yield from function.all_nodes()

    def ruled_nodes(self) -> Iterator[ir.Node]:
        """The nodes that rules may change: they write operators of the model's operator set."""
        yield from self.ir.graph.all_nodes()
        for function in self.ir.functions.values():
            imports = function.opset_imports
            if imports.get("", imports.get("ai.onnx", self.opset)) == self.opset:
                yield from function.all_nodes()

    def in_function(self, node: ir.Node) -> bool:
        """True for nodes below a model-local function, where there are no initialisers."""
        return id(node.graph) in self._in_functions

    def price(self, nodes: Sequence[ir.Node]) -> Price:
        return price_of(nodes, self.model, self.target)

    def prices(self, nodes: Sequence[ir.Node]) -> list[Price]:
        """The price of each of these nodes alone; what the graph computes from constants alone costs nothing."""
        if not nodes:
            return []
        table = TensorTable(self.model)
        for node in self.all_nodes():  # it can only tell when the makers were asked first
            table.is_folded(node)
        return [price_of([node], self.model, self.target, table) for node in nodes]

    def refuse(self, rule: str, node: ir.Node, why: Refusal) -> None:
        """Write down why a rule or a sweep left something as it is; it stands until the next round."""
        self.refused[rule, id(node)] = (node, Refused(rule, why.at or label_of(node), why.reason))

    def refusals(self) -> list[Refused]:
        """The refusals of the last round at nodes that are still there."""
        return [entry for node, entry in self.refused.values() if node.graph is not None]


def _type_constant(value: ir.Value) -> None:
    """Give a constant its type where nobody did: in functions, whose values have none."""
    tensor = constant_tensor(value) if value.type is None else None
    if tensor is not None:
        value.type, value.shape = ir.TensorType(tensor.dtype), tensor.shape


def commit(place: Workplace, rule: Rule, m: Match) -> list[ir.Value] | Refusal:
    """Put the replacement of a match into the graph; the values around the change, or why it was left as it was."""
    new = Builder(m.root, place.names, place.repair, place.opset)
    try:
        made = rule.replace(m, new)
    except NotFinite as why:
        made = Refusal(why.cause)
    if isinstance(made, Refusal):
        _take_back(new)
        return made
    outputs = [made] if isinstance(made, ir.Value) else list(made)
    refused = _cannot_stand_in(m, outputs, new) or _stored_twice(m, new)
    if refused is not None:
        _take_back(new)
        return refused
    graph = m.root.graph
    assert graph is not None
    _give_types(m.root, outputs, new)
    _place_constants(place, new, m.root)
    going = [n for n in m.nodes if n is m.root or _goes_with(n, m)]
    before, after = place.price(going[::-1]), place.price(new.nodes)
    if rule.must_pay and not after < before:
        for value in new.constants:
            place.ir.graph.initializers.pop(value.name or "", None)
        _take_back(new)
        return Refusal(_not_cheaper(before, after))
    shown = tuple(node_line(n) for n in going[::-1])
    graph.insert_before(m.root, new.nodes)
    around = [v for n in going for v in n.inputs if v is not None]
    for old, replacement in zip(m.root.outputs, outputs, strict=False):
        if replacement is not None:
            if old.name:
                place.standing[old.name] = replacement
            stand_in(old, replacement, fresh=any(replacement is v for n in new.nodes for v in n.outputs))
            around.append(replacement)
    removed = remove_unread([m.root, *m.nodes[1:]])
    place.journal.applied.append(
        Applied(
            rule.name,
            label_of(m.root),
            tuple(label_of(n) for n in removed),
            tuple(label_of(n) for n in new.nodes),
            shown,
            tuple(node_line(n) for n in new.nodes),
            *(after - before),
        )
    )
    return [*around, *(v for n in new.nodes for v in (*n.inputs, *n.outputs) if v is not None)]


def replace_by_constant(
    place: Workplace, rule: str, value: ir.Value, tensor: ir.TensorProtocol, *, free: bool = False
) -> Applied:
    """Let an initialiser take the place of a computed value.

    free  it depends on constants alone: engines compute it when the model is loaded, so that nothing is saved
    """
    node = value.producer()
    assert node is not None
    name = place.names.value(value.name or "constant")
    kind = ir.TensorType(tensor.dtype)
    constant = ir.Value(name=name, type=kind, shape=tensor.shape, const_value=tensor)  # type: ignore[arg-type]
    tensor.name = name
    place.ir.graph.register_initializer(constant)
    value.replace_all_uses_with(constant)
    place.standing[value.name or ""] = constant
    label, shown = label_of(node), node_line(node)
    going = unread([node])
    nothing = place.price([])
    saved = nothing - (nothing if free else place.price(going[::-1]))
    take_out(going)
    return Applied(rule, label, tuple(label_of(n) for n in going), (), (shown,), (), *saved)


def exchange(
    place: Workplace, rule: str, new: Builder, old: Sequence[ir.Value], made: Sequence[ir.Value], going: list[ir.Node]
) -> Applied:
    """Put new nodes in before the builder's root; the values they make stand in for old ones, under their names.

    going  nodes that nobody needs any more then
    """
    root = new.root
    assert root.graph is not None
    for before, value in zip(old, made, strict=True):
        value.type, value.shape = before.type, before.shape
    new.infer_types()
    for constant in new.constants:
        place.ir.graph.register_initializer(constant)
    change = place.price(new.nodes) - place.price(going)
    shown, label = tuple(node_line(n) for n in going), label_of(root)
    root.graph.insert_before(root, new.nodes)
    for before, value in zip(old, made, strict=True):
        place.standing[before.name or ""] = value
        stand_in(before, value, fresh=True)
    removed, added = remove_unread(going), new.nodes
    return Applied(
        rule,
        label,
        tuple(label_of(n) for n in removed),
        tuple(label_of(n) for n in added),
        shown,
        tuple(node_line(n) for n in added),
        *change,
    )


def remove_unread(nodes: Sequence[ir.Node]) -> list[ir.Node]:
    """Take out those of these nodes that nobody reads, and whatever only they had read; what was taken out."""
    going = unread(nodes)
    take_out(going)
    return going


def unread(nodes: Iterable[ir.Node]) -> list[ir.Node]:
    """Those of these nodes that nobody reads, and whatever only they read, readers before makers."""
    found: list[ir.Node] = []
    counted: set[int] = set()  # nodes that go, and the nodes inside them
    reads: Counter[int] = Counter()  # how often a value is read by them
    waiting = deque(nodes)
    while waiting:
        node = waiting.popleft()
        if node.graph is None or id(node) in counted:
            continue
        if any(v.is_graph_output() or len(v.uses()) > reads[id(v)] for v in node.outputs):
            continue
        found.append(node)
        for reader in (node, *_nodes_inside(node)):
            if id(reader) in counted:
                continue
            counted.add(id(reader))
            for value in reader.inputs:
                maker = None if value is None else value.producer()
                if maker is not None:
                    reads[id(value)] += 1
                    waiting.append(maker)
    return found


def take_out(nodes: Iterable[ir.Node]) -> None:
    """Remove nodes that nobody reads, given readers before makers."""
    for node in nodes:
        for inner in _nodes_inside(node):
            for place in range(len(inner.inputs)):
                inner.replace_input_with(place, None)
        assert node.graph is not None
        node.graph.remove(node, safe=True)


def graphs_of(node: ir.Node) -> Iterator[ir.Graph]:
    """The graphs that a node holds: branches, the body of a loop."""
    for attribute in node.attributes.values():
        if attribute.is_ref():
            continue
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()


def _nodes_inside(node: ir.Node) -> Iterator[ir.Node]:
    for graph in graphs_of(node):
        yield from graph.all_nodes()


def _goes_with(node: ir.Node, m: Match) -> bool:
    """True for a covered node that only other covered nodes read."""
    covered = {id(n) for n in m.nodes}
    return all(not v.is_graph_output() and all(id(n) in covered for n, _ in v.uses()) for v in node.outputs)


def _cannot_stand_in(m: Match, outputs: Sequence[ir.Value | None], new: Builder) -> Refusal | None:
    """Why a value that is there already cannot take the place, and the name, of an output of the graph."""
    fresh = {id(v) for n in new.nodes for v in n.outputs}
    for old, value in zip(m.root.outputs, outputs, strict=False):
        if value is None:
            if old.uses() or old.is_graph_output():
                return Refusal(f"{old.name} is read", label_of(m.root))
            continue
        if not old.is_graph_output() or id(value) in fresh:
            continue
        producer = value.producer()
        if producer is None or producer.graph is not m.root.graph or value.is_graph_output():
            return Refusal(f"{old.name} is an output of the graph and {value.name} cannot take its name")
    return None


def _stored_twice(m: Match, new: Builder) -> Refusal | None:
    """A large weight that others read as well would have to be stored a second time."""
    covered = {id(n) for n in m.nodes}
    for value in new.consumed:
        if any(id(node) not in covered for node, _ in value.uses()) or value.is_graph_output():
            return Refusal(f"the weight {value.name} is shared and would be stored twice", label_of(m.root))
    return None


def _take_back(new: Builder) -> None:
    """Undo what building alone has done: the new nodes read nothing any more."""
    for node in new.nodes:
        for place in range(len(node.inputs)):
            node.replace_input_with(place, None)


def _give_types(root: ir.Node, outputs: Sequence[ir.Value | None], new: Builder) -> None:
    made = {id(v) for n in new.nodes for v in n.outputs}
    for old, value in zip(root.outputs, outputs, strict=False):
        if value is not None and id(value) in made:
            value.type, value.shape = old.type or value.type, old.shape if old.shape is not None else value.shape
    new.infer_types()


def _place_constants(place: Workplace, new: Builder, root: ir.Node) -> None:
    """Make constants initialisers of the main graph; in functions, which have none, Constant nodes."""
    if not place.in_function(root):
        for value in new.constants:
            place.ir.graph.register_initializer(value)
        return
    made = []
    for value in new.constants:
        tensor = constant_tensor(value)
        attributes = [ir.AttrTensor("value", ir.Tensor(np.asarray(tensor.numpy()), dtype=value.dtype))]
        value.const_value = None
        made.append(ir.Node("", "Constant", [], attributes, outputs=[value], name=place.names.node("Constant")))
    new.nodes[:0] = made


def stand_in(old: ir.Value, value: ir.Value, *, fresh: bool) -> None:
    """Let `value` take the place of `old` everywhere; it takes the name too where people know it."""
    is_output = old.is_graph_output()
    name = old.name
    old.replace_all_uses_with(value, replace_graph_outputs=True)
    if fresh or is_output:
        old.name = None
        value.name = name
        value.doc_string = value.doc_string or old.doc_string
        if is_output:
            value.shape = old.shape if old.shape is not None else value.shape
            value.type = old.type or value.type


def _not_cheaper(before: Price, after: Price) -> str:
    if before.seconds is not None and after.seconds is not None:
        return f"it would not be faster: {before.seconds * 1e6:.3g} µs before, {after.seconds * 1e6:.3g} µs after"
    if before.flops is None or after.flops is None:
        return "nobody can say whether it would be faster"
    return f"it would not be cheaper: {before.flops:.3g} FLOPs before, {after.flops:.3g} after"
