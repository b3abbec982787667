"""Which source operators a kernel computes, told from the tensors, names and weights it shares with the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rooftune.execute.aliases import Aliases

__all__ = ["LAYOUT_TYPES", "Attribution", "EngineNode", "SourceGraph", "SourceNode", "attribute"]

LAYOUT_TYPES = frozenset({"ReorderInput", "ReorderOutput", "Reorder"})
"""Kernels that only change how a tensor lies in memory; no model contains them."""

_MOVING_TYPES = LAYOUT_TYPES | {"Transpose", "Reshape", "Cast", "Squeeze", "Unsqueeze", "Flatten", "Convert"}
"""Kernels that are layout changes of the engine's own unless the model asks for them in that place."""


@dataclass(frozen=True)
class SourceNode:
    """A node of the model given; `name` is what reports call it, `label` what the file calls it ("" for unnamed)."""

    name: str
    type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    label: str = ""


@dataclass(frozen=True)
class EngineNode:
    """Something the engine runs.

    inputs, outputs  tensor names where the engine keeps the model's, its own otherwise
    hints            names of source nodes or tensors it is said to come from
    closed           True when its output is that of the last node hinted at: nothing after it was fused in
    followed_by      operators fused in behind the node hinted at, in order; what comes after them was not
    """

    key: str
    type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    hints: tuple[str, ...] = ()
    closed: bool = False
    followed_by: tuple[frozenset[str], ...] = ()


@dataclass(frozen=True)
class Attribution:
    """Names of source nodes in the order of the model, and how they were found (see `Kernel.how`)."""

    nodes: tuple[str, ...] = ()
    how: str = ""


