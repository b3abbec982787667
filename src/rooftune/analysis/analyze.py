"""Everything about a model on a machine: totals, fused groups under the roof, nodes, unknowns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rooftune.analysis.conventions import Convention, intensity_conventions
from rooftune.analysis.footprint import activation_peak
from rooftune.analysis.fusion import fusion_rules
from rooftune.analysis.groups import Kernel, group_nodes
from rooftune.analysis.parameters import count_parameters
from rooftune.analysis.predict import Prediction, predict
from rooftune.analysis.roofline import Roof, kernel_roofs
from rooftune.analysis.tensors import Tensor, shared_storage
from rooftune.analysis.traffic import Access, fused_bytes, kernel_accesses
from rooftune.analysis.views import ideal_bytes, textbook_bytes, unfused_bytes
from rooftune.analysis.work import NodeWork, model_work
from rooftune.graph.collector import collector_at_rest
from rooftune.graph.model import Model
from rooftune.machine.spec import Machine
from rooftune.ops import Work
from rooftune.ops.types import add_up
from rooftune.quantities import Count, Maybe, Unknown

__all__ = ["Analysis", "GroupFacts", "NodeFacts", "Totals", "UnknownNode", "analyze"]

_NUMBER = (int, float)


@dataclass(frozen=True)
class Totals:
    """Sums over the model. Counts cover the nodes whose work is known; `coverage` is their share.

    params and buffers in elements; bytes per view; times in seconds, `Unknown` while dimensions are open.
    """

    params: Count
    buffers: Count
    macs: Count
    executed_macs: Count
    flops: Count
    bytes: Mapping[str, Maybe]
    weight_bytes: Maybe
    footprint_bytes: Maybe
    coverage: float
    unknown_bytes_share: float | None
    intensity: float | None
    bound: str | None
    roof_seconds: float | Unknown
    predicted_seconds: float | Unknown


@dataclass(frozen=True)
class GroupFacts:
    """One kernel of the fused view under the roof."""

    name: str
    op: str
    kind: str
    nodes: tuple[str, ...]
    format: str | None
    macs: Maybe
    flops: Maybe
    executed_flops: Maybe
    bytes: Maybe
    bytes_by_role: Mapping[str, Maybe]
    intensity: float | None
    attainable_flops_per_second: float | None
    level: str | None
    bound: str | None
    roof_seconds: float | Unknown
    compute_seconds: float | Unknown
    memory_seconds: float | Unknown
    predicted_seconds: float | Unknown
    utilisation: float | None
    overhead_seconds: float | None


@dataclass(frozen=True)
class NodeFacts:
    """One node of the graph; times are its part of its group's."""

    name: str
    op: str
    domain: str
    group: str
    macs: Maybe
    flops: Maybe
    bytes: Mapping[str, Maybe]
    intensity: float | None
    bound: str | None
    roof_seconds: float | Unknown
    predicted_seconds: float | Unknown


@dataclass(frozen=True)
class UnknownNode:
    """A node whose work nobody can state, and why."""

    node: str
    op: str
    reason: str


@dataclass(frozen=True)
class Analysis:
    """What `rooftune.analyze` answers: the model's cost and its place under the roof of one machine."""

    machine: str
    threads: int
    format: str
    backend_groups: str
    totals: Totals
    conventions: tuple[Convention, ...]
    groups: tuple[GroupFacts, ...]
    nodes: tuple[NodeFacts, ...]
    unknown: tuple[UnknownNode, ...]
    warnings: tuple[str, ...] = ()
    kernels: tuple[Kernel, ...] = field(default=(), repr=False, compare=False)


@collector_at_rest()
def analyze(
    model: Model,
    machine: Machine,
    *,
    threads: int | None = None,
    backend: str = "onnxruntime",
    number_format: str | None = None,
) -> Analysis:
    """Count the work of a loaded model and place it under the roof of `machine`.

    threads        how many the time bounds are for; None = all the machine has
    backend        whose fused groups to use: `onnxruntime`, `openvino` or `none`
    number_format  take arithmetic and floating-point tensors in this format instead of the model's own
    """
    count = threads or machine.threads or 1
    nodes = model_work(model)
    storage = shared_storage(model)
    kernels = group_nodes(nodes, fusion_rules(backend))
    accesses = [kernel_accesses(k, storage) for k in kernels]
    roofs = kernel_roofs(kernels, accesses, machine, count, number_format)
    predictions = [
        roof if isinstance(roof, Unknown) else predict(kernel, roof, machine, count, backend)
        for kernel, roof in zip(kernels, roofs, strict=True)
    ]
    groups = tuple(
        _group_facts(*parts)
        for parts in zip(kernels, accesses, roofs, predictions, strict=True)
        if parts[0].kind != "folded"
    )
    ideal = ideal_bytes(nodes, storage)
    node_facts = _all_node_facts(nodes, kernels, accesses, groups, ideal)
    totals = _totals(nodes, groups, node_facts, storage)
    macs, flops = totals.macs, totals.flops
    return Analysis(
        machine=machine.id,
        threads=count,
        format=number_format or _main_format(groups),
        backend_groups=backend,
        totals=totals,
        conventions=intensity_conventions(nodes, macs, flops, totals.bytes["fused"], totals.weight_bytes),
        groups=groups,
        nodes=node_facts,
        unknown=tuple(
            UnknownNode(n.name, f"{n.domain}::{n.op}" if n.domain else n.op, n.work.reason)
            for n in nodes
            if isinstance(n.work, Unknown)
        ),
        warnings=model.warnings,
        kernels=kernels,
    )


