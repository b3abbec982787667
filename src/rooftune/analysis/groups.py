"""Grouping nodes into the kernels a backend runs: the `fused` view."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from rooftune.analysis.fusion import FusionRules, Pattern, Slot
from rooftune.analysis.tensors import Tensor
from rooftune.analysis.work import NodeWork, add_works
from rooftune.ops import TensorType, Work
from rooftune.quantities import Unknown

__all__ = ["Kernel", "group_nodes"]


@dataclass(frozen=True)
class Kernel:
    """Nodes that a backend runs as one kernel, in execution order.

    `kind` is `compute`, `view` or `folded`; `kept` names the tensors made inside that somebody outside needs.
    """

    nodes: tuple[NodeWork, ...]
    anchor: NodeWork
    kind: str = "compute"
    quantised: bool = False
    kept: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return self.anchor.name

    @property
    def op(self) -> str:
        return "+".join(dict.fromkeys([n.op for n in self.nodes]))

    @cached_property
    def work(self) -> Work | Unknown:
        """Arithmetic of all nodes; views and folded nodes do none. What moves is not part of it."""
        if self.kind != "compute":
            return Work()
        works = [node.work for node in self.nodes]
        missing = next((work for work in works if isinstance(work, Unknown)), None)
        return missing or add_works([work for work in works if isinstance(work, Work)])


def group_nodes(nodes: Sequence[NodeWork], rules: FusionRules) -> tuple[Kernel, ...]:
    """Every node in exactly one kernel; kernels in the order of their last node.

    A node joins a kernel only if all readers of the tensors that would vanish are in that kernel too and no
    model output vanishes.
    """
    return _Grouping(nodes, rules).kernels()


class _Grouping:
    def __init__(self, nodes: Sequence[NodeWork], rules: FusionRules) -> None:
        self.nodes = nodes
        self.rules = rules
        self.place = {id(n): i for i, n in enumerate(nodes)}
        self.taken: set[int] = set()
        self.readers: dict[str, list[NodeWork]] = {}
        self.producer: dict[str, NodeWork] = {}
        for node in nodes:
            for name in {t.name for t in node.inputs if t is not None}:
                self.readers.setdefault(name, []).append(node)
            for output in node.outputs:
                if output is not None:
                    self.producer[output.name] = node

    def kernels(self) -> tuple[Kernel, ...]:
        found: list[Kernel] = []
        found += [self._take([node], node, "folded") for node in self.nodes if node.folded]
        for quantised in self.rules.quantised:
            for node in self.nodes:
                if node.op in quantised.ops and self._free(node):
                    members = self._between_q_and_dq(node, quantised.epilogue)
                    if members:
                        found.append(self._take(members, node, "compute", quantised=True))
        for pattern in self.rules.patterns:
            if len(pattern.ops) > 2:  # short patterns are epilogues first, see the slots
                found += self._patterns(pattern)
        for group in self.rules.groups:
            for node in self.nodes:
                if node.op in group.anchor and self._free(node):
                    members = [*self._taken_in_before(node, group.before), *self._with_epilogue(node, group.slots)]
                    found.append(self._take(members, node, "compute"))
        for pattern in self.rules.patterns:
            found += self._patterns(pattern)
        for node in self.nodes:
            if self._free(node):
                found.append(
                    self._take([node], node, "view" if node.op in self.rules.views or node.view else "compute")
                )
        return tuple(sorted(found, key=lambda k: self.place[id(k.nodes[-1])]))

    def _take(self, members: Iterable[NodeWork], anchor: NodeWork, kind: str, quantised: bool = False) -> Kernel:
        ordered = sorted(members, key=lambda n: self.place[id(n)])
        inside = {id(n) for n in ordered}
        self.taken |= inside
        made = [t for n in ordered for t in n.outputs if t is not None]
        kept = {t.name for t in made if t.is_output or any(id(n) not in inside for n in self.readers.get(t.name, ()))}
        return Kernel(tuple(ordered), anchor, kind, quantised, frozenset(kept))

    def _free(self, node: NodeWork) -> bool:
        return id(node) not in self.taken

    def _only_reader(self, tensor: Tensor, members: Sequence[NodeWork]) -> NodeWork | None:
        """The one node outside `members` that reads the tensor, if nobody else needs it."""
        if tensor.is_output:
            return None
        inside = {id(m) for m in members}
        outside = [n for n in self.readers.get(tensor.name, ()) if id(n) not in inside]
        return outside[0] if len(outside) == 1 and self._free(outside[0]) else None

    def _with_epilogue(self, anchor: NodeWork, slots: Sequence[Slot]) -> list[NodeWork]:
        members = [anchor]
        tail = anchor
        for slot in slots:
            if (slot.after and anchor.op not in slot.after) or (slot.ungrouped and _is_grouped(anchor)):
                continue
            while True:
                added = self._fill(slot, tail, members)
                if not added:
                    break
                members += added
                tail = added[-1]
                if not slot.many:
                    break
        return members

    def _taken_in_before(self, anchor: NodeWork, slots: Sequence[Slot]) -> list[NodeWork]:
        """Producers of the anchor's inputs that only scale or shift them by a constant."""
        found: list[NodeWork] = []
        for slot in slots:
            for tensor in anchor.inputs:
                producer = None if tensor is None else self.producer.get(tensor.name)
                if tensor is None or producer is None or producer.op not in slot.ops or not self._free(producer):
                    continue
                constants = [t for t in producer.inputs if t is not None and t.constant]
                if self._only_reader(tensor, ()) is anchor and (slot.other != "constant" or constants):
                    found.append(producer)
        return found

    def _fill(self, slot: Slot, tail: NodeWork, members: Sequence[NodeWork]) -> list[NodeWork]:
        output = tail.outputs[0] if tail.outputs else None
        if output is None or sum(t is not None for t in tail.outputs) != 1:
            return []
        for pattern in self.rules.patterns:
            if pattern.name in slot.patterns:
                matched = self._follow(output, pattern, members)
                if matched:
                    return matched
        following = self._only_reader(output, members)
        if following is None or following.op not in slot.ops:
            return []
        result = following.outputs[0]
        if result is None or _dims(result) != _dims(output):
            return []  # what makes the tensor larger is no epilogue
        others = [t for t in following.inputs if t is not None and t.name != output.name]
        if slot.other == "constant" and not all(t.constant for t in others):
            return []
        if slot.other == "tensor" and (not others or any(t.constant for t in others)):
            return []
        if slot.other == "tensor" and any(t.type != output.type for t in others):
            return []  # a broadcast operand is not a residual
        if slot.other == "tensor" and not self._ready_before(others, members):
            return []
        return [following]

    def _ready_before(self, others: Sequence[Tensor], members: Sequence[NodeWork]) -> bool:
        """A residual operand must not itself come out of this kernel's own nodes' later readers: no cycle."""
        names = {t.name for m in members for t in m.outputs if t is not None}
        pending = [t.name for t in others]
        seen: set[str] = set()
        earliest = min(self.place[id(m)] for m in members)
        while pending:
            name = pending.pop()
            if name in names:
                return False
            if name in seen:
                continue
            seen.add(name)
            producer = self.producer.get(name)
            if producer is not None and self.place[id(producer)] > earliest:
                pending += [t.name for t in producer.inputs if t is not None]
        return True

    def _patterns(self, pattern: Pattern) -> list[Kernel]:
        found = []
        for node in self.nodes:
            if node.op != pattern.ops[0] or not self._free(node):
                continue
            for start in [t for t in node.inputs if t is not None and not t.constant][:2]:
                matched = self._follow(start, pattern, (), first=node)
                if matched:
                    whole = self._with_surroundings(matched, pattern)
                    found.append(self._take(whole, matched[-1], "compute"))
                    break
        return found

    def _follow(
        self, start: Tensor, pattern: Pattern, members: Sequence[NodeWork], first: NodeWork | None = None
    ) -> list[NodeWork]:
        """Nodes with the operators of a pattern that read `start`, constants and each other; [] where it is not there.

        With `members`, `start` itself vanishes into the kernel, so nobody else may read it.
        """
        matched: list[NodeWork] = []
        known = {start.name}
        for op in pattern.ops:
            candidates = [first] if first is not None and not matched else self._readers_of(known, matched)
            fitting = (n for n in candidates if n.op == op and self._free(n))
            following = next((n for n in fitting if pattern.operands or self._closed(n, known)), None)
            if following is None:
                return []
            matched.append(following)
            made = {t.name for t in following.outputs if t is not None}
            known = made if pattern.operands else known | made
        inside = {id(n) for n in (*members, *matched)}
        vanishing = [t for n in matched[:-1] for t in n.outputs if t is not None]
        vanishing += [start] if members else []
        for tensor in vanishing:
            if tensor.is_output or any(id(n) not in inside for n in self.readers.get(tensor.name, ())):
                return []
        return matched

    def _with_surroundings(self, matched: Sequence[NodeWork], pattern: Pattern) -> list[NodeWork]:
        """The nodes of a pattern with those before and behind it that only serve it."""
        members = list(matched)
        pending = list(matched)
        while pattern.around and pending:
            node = pending.pop()
            for tensor in node.inputs:
                producer = None if tensor is None else self.producer.get(tensor.name)
                if tensor is None or producer is None or not self._free(producer):
                    continue
                # of two transposes in a row one is a kernel of its own
                if producer.op == node.op or not _serves(producer, pattern):
                    continue
                if producer not in members and self._only_reader(tensor, [n for n in members if n is not node]) is node:
                    members.append(producer)
                    pending.append(producer)
        output = matched[-1].outputs[0] if matched[-1].outputs else None
        behind = None if output is None else self._only_reader(output, members)
        return [*members, behind] if behind is not None and _serves(behind, pattern) else members

    def _readers_of(self, names: Iterable[str], matched: Sequence[NodeWork]) -> list[NodeWork]:
        chosen = {id(n) for n in matched}
        return [n for name in names for n in self.readers.get(name, ()) if id(n) not in chosen]

    @staticmethod
    def _closed(node: NodeWork, known: set[str]) -> bool:
        return all(t is None or t.constant or t.name in known for t in node.inputs)

    def _between_q_and_dq(self, node: NodeWork, epilogue: frozenset[str]) -> list[NodeWork]:
        """DequantizeLinear before every floating input, then the node, an activation, QuantizeLinear after it."""
        before = []
        for tensor in node.inputs:
            if tensor is None or (tensor.constant and tensor.name not in self.producer):
                continue
            producer = self.producer.get(tensor.name)
            if producer is None or producer.op != "DequantizeLinear":
                return []
            if self._free(producer) and len(self.readers.get(tensor.name, ())) == 1:
                before.append(producer)
        members = [*before, node]
        tail = node
        for ops in (epilogue, frozenset({"QuantizeLinear"})):
            output = tail.outputs[0] if tail.outputs else None
            following = None if output is None else self._only_reader(output, members)
            if following is not None and following.op in ops:
                members.append(following)
                tail = following
        return members if tail.op == "QuantizeLinear" and any(n.op == "DequantizeLinear" for n in before) else []


def _is_grouped(node: NodeWork) -> bool:
    """True for a convolution of several groups that is not depthwise."""
    group = int((node.attributes or {}).get("group", 1))
    weight = node.inputs[1] if len(node.inputs) > 1 else None
    kind = weight.type if weight is not None else None
    if group == 1 or not isinstance(kind, TensorType) or not kind.dims or len(kind.dims) < 2:
        return False
    return kind.dims[1] != 1


def _dims(tensor: Tensor) -> object:
    return getattr(tensor.type, "dims", None)


def _serves(node: NodeWork, pattern: Pattern) -> bool:
    """True for a node the kernel of a pattern takes in before or behind it."""
    if node.op not in pattern.around:
        return False
    order = tuple((node.attributes or {}).get("perm", ()))
    return node.op != "Transpose" or not pattern.orders or order in pattern.orders
