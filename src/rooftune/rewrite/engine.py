"""Applying rules until none applies any more: a work list of nodes, never a walk of the whole graph per change."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from rooftune.graph.collector import collector_at_rest
from rooftune.graph.constants import is_constant
from rooftune.graph.model import Model
from rooftune.graph.shapes import infer
from rooftune.rewrite.copying import copy_of
from rooftune.rewrite.edit import Workplace, commit
from rooftune.rewrite.journal import Journal
from rooftune.rewrite.match import Match, label_of
from rooftune.rewrite.price import Target
from rooftune.rewrite.rule import Rule
from rooftune.rewrite.sweep import Evaluate, Sweep
from rooftune.verdicts import Exactness, Refusal

__all__ = ["Rewritten", "rewrite"]

MAX_ROUNDS = 20
_DEFAULTS_SINCE = 4
_HALVES = (ir.DataType.FLOAT16, ir.DataType.BFLOAT16)
REACH = 4
"""How many readers away from a change a pattern may begin to match: the depth of the deepest pattern."""


@dataclass(frozen=True)
class Rewritten:
    """The model after its rewriting, what was done, and how exact all of it is.

    renamed  values that live on under another name: the old name and the new one
    """

    model: Model
    journal: Journal
    exactness: Exactness
    renamed: Mapping[str, str] = field(default_factory=dict)


@collector_at_rest()
def rewrite(
    model: Model,
    steps: Sequence[Rule | Sweep],
    *,
    target: Target | None = None,
    evaluate: Evaluate | None = None,
    update: Callable[[str], None] = lambda text: None,
) -> Rewritten:
    """Rewrite a copy of a model with these rules and sweeps until nothing changes any more.

    target    the machine for which rules that do not always pay are decided; None decides by FLOPs and bytes
    evaluate  computes constant parts of the graph that are too odd for NumPy; None leaves them
    The weights stay where they are: folded ones are worked out when the result is written.
    """
    copy = model.edited(copy_of(model.ir))
    _fix_defaults(copy.ir)
    defaults = _set_defaults_aside(copy.ir)
    place = Workplace(copy, target, evaluate)
    rules = [s for s in steps if isinstance(s, Rule) and s.since <= copy.opset]
    sweeps = [s for s in steps if isinstance(s, Sweep)]
    run = _Run(place, rules)
    for _ in range(MAX_ROUNDS):
        before = len(place.journal.applied)
        place.refused.clear()
        for sweep in sweeps:
            place.journal.applied += sweep.run(place)
        run.to_fixpoint(place.ruled_nodes())
        update(f"{len(place.journal.applied)} changes")
        if len(place.journal.applied) == before:
            break
    else:
        place.journal.notes.append(f"stopped after {MAX_ROUNDS} rounds, though there was more to do")
    place.journal.refused = place.refusals()
    place.journal.notes += _put_back(copy.ir, defaults)
    used = {a.rule for a in place.journal.applied}
    exactness = max((s.exactness for s in steps if s.name in used), key=_looseness, default=Exactness.BITWISE)
    if used and _holds_halves(place):
        # engines round to half precision where they please: fewer operators, other roundings
        exactness = max(exactness, Exactness.REASSOCIATES, key=_looseness)
    return Rewritten(copy, place.journal, exactness, _renamed(place))


def _holds_halves(place: Workplace) -> bool:
    return any(v.dtype in _HALVES for node in place.all_nodes() for v in node.outputs)


def _renamed(place: Workplace) -> dict[str, str]:
    """Where each value that was replaced can be found at the end."""
    found = {}
    for old, value in place.standing.items():
        name, last = value.name, value
        while name != old and name in place.standing and place.standing[name] is not last:
            last = place.standing[name]
            name = last.name
        if name and name != old:
            found[old] = name
    return found


def _fix_defaults(model: ir.Model) -> None:
    """Before format version 4 every initialiser had to be an input as well, and was a constant all the same."""
    if model.ir_version >= _DEFAULTS_SINCE:
        return
    graph = model.graph
    kept = [v for v in graph.inputs if v.name not in graph.initializers]
    graph.inputs.clear()
    graph.inputs.extend(kept)
    model.ir_version = _DEFAULTS_SINCE


def _set_defaults_aside(model: ir.Model) -> dict[str, ir.TensorProtocol]:
    """Take the values of initialisers that are inputs as well: callers may give others, so nothing follows from them.

    Shapes are inferred again without them.
    """
    graph = model.graph
    named = [v.name for v in graph.inputs if v.name in graph.initializers]
    values = {name: graph.initializers.pop(name) for name in named if name}
    found = {name: value.const_value for name, value in values.items() if value.const_value is not None}
    for value in values.values():
        value.const_value = None
    if found:
        infer(model)
    return found


def _put_back(model: ir.Model, defaults: Mapping[str, ir.TensorProtocol]) -> list[str]:
    """Let inputs have their defaults again; what a user should know about that."""
    for value in model.graph.inputs:
        tensor = defaults.get(value.name or "")
        if tensor is not None:
            value.const_value = tensor
            model.graph.register_initializer(value)
    if not defaults:
        return []
    some = ", ".join(list(defaults)[:3]) + (", ..." if len(defaults) > 3 else "")
    return [
        f"{some}: initialisers that are inputs too, whose values callers may replace, were not taken for constants; "
        "remove them from the inputs where nobody does"
    ]


def _depends_on_caller(match: Match) -> Refusal | None:
    """In the body of a function an attribute may be a parameter: nothing is known of its value."""
    for node in match.nodes:
        if any(a.is_ref() for a in node.attributes.values()):
            return Refusal("an attribute is a parameter of the function", label_of(node))
    return None


def _looseness(exactness: Exactness) -> float:
    return exactness.tolerance


class _Run:
    """The work list."""

    def __init__(self, place: Workplace, rules: Sequence[Rule]) -> None:
        self.place = place
        self.by_op: dict[tuple[str, str], list[Rule]] = {}
        for rule in rules:
            for op in sorted(rule.roots):
                self.by_op.setdefault(op, []).append(rule)

    def to_fixpoint(self, nodes: Iterable[ir.Node]) -> None:
        """Apply rules at these nodes and wherever a change reaches, until nothing applies."""
        waiting = deque(nodes)
        queued = {id(n) for n in waiting}
        limit = len(self.place.journal.applied) + 50 * len(waiting) + 1000
        while waiting:
            node = waiting.popleft()
            queued.discard(id(node))
            if node.graph is None:
                continue
            for rule in self.by_op.get((node.domain, node.op_type), ()):
                touched = self.attempt(rule, node)
                if touched is None:
                    continue
                for near in _reached(touched):
                    if id(near) not in queued:
                        queued.add(id(near))
                        waiting.append(near)
                break
            if len(self.place.journal.applied) > limit:
                self.place.journal.notes.append("stopped: the rules undo one another")
                return

    def attempt(self, rule: Rule, node: ir.Node) -> list[ir.Value] | None:
        """Apply a rule at a node; the values whose surroundings changed, or None where it was not applied."""
        self.place.refused.pop((rule.name, id(node)), None)
        match = rule.find(node)
        if match is None:
            return None
        outcome = _depends_on_caller(match) or rule.guard(match) if isinstance(match, Match) else match
        if outcome is None and isinstance(match, Match):
            done = commit(self.place, rule, match)
            if not isinstance(done, Refusal):
                return done
            outcome = done
        if outcome is not None:
            self.place.refuse(rule.name, node, outcome)
        return None


def _reached(values: Sequence[ir.Value]) -> list[ir.Node]:
    """Nodes at which a pattern could newly match: the makers and readers of these values, and readers behind them."""
    found: dict[int, ir.Node] = {}
    edge: list[ir.Value] = []
    for value in values:
        producer = value.producer()
        if producer is not None and producer.graph is not None:
            found[id(producer)] = producer
            edge += producer.outputs
        if not is_constant(value):  # readers of a shared constant have nothing to do with one another
            edge.append(value)
    for _ in range(REACH):
        following: list[ir.Value] = []
        for value in edge:
            for node, _ in value.uses():
                if node.graph is not None and id(node) not in found:
                    found[id(node)] = node
                    following += node.outputs
        edge = following
    return list(found.values())
