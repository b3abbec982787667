"""What of a model runs natively, and what in ONNX Runtime, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from rooftune.compiler.lower import lower, refusals
from rooftune.compiler.lower.disputed import is_disputed
from rooftune.compiler.lowering import INTEGERS, Lowered
from rooftune.compiler.partition import Cut, Partition, Prices, Stage, Task, partition
from rooftune.compiler.target import host_target
from rooftune.execute.constants import evaluate_constants
from rooftune.execute.stage_models import constant_results, stage_model, tasks_of, values_of, without_defaults
from rooftune.execute.stage_seconds import StageSeconds, copy_rate, machine_or_guess
from rooftune.graph.model import Model
from rooftune.graph.node_names import name_nodes
from rooftune.graph.types import value_type
from rooftune.ops import TensorType
from rooftune.quantities import time_text
from rooftune.rewrite.engine import rewrite
from rooftune.rewrite.order import choose_steps
from rooftune.verdicts import Refusal

__all__ = ["Divided", "NotNative", "Part", "Shares", "divide", "rewritten_model"]

_ENTRY_SECONDS = 2e-5
"""From one stage into the next: a call from Python, and waking threads that sleep."""

_NO_PRICES = Prices(lambda value: 0, lambda nodes, native: None, 1.0, 0.0)
"""Where nothing runs natively anyway."""


@dataclass(frozen=True)
class NotNative:
    """A node that ONNX Runtime runs, its operator, and why."""

    node: str
    op: str
    reason: str


@dataclass(frozen=True)
class Shares:
    """What of a model runs natively.

    nodes    share of the nodes that run
    time     share of the time that is spent there: predicted before it was measured; None where nobody can say
    refused  the other nodes with their reasons
    cuts     between the stages, as they were priced
    """

    nodes: float
    time: float | None
    refused: tuple[NotNative, ...] = ()
    cuts: tuple[Cut, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As records and `--json` carry it."""
        return {
            "native_share": {"nodes": self.nodes, "time": self.time},
            "refused": [{"node": r.node, "op": r.op, "reason": r.reason} for r in self.refused],
            "cuts": [{"bytes": cut.bytes, "seconds": cut.seconds} for cut in self.cuts],
        }


@dataclass(frozen=True)
class Part:
    """A stage as a model of its own; `lowered` holds its operations, None where ONNX Runtime runs it."""

    stage: Stage
    model: Model
    lowered: Lowered | None


@dataclass(frozen=True)
class Divided:
    """A model in stages.

    model      rewritten: whose nodes the stages name
    origins    the nodes of the model given that stand behind a rewritten one, where they are others
    constants  outputs that no node computes any more
    whole      True where one program takes all inputs and gives all outputs
    """

    model: Model
    origins: Mapping[str, tuple[str, ...]]
    parts: tuple[Part, ...]
    shares: Shares
    constants: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    whole: bool = False

    @property
    def native(self) -> bool:
        """True where anything at all runs natively."""
        return any(part.lowered is not None for part in self.parts)


@dataclass
class _Sides:
    """Which nodes cannot run natively, as far as anybody has found out."""

    model: Model
    values: Mapping[str, ir.Value]
    refused: dict[str, str] = field(default_factory=dict)
    lowered: dict[Stage, tuple[Model, Lowered]] = field(default_factory=dict)

    def lower(self, stage: Stage) -> bool:
        """Lower a native stage; where that is refused, note the nodes in the way and say False."""
        if stage in self.lowered:
            return True
        model = stage_model(self.model, stage, self.values)
        found = lower(model)
        if isinstance(found, Lowered):
            self.lowered[stage] = (model, found)
            return True
        reasons = {node.name or "": why.reason for node, why in refusals(model).items()}
        reasons |= {name: found.reason for name in _blamed(found, model, stage) if name not in reasons}
        self.refused |= reasons
        return False

    def part(self, stage: Stage) -> Part:
        """A stage, lowered if it is native, as a model of its own."""
        if stage.native:
            return Part(stage, *self.lowered[stage])
        return Part(stage, stage_model(self.model, stage, self.values), None)