def _ratio(a: Maybe, b: Maybe) -> float | None:
    if isinstance(a, _NUMBER) and isinstance(b, _NUMBER) and b > 0:
        return float(a) / float(b)
    return None


def _group_facts(
    kernel: Kernel, accesses: Sequence[Access], roof: Roof | Unknown, prediction: Prediction | Unknown
) -> GroupFacts:
    work = kernel.work
    size = fused_bytes(accesses)
    flops: Maybe = work.flops if isinstance(work, Work) else work
    executed: Maybe = (
        flops if isinstance(flops, Unknown) or isinstance(work, Unknown) else flops - 2 * work.padding_macs
    )
    roof_known = isinstance(roof, Roof)
    return GroupFacts(
        name=kernel.name,
        op=kernel.op,
        kind=kernel.kind,
        nodes=tuple(n.name for n in kernel.nodes),
        format=roof.format if isinstance(roof, Roof) else None,
        macs=work.macs if isinstance(work, Work) else work,
        flops=flops,
        executed_flops=executed,
        bytes=size,
        bytes_by_role={
            role: add_up([a.bytes for a in accesses if a.role == role]) for role in ("input", "weight", "output")
        },
        intensity=_ratio(flops, size),
        attainable_flops_per_second=(
            float(executed) / roof.seconds
            if isinstance(roof, Roof) and roof.seconds > 0 and isinstance(executed, _NUMBER)
            else None
        ),
        level=roof.level if isinstance(roof, Roof) else None,
        bound=prediction.bound if isinstance(prediction, Prediction) else None,
        roof_seconds=roof.seconds if isinstance(roof, Roof) else roof,
        compute_seconds=roof.compute_seconds if isinstance(roof, Roof) else roof,
        memory_seconds=roof.memory_seconds if isinstance(roof, Roof) else roof,
        predicted_seconds=prediction.seconds if isinstance(prediction, Prediction) else prediction,
        utilisation=prediction.utilisation if isinstance(prediction, Prediction) and roof_known else None,
        overhead_seconds=prediction.overhead_seconds if isinstance(prediction, Prediction) else None,
    )


def _all_node_facts(
    nodes: Sequence[NodeWork],
    kernels: Sequence[Kernel],
    accesses: Sequence[Sequence[Access]],
    groups: Sequence[GroupFacts],
    ideal: Sequence[Maybe],
) -> tuple[NodeFacts, ...]:
    facts_of = {g.name: g for g in groups}
    place = {id(n): k for k in kernels for n in k.nodes}
    found = []
    shares: dict[int, float] = {}
    fused: dict[int, list[Maybe]] = {}
    for kernel, row in zip(kernels, accesses, strict=True):
        shares.update(_time_shares(kernel))
        for owner, size in _border_parts(kernel, row):
            fused.setdefault(owner, []).append(size)
    for node, ideal_part in zip(nodes, ideal, strict=True):
        kernel = place[id(node)]
        group = None if node.folded else facts_of[kernel.name]
        unfused = unfused_bytes(node)
        work = node.work
        flops: Maybe = work.flops if isinstance(work, Work) else work
        found.append(
            NodeFacts(
                name=node.name,
                op=node.op,
                domain=node.domain,
                group=kernel.name,
                macs=work.macs if isinstance(work, Work) else work,
                flops=flops,
                bytes={
                    "textbook": textbook_bytes(node),
                    "unfused": unfused,
                    "fused": add_up(fused.get(id(node), ())),
                    "ideal": ideal_part,
                },
                intensity=_ratio(flops, unfused),
                bound=None if group is None else group.bound,
                roof_seconds=0.0 if group is None else _part(group.roof_seconds, shares[id(node)]),
                predicted_seconds=0.0 if group is None else _part(group.predicted_seconds, shares[id(node)]),
            )
        )
    return tuple(found)


def _part(seconds: float | Unknown, share: float) -> float | Unknown:
    return seconds if isinstance(seconds, Unknown) else seconds * share


def _time_shares(kernel: Kernel) -> dict[int, float]:
    """How a kernel's time is told apart among its nodes: by executed FLOPs, evenly where there are none."""
    if len(kernel.nodes) == 1:
        return {id(kernel.anchor): 1.0}
    weights = []
    for node in kernel.nodes:
        flops = 0 if isinstance(node.work, Unknown) else node.work.flops - 2 * node.work.padding_macs
        weights.append(float(flops) if isinstance(flops, _NUMBER) else 1.0)
    total = sum(weights)
    if total <= 0:
        return {id(n): 1.0 / len(kernel.nodes) for n in kernel.nodes}
    return {id(n): w / total for n, w in zip(kernel.nodes, weights, strict=True)}


