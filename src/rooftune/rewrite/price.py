"""What a few nodes cost on a machine: the measure by which rules that do not always pay are decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from rooftune.analysis.fusion import fusion_rules
from rooftune.analysis.groups import group_nodes
from rooftune.analysis.predict import predict
from rooftune.analysis.roofline import Roof, kernel_roofs
from rooftune.analysis.tensors import TensorTable
from rooftune.analysis.traffic import kernel_accesses
from rooftune.analysis.views import unfused_bytes
from rooftune.analysis.work import node_work
from rooftune.graph.model import Model
from rooftune.machine.spec import Machine
from rooftune.ops import Work

__all__ = ["Price", "Target", "price_of"]


@dataclass(frozen=True)
class Target:
    """The machine a model is rewritten for, the threads it runs on, and the backend whose fusions count."""

    machine: Machine
    threads: int
    backend: str


@dataclass(frozen=True)
class Price:
    """Cost of some nodes, on their own: nodes, FLOPs, unfused bytes, predicted seconds (None where not known)."""

    nodes: int
    flops: float | None
    bytes: float | None
    seconds: float | None

    def __lt__(self, other: Price) -> bool:
        """True where this is surely cheaper: by predicted time, else by a nominal machine, else by nodes."""
        for mine, its in ((self.seconds, other.seconds), (self._nominal, other._nominal)):
            if mine is not None and its is not None and mine != its:
                return mine < its
        return self.nodes < other.nodes

    def __sub__(self, other: Price) -> tuple[float | None, float | None, float | None]:
        """FLOPs, bytes and seconds that this costs more, in the order of the journal; None where one is not known."""
        pairs = ((self.flops, other.flops), (self.bytes, other.bytes), (self.seconds, other.seconds))
        flops, size, seconds = [None if a is None or b is None else a - b for a, b in pairs]
        return flops, size, seconds

    @property
    def _nominal(self) -> float | None:
        """FLOPs, a byte counting as ten: the ridge of many machines, for when none is named."""
        return None if self.flops is None or self.bytes is None else self.flops + 10 * self.bytes


def price_of(nodes: Sequence[ir.Node], model: Model, target: Target | None, table: TensorTable | None = None) -> Price:
    """Price of nodes in running order, as if nothing else ran; without a target no time is predicted.

    table  what is known of the tensors, where several prices of one unchanged graph are asked for
    """
    table = table or TensorTable(model)
    works = [node_work(node, table) for node in nodes]
    known = [w.work for w in works if isinstance(w.work, Work)]
    complete = len(known) == len(works)
    flops = sum((w.flops for w in known), start=0) if complete else None
    moved = [unfused_bytes(w) for w in works]
    size = (
        sum(m for m in moved if isinstance(m, int | float)) if all(isinstance(m, int | float) for m in moved) else None
    )
    seconds: float | None = 0.0
    if target is None:
        seconds = None
    else:
        kernels = group_nodes(works, fusion_rules(target.backend))
        accesses = [kernel_accesses(k, {}) for k in kernels]
        for kernel, roof in zip(kernels, kernel_roofs(kernels, accesses, target.machine, target.threads), strict=True):
            if not isinstance(roof, Roof) or seconds is None:
                seconds = None
                break
            if kernel.kind == "compute":
                seconds += predict(kernel, roof, target.machine, target.threads, target.backend).seconds
    return Price(
        nodes=sum(not w.folded for w in works),
        flops=float(flops) if isinstance(flops, int | float) else None,
        bytes=float(size) if size is not None else None,
        seconds=seconds,
    )