@dataclass
class SourceGraph:
    """The nodes of a model in an order in which they can run, with the look-ups attribution needs."""

    nodes: Sequence[SourceNode]
    constants: frozenset[str]  # names of initialisers
    producer: dict[str, int] = field(init=False, default_factory=dict)
    labelled: dict[str, int] = field(init=False, default_factory=dict)
    constant_nodes: set[int] = field(init=False, default_factory=set)
    constant_users: dict[str, set[int]] = field(init=False, default_factory=dict)
    consumers: dict[int, list[int]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        ambiguous: set[str] = set()
        # for every constant tensor the initialisers it is computed from
        origins: dict[str, set[str]] = {name: {name} for name in self.constants}
        for index, node in enumerate(self.nodes):
            self.producer.update(dict.fromkeys((o for o in node.outputs if o), index))
            if node.label in self.labelled:
                ambiguous.add(node.label)
            elif node.label:
                self.labelled[node.label] = index
            given = [i for i in node.inputs if i]
            if node.type != "If" and all(i in origins for i in given):
                self.constant_nodes.add(index)
                merged = set().union(*(origins[i] for i in given)) if given else set()
                origins.update({o: merged for o in node.outputs if o})
                continue
            for name in given:
                if name in origins:
                    for origin in origins[name] | {name}:
                        self.constant_users.setdefault(origin, set()).add(index)
                elif name in self.producer:
                    self.consumers.setdefault(self.producer[name], []).append(index)
        for label in ambiguous:
            del self.labelled[label]

    def data_inputs(self, index: int) -> list[tuple[str, int]]:
        """Inputs of a node computed by nodes that run, each with its producer."""
        found = ((name, self.producer[name]) for name in self.nodes[index].inputs if name in self.producer)
        return [(name, producer) for name, producer in found if producer not in self.constant_nodes]

    def resolve(self, hint: str) -> int | None:
        """The node a name speaks of: its label, one of its outputs, or either with something appended to it."""
        while hint:
            if hint in self.labelled:
                return self.labelled[hint]
            if hint in self.producer:
                return self.producer[hint]
            hint = hint.rpartition("/")[0]
        return None


def attribute(source: SourceGraph, engine: Sequence[EngineNode]) -> dict[str, Attribution]:
    """For every engine node (in the order it runs) the source nodes it computes.

    1. A kernel owns the nodes whose output tensors it writes, looking through the engine's own layout changes;
    2. else the nodes its name speaks of; 3. else the nodes that use its weights; 4. else the one node of its
    type beside what a neighbouring kernel owns.
    Nodes nobody owns yet were fused: behind the last kernel that feeds them when their input is never written
    to memory, else in front of the first kernel that needs them. Kernels left without nodes work for their
    neighbours and get the neighbour's nodes. Nodes computed from constants alone never run.
    """
    return _Assignment(source, engine).solve()


class _Assignment:
    def __init__(self, source: SourceGraph, engine: Sequence[EngineNode]) -> None:
        self.source = source
        self.engine = engine
        self.owners: dict[int, list[int]] = {}  # source node -> engine nodes, in running order
        self.how: dict[int, str] = {}
        self.written: set[str] = set()  # source tensors that exist in memory
        self.alias = Aliases()
        self.passing: set[int] = set()
        self.writer = {name: index for index, node in enumerate(engine) for name in node.outputs}
        self.readers: dict[str, list[int]] = {}
        for index, node in enumerate(engine):
            for name in node.inputs:
                self.readers.setdefault(name, []).append(index)

    def solve(self) -> dict[str, Attribution]:
        self._look_through_layout_changes()
        self._own_by_tensors()
        self._own_by_names()
        self._own_by_weights()
        self._own_by_place(range(len(self.engine)))
        self._own_by_place(range(len(self.engine) - 1, -1, -1))
        self._claim_fused_behind()
        self._claim_fused_in_front()
        return self._with_neighbours(self._owned())

    def _owned(self) -> dict[int, list[int]]:
        owned: dict[int, list[int]] = {}
        for node, owners in sorted(self.owners.items()):
            for owner in owners:
                owned.setdefault(owner, []).append(node)
        return owned

    def _before(self, index: int) -> list[int]:
        return [self.writer[name] for name in self.engine[index].inputs if name in self.writer]

    def _behind(self, index: int) -> list[int]:
        return [reader for name in self.engine[index].outputs for reader in self.readers.get(name, ())]

    def _look_through_layout_changes(self) -> None:
        for index, node in enumerate(self.engine):
            if node.type not in _MOVING_TYPES or not node.inputs or not node.outputs:
                continue
            writes = self.source.producer.get(node.outputs[0])
            asked_for = writes is not None and self.source.nodes[writes].type == node.type
            if node.type in LAYOUT_TYPES or not (asked_for or any(self._hinted(node))):
                self.passing.add(index)
                self.alias.join(node.inputs[0], node.outputs[0])
        for node in self.engine:
            for name in (*node.inputs, *node.outputs):
                self.alias.note(name)
        self.written = {name for name in self.source.producer if name in self.alias}

    def _hinted(self, node: EngineNode) -> Iterable[int]:
        found = (self.source.resolve(hint) for hint in node.hints)
        return (index for index in found if index is not None and index not in self.source.constant_nodes)

    def _own(self, node: int, owner: int, how: str) -> None:
        owners = self.owners.setdefault(node, [])
        if owner not in owners:
            owners.append(owner)
            owners.sort()
        self.how.setdefault(owner, how)

    def _own_by_tensors(self) -> None:
        for index, node in enumerate(self.engine):
            if index in self.passing:
                continue
            for output in node.outputs:
                names = [output] if output in self.source.producer else self.alias.same(output)
                for writes in sorted({self.source.producer[n] for n in names if n in self.source.producer})[:1]:
                    if writes not in self.owners:  # also nodes of constants alone, where the engine does run them
                        self._own(writes, index, "tensors")

    def _own_by_names(self) -> None:
        taken = set(self.owners)
        for index, node in enumerate(self.engine):
            if index in self.passing:
                continue
            hinted = [n for n in self._hinted(node) if n not in taken]
            for found in hinted:
                self._own(found, index, "name")
            if node.closed and hinted:
                last = self._own_followers(max(hinted), index, node.followed_by)
                self.written.update(o for o in self.source.nodes[last].outputs if o)

    def _own_followers(self, found: int, owner: int, followed_by: Sequence[frozenset[str]]) -> int:
        """Own what a kernel says it fused behind a node, step by step; the last node of the chain."""
        for types in followed_by:
            behind = [c for c in self.source.consumers.get(found, ()) if self.source.nodes[c].type in types]
            if self.source.nodes[found].type in types or len(behind) != 1:
                continue  # the name spoke of it already, or it cannot be told
            found = behind[0]
            self._own(found, owner, "name")
        return found

    def _own_by_weights(self) -> None:
        for index, node in enumerate(self.engine):
            if index in self.passing or index in self.how:
                continue
            for name in node.inputs:
                users = self.source.constant_users.get(name, set())
                if len(users) == 1 and not users & self.owners.keys():
                    self._own(next(iter(users)), index, "tensors")

    def _own_by_place(self, order: Iterable[int]) -> None:
        """A kernel next to an owner, where just one free source node of its type stands next to what that one owns."""
        owned = self._owned()
        for index in order:
            node = self.engine[index]
            if index in self.passing or index in owned:
                continue
            before = [s for engine_node in self._before(index) for s in owned.get(engine_node, ())]
            behind = [s for engine_node in self._behind(index) for s in owned.get(engine_node, ())]
            near = {c for s in before for c in self.source.consumers.get(s, ())}
            near |= {p for s in behind for _, p in self.source.data_inputs(s)}
            fitting = [s for s in near if s not in self.owners and self.source.nodes[s].type == node.type]
            if len(fitting) == 1:
                self._own(fitting[0], index, "tensors")
                owned[index] = fitting

    def _claim_fused_behind(self) -> None:
        for node in range(len(self.source.nodes)):
            if node in self.owners or node in self.source.constant_nodes:
                continue
            kept_inside = [p for name, p in self.source.data_inputs(node) if name not in self.written]
            feeding = [self.owners[p][-1] for p in kept_inside if p in self.owners]
            if feeding:
                self._own(node, max(feeding), "tensors")

    def _claim_fused_in_front(self) -> None:
        for node in range(len(self.source.nodes) - 1, -1, -1):
            if node in self.owners or node in self.source.constant_nodes:
                continue
            needing = [self.owners[c][0] for c in self.source.consumers.get(node, ()) if c in self.owners]
            if needing:
                self._own(node, min(needing), "tensors")

    def _with_neighbours(self, owned: Mapping[int, Sequence[int]]) -> dict[str, Attribution]:
        parts = self._parts(owned)
        result: dict[str, Attribution] = {}
        for index, node in enumerate(self.engine):
            if index in parts:
                result[node.key] = Attribution(self._names(parts[index]), self.how.get(index, "tensors"))
                continue
            nearest = self._nearest_owner(index, owned)
            how = ("layout" if node.type in _MOVING_TYPES else "neighbour") if nearest is not None else ""
            result[node.key] = Attribution(self._names(owned[nearest]) if nearest is not None else (), how)
        return result

    def _parts(self, owned: Mapping[int, Sequence[int]]) -> dict[int, Sequence[int]]:
        """The owned nodes by kernel, and those of kernels that are a step in computing what one neighbour owns.

        An operator may be run as several kernels, one of them under its name. The others lie between that one
        and kernels whose nodes are its nodes' own neighbours in the model.
        """
        parts: dict[int, Sequence[int]] = dict(owned)
        total = len(self.engine)
        for order, to, back in (
            (range(total - 1, -1, -1), self._behind, self._before),
            (range(total), self._before, self._behind),
        ):
            for index in order:
                whole = {n for n in to(index) if n in parts}
                if index in parts or index in self.passing or len(set(to(index))) != 1 or len(whole) != 1:
                    continue
                nodes = parts[next(iter(whole))]
                around = [parts[n] for n in back(index) if n in parts]
                if len(around) == len(back(index)) and all(self._adjacent(nodes, other) for other in around):
                    parts[index] = nodes
        return parts

    def _adjacent(self, nodes: Sequence[int], others: Sequence[int]) -> bool:
        """True when they are the same nodes or the model has an edge between the two sets."""
        edges = self.source.consumers
        return any(a == b or b in edges.get(a, ()) or a in edges.get(b, ()) for a in nodes for b in others)

    def _nearest_owner(self, index: int, owned: Mapping[int, Sequence[int]]) -> int | None:
        """The closest kernel with nodes: what it prepares its output for, or for a reorder back what made its input."""
        back = self.engine[index].type == "ReorderOutput"
        frontier = self._before(index) + self._behind(index) if back else self._behind(index) + self._before(index)
        seen = {index}
        while frontier:
            for candidate in frontier:
                if candidate in owned:
                    return candidate
            seen.update(frontier)
            around = [n for candidate in frontier for n in (*self._behind(candidate), *self._before(candidate))]
            frontier = [n for n in dict.fromkeys(around) if n not in seen]
        return None

    def _names(self, nodes: Sequence[int]) -> tuple[str, ...]:
        return tuple(self.source.nodes[n].name for n in sorted(nodes))