def divide(model: Model, threads: int = 1, *, give_back: bool = True) -> Divided:
    """Rewrite a model of known sizes and part it into stages that run natively and others.

    A node without a kernel runs elsewhere, and so do those around which going there and back costs more than it
    saves, unless nothing is to be given back. Raises ValueError where the model cannot be cut, for example through a
    value whose type nobody knows.
    """
    rewritten, origins = rewritten_model(model)
    disputed = next((node for node in rewritten.nodes if is_disputed(node)), None)
    if disputed is not None:
        raise ValueError(
            f"engines make the result of {disputed.op_type} {disputed.name} of another size than ONNX does"
        )
    whole = lower(rewritten)
    tasks = tasks_of(rewritten, ())
    if isinstance(whole, Lowered):
        stage = Stage(True, tuple(t.name for t in tasks), tuple(whole.inputs), tuple(whole.outputs))
        return Divided(rewritten, origins, (Part(stage, rewritten, whole),), Shares(1.0, 1.0), whole=True)
    sides = _Sides(rewritten, values_of(rewritten))
    sides.refused |= {node.name or "": why.reason for node, why in refusals(rewritten).items()}
    found = _settled(tasks, sides, threads, give_back)
    parts = tuple(sides.part(stage) for stage in found.stages)
    reasons = {**sides.refused, **{node: _loss_text(loss) for node, loss in found.given_back.items()}}
    running = {task.name for task in tasks}
    refused = tuple(
        NotNative(node.name or "", node.op_type, reasons[node.name])
        for node in rewritten.nodes
        if node.name in reasons and node.name in running
    )
    shares = Shares(found.native_nodes, found.native_time, refused, found.cuts)
    return Divided(rewritten, origins, parts, shares, constant_results(rewritten))


def _settled(tasks: Sequence[Task], sides: _Sides, threads: int, give_back: bool) -> Partition:
    """The partition whose native stages can all be lowered: nodes that are in the way of that change sides."""
    results = [v.name or "" for v in sides.model.ir.graph.outputs]
    any_native = any(task.name not in sides.refused for task in tasks)
    prices = _prices(sides.model, sides.values, threads) if any_native else _NO_PRICES
    while True:
        sided = [replace(task, native=task.name not in sides.refused) for task in tasks]
        found = partition(sided, results, prices, give_back=give_back)
        lowered = [sides.lower(stage) for stage in found.stages if stage.native]
        if all(lowered):
            return found


def rewritten_model(model: Model) -> tuple[Model, Mapping[str, tuple[str, ...]]]:
    """The model as it is compiled, and which of its own nodes stand behind those of the rewritten one."""
    rewritten = rewrite(without_defaults(model), choose_steps((), ()), evaluate=evaluate_constants)
    origins: dict[str, tuple[str, ...]] = {}
    for entry in rewritten.journal.applied:
        before = [name for old in entry.removed for name in origins.pop(old, (old,))]
        for name in entry.added or (entry.node,):
            origins[name] = tuple(dict.fromkeys((*origins.get(name, (name,)), *before)))
    name_nodes(rewritten.model.ir.graph)  # nodes that came out of branches may be called as others are
    return rewritten.model, origins


def _prices(model: Model, values: Mapping[str, ir.Value], threads: int) -> Prices:
    target = host_target(threads=threads)
    assert target is not None, "models are parted for processors that there are kernels for"
    machine = machine_or_guess(target)

    def bytes_of(name: str) -> int:
        kind = value_type(values[name])
        return kind.bytes if isinstance(kind, TensorType) and isinstance(kind.bytes, int) else 0

    return Prices(bytes_of, StageSeconds.of(model, machine, threads), copy_rate(machine, threads), _ENTRY_SECONDS)


def _blamed(refusal: Refusal, model: Model, stage: Stage) -> Collection[str]:
    """The nodes of a stage that a refusal is about: the one it names, or who makes the value it names, or those that
    read it. With what makes integers go those that make integers for it: nothing of that can be handed out."""
    if refusal.at in stage.nodes:
        return [refusal.at]
    nodes = list(model.ir.graph)
    makers = {value.name: node for node in nodes for value in node.outputs}
    found: list[str] = []
    left: list[str | None] = [refusal.at]
    while left:
        maker = makers.get(left.pop())
        if maker is None or maker.name not in stage.nodes or maker.name in found:
            continue
        found.append(maker.name)
        left += [v.name for v in maker.inputs if v is not None and v.dtype in INTEGERS]
    readers = [node.name or "" for node in nodes if any(v is not None and v.name == refusal.at for v in node.inputs)]
    return found or [name for name in readers if name in stage.nodes] or stage.nodes


def _loss_text(seconds: float) -> str:
    return f"there is a kernel, but going there and back costs {time_text(seconds)} more than it saves"