def _border_parts(kernel: Kernel, accesses: Sequence[Access]) -> Iterator[tuple[int, Maybe]]:
    """Each tensor at the border of a kernel, given to the node (its id) that is the first of the kernel to touch it."""
    readers: dict[str, int] = {}
    writers: dict[str, int] = {}
    for node in kernel.nodes if accesses else ():
        for tensors, first in ((node.inputs, readers), (node.outputs, writers)):
            for tensor in tensors:
                if tensor is not None:
                    first.setdefault(tensor.name, id(node))
    for access in accesses:
        owner = (writers if access.role == "output" else readers).get(access.tensor.name)
        if owner is not None:
            yield owner, access.bytes


def _known_sum(values: Sequence[Maybe]) -> Maybe:
    """Sum of what is known; `Unknown` only where nothing is."""
    known = [v for v in values if not isinstance(v, Unknown)]
    if values and not known:
        return values[0]
    return add_up(known)


def _totals(
    nodes: Sequence[NodeWork], groups: Sequence[GroupFacts], facts: Sequence[NodeFacts], storage: Mapping[str, str]
) -> Totals:
    works = [n.work for n in nodes if isinstance(n.work, Work)]
    macs = sum((w.macs for w in works), start=0)
    flops: Count = sum((f.flops for f in facts if not isinstance(f.flops, Unknown)), start=0)
    padding = sum((w.padding_macs for w in works), start=0)
    parameters = count_parameters(nodes, dict(storage))
    weights = _weight_bytes(nodes, storage)
    activations = activation_peak(nodes)
    sizes = {view: _known_sum([f.bytes[view] for f in facts]) for view in ("textbook", "unfused", "fused", "ideal")}
    roof = _sum_seconds([g.roof_seconds for g in groups])
    heaviest = [g for g in groups if isinstance(g.predicted_seconds, float) and g.bound]
    by_bound: dict[str, float] = {}
    for group in heaviest:
        assert isinstance(group.predicted_seconds, float) and group.bound
        by_bound[group.bound] = by_bound.get(group.bound, 0.0) + group.predicted_seconds
    return Totals(
        params=parameters.learnable,
        buffers=parameters.buffers,
        macs=macs,
        executed_macs=macs - padding,
        flops=flops,
        bytes=sizes,
        weight_bytes=weights,
        footprint_bytes=add_up((weights, activations)),
        coverage=len(works) / len(nodes) if nodes else 1.0,
        unknown_bytes_share=_unknown_share(facts),
        intensity=_ratio(flops, sizes["fused"]),
        bound=max(by_bound, key=lambda b: by_bound[b]) if by_bound and not isinstance(roof, Unknown) else None,
        roof_seconds=roof,
        predicted_seconds=_sum_seconds([g.predicted_seconds for g in groups]),
    )


def _sum_seconds(parts: Sequence[float | Unknown]) -> float | Unknown:
    """Sum of the known times; nodes of unknown work are left out (coverage says how many), open dimensions are not."""
    known = [p for p in parts if not isinstance(p, Unknown)]
    missing = [p for p in parts if isinstance(p, Unknown)]
    open_ones = [p for p in missing if "open dimensions" in p.reason]
    if open_ones:
        return open_ones[0]
    if missing and not any(known):  # views alone take no time, and say nothing of the rest
        return missing[0]
    return float(sum(known))


def _unknown_share(facts: Sequence[NodeFacts]) -> float | None:
    """Share of the unfused bytes that nodes of unknown work move; None where sizes are not known."""
    whole, unknown = 0.0, 0.0
    for node in facts:
        size = node.bytes["unfused"]
        if not isinstance(size, _NUMBER):
            return None
        whole += size
        unknown += size if isinstance(node.flops, Unknown) else 0
    return unknown / whole if whole else 0.0


def _weight_bytes(nodes: Sequence[NodeWork], storage: Mapping[str, str]) -> Maybe:
    """Bytes of all constants the nodes read at run time, shared ones once."""
    found: dict[str, Tensor] = {}
    for node in nodes:
        if not node.folded:
            for tensor in node.inputs:
                if tensor is not None and tensor.constant:
                    found.setdefault(storage.get(tensor.name, tensor.name), tensor)
    return add_up([t.bytes for t in found.values()])


def _main_format(groups: Sequence[GroupFacts]) -> str:
    """The number format most of the FLOPs are in."""
    counts: dict[str, float] = {}
    for group in groups:
        if group.format and isinstance(group.flops, _NUMBER):
            counts[group.format] = counts.get(group.format, 0.0) + group.flops
    return max(counts, key=lambda f: counts[f]) if counts else "fp32"
