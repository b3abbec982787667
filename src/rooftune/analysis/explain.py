"""The gap ledger: what the time of a measured kernel and model went into, summing to all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Protocol

from rooftune.analysis.analyze import Analysis
from rooftune.analysis.fusion import fusion_rules
from rooftune.analysis.groups import Kernel, group_nodes
from rooftune.analysis.predict import alignment, prediction_model
from rooftune.analysis.roofline import Roof, kernel_roofs
from rooftune.analysis.traffic import Access, fused_bytes, kernel_accesses
from rooftune.analysis.work import NodeWork
from rooftune.machine.spec import Machine
from rooftune.ops import Work
from rooftune.quantities import Unknown

__all__ = ["CAUSES", "Explanation", "MeasuredKernel", "OperatorGap", "explain"]

CAUSES = ("roof", "padding", "utilisation", "traffic", "dispatch", "unfused", "residual")
"""Parts of the ledger.

roof         the lower bound of the work itself, fused as well as any described backend fuses it
padding      lanes that carry no channel
utilisation  arithmetic below the peak
traffic      bytes arriving below the ceiling of their level, and kernels that only reorder data
dispatch     starting kernels and synchronising threads, and the time between kernels
unfused      traffic of tensors that a fused kernel would have kept
residual     measured time that no source operator accounts for
"""

_BEST_FUSION = "openvino"  # of the backends whose groups are written down, the one that fuses most


class MeasuredKernel(Protocol):
    """A kernel an engine ran: its time in seconds and the source nodes it stands for.

    `how` is `layout` for kernels that only reorder data in front of or behind those nodes; `arithmetic` says how many
    operations it does over those of its nodes as they are written, as algorithms like Winograd's do fewer.
    """

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def source_nodes(self) -> Sequence[str]: ...
    @property
    def how(self) -> str: ...
    @property
    def arithmetic(self) -> float: ...


@dataclass(frozen=True)
class OperatorGap:
    """One measured kernel against its roof, which is that of the algorithm it uses. `ledger` holds shares of its time
    and sums to 1. `flops` are those of its nodes as they are written, `executed_flops` what it does."""

    name: str
    op: str
    nodes: tuple[str, ...]
    seconds: float
    share: float
    roof_seconds: float | None
    share_of_roof: float | None
    flops: float | None
    executed_flops: float | None
    bytes: float | None
    intensity: float | None
    level: str | None
    bound: str | None
    format: str | None
    flops_per_second: float | None
    bytes_per_second: float | None
    cause: str
    ledger: Mapping[str, float]
    arithmetic: float = 1.0


@dataclass(frozen=True)
class Explanation:
    """Where a model's measured time went. `ledger` holds shares of `model_seconds` and sums to 1."""

    model_seconds: float
    attributed_share: float
    residual_seconds: float
    dispatch_seconds_per_kernel: float
    operators: tuple[OperatorGap, ...]
    ledger: Mapping[str, float]


def explain(
    analysis: Analysis,
    storage: Mapping[str, str],
    measured: Sequence[MeasuredKernel],
    model_seconds: float,
    machine: Machine,
) -> Explanation:
    """Split the measured time into `CAUSES`, kernel by kernel and for the model.

    The parts are taken in a fixed order, each at most what is left: roof, unfused, dispatch, padding; the rest of
    a compute-bound kernel is low utilisation, of a memory-bound one traffic. Time between kernels is dispatch;
    kernels without a source operator are traffic when they only move data, residual otherwise.
    """
    nodes = [n for k in analysis.kernels for n in k.nodes]
    by_name = {n.name: n for n in nodes}
    order = {f.name: i for i, f in enumerate(analysis.nodes)}
    threads = analysis.threads
    ran = [None if m.how == "layout" else _as_kernel(m, by_name, order) for m in measured]
    claims = _claims(measured, ran)
    as_ran = _roofs([k for k in ran if k is not None], storage, machine, threads, order)
    ideal = _ideal_roofs(nodes, order, storage, machine, threads)
    start = _start_seconds(measured, ran, as_ran, analysis.backend_groups, threads)
    gaps = [
        _gap(m, k, None if k is None else as_ran[id(k)], ideal, claims, start, machine, model_seconds)
        for m, k in zip(measured, ran, strict=True)
    ]
    return _whole(gaps, measured, model_seconds, start)


def _as_kernel(measured: MeasuredKernel, by_name: Mapping[str, NodeWork], order: Mapping[str, int]) -> Kernel | None:
    nodes = sorted((by_name[s] for s in measured.source_nodes if s in by_name), key=lambda n: order[n.name])
    at_run_time = [n for n in nodes if not n.folded]
    if not at_run_time:
        return None
    anchor = max(at_run_time, key=_flops)
    made = {t.name for n in at_run_time for t in n.outputs if t is not None}
    last = {t.name for t in at_run_time[-1].outputs if t is not None}
    read_inside = {t.name for n in at_run_time for t in n.inputs if t is not None}
    kept = frozenset(made - read_inside) | last
    moves = any(not n.view for n in at_run_time)
    quantised = any(n.op == "DequantizeLinear" for n in at_run_time) and len(at_run_time) > 1
    return Kernel(tuple(at_run_time), anchor, "compute" if moves else "view", quantised, kept)


def _claims(measured: Sequence[MeasuredKernel], ran: Sequence[Kernel | None]) -> dict[str, float]:
    """Seconds of all kernels that compute a node, by the node's name: an engine may run one node as several."""
    claims: dict[str, float] = {}
    for m, k in zip(measured, ran, strict=True):
        if k is not None:
            claims[k.anchor.name] = claims.get(k.anchor.name, 0.0) + m.seconds
    return claims


def _flops(node: NodeWork) -> float:
    flops = 0 if isinstance(node.work, Unknown) else node.work.flops
    return float(flops) if isinstance(flops, int | float) else 0.0


def _roofs(
    kernels: Sequence[Kernel], storage: Mapping[str, str], machine: Machine, threads: int, order: Mapping[str, int]
) -> dict[int, tuple[Roof | Unknown, tuple[Access, ...]]]:
    schedule = sorted(kernels, key=lambda k: order[k.nodes[-1].name])
    accesses = [kernel_accesses(k, storage) for k in schedule]
    roofs = kernel_roofs(schedule, accesses, machine, threads)
    return {id(k): (roof, row) for k, roof, row in zip(schedule, roofs, accesses, strict=True)}


def _ideal_roofs(
    nodes: Sequence[NodeWork], order: Mapping[str, int], storage: Mapping[str, str], machine: Machine, threads: int
) -> dict[str, float]:
    """Roof seconds of the best described fusion, by the name of the node that anchors the group."""
    ordered = sorted(nodes, key=lambda n: order[n.name])
    kernels = group_nodes(ordered, fusion_rules(_BEST_FUSION))
    found = _roofs([k for k in kernels if k.kind == "compute"], storage, machine, threads, order)
    return {
        k.anchor.name: roof.seconds
        for k in kernels
        if k.kind == "compute" and isinstance(roof := found[id(k)][0], Roof)
    }


def _start_seconds(
    measured: Sequence[MeasuredKernel],
    ran: Sequence[Kernel | None],
    roofs: Mapping[int, tuple[Roof | Unknown, tuple[Access, ...]]],
    backend: str,
    threads: int,
) -> float:
    """Seconds one kernel needs to start: the median time of kernels with next to no work, else the backend's figure."""
    tiny = []
    for m, k in zip(measured, ran, strict=True):
        roof = None if k is None else roofs[id(k)][0]
        if isinstance(roof, Roof) and k is not None and k.kind == "compute" and roof.seconds < 0.2e-6 and m.seconds > 0:
            tiny.append(m.seconds)
    model = prediction_model(backend)
    stated = model.overhead_seconds + (model.thread_overhead_seconds if threads > 1 else 0.0)
    return min(median(tiny), 10 * stated) if len(tiny) >= 3 else stated


def _gap(
    measured: MeasuredKernel,
    kernel: Kernel | None,
    found: tuple[Roof | Unknown, tuple[Access, ...]] | None,
    ideal: Mapping[str, float],
    claims: Mapping[str, float],
    start: float,
    machine: Machine,
    model_seconds: float,
) -> OperatorGap:
    seconds = measured.seconds
    parts = dict.fromkeys(CAUSES, 0.0)
    roof = found[0] if found is not None else None
    if isinstance(roof, Roof):
        roof = _by_algorithm(roof, measured.arithmetic)
    if kernel is None or not isinstance(roof, Roof):
        moves = measured.how == "layout" or (kernel is None and _moves_data(measured.type))
        parts["traffic" if moves else "residual"] = seconds
        text = "reorders data for another kernel" if moves else "no source operator accounts for it"
        if isinstance(roof, Unknown):
            text = f"its work is not known: {roof.reason}"
        return _gap_row(measured, kernel, None, (), parts, text, model_seconds)
    left = seconds
    # where several kernels compute one node, each answers for its part of the time
    part = seconds / claims[kernel.anchor.name] if claims[kernel.anchor.name] > 0 else 1.0
    best = part * sum(ideal.get(n.name, 0.0) for n in kernel.nodes)
    left = _take(parts, "roof", min(best, part * roof.seconds), left)
    left = _take(parts, "unfused", max(0.0, part * roof.seconds - best), left)
    left = _take(parts, "dispatch", start, left)
    share = alignment(kernel.anchor, machine, roof.format)
    if roof.bound == "compute":
        left = _take(parts, "padding", part * roof.compute_seconds * (1 / share - 1), left)
    _take(parts, "utilisation" if roof.bound == "compute" and kernel.kind == "compute" else "traffic", left, left)
    text = _cause_text(parts, seconds, kernel, roof, share)
    return _gap_row(measured, kernel, roof, found[1] if found else (), parts, text, model_seconds, part)


def _by_algorithm(roof: Roof, arithmetic: float) -> Roof:
    """The roof where so much of the arithmetic is done: what has to be moved stays."""
    compute = roof.compute_seconds * arithmetic
    return replace(roof, compute_seconds=compute, seconds=max(compute, roof.memory_seconds))


def _take(parts: dict[str, float], cause: str, amount: float, left: float) -> float:
    taken = min(max(amount, 0.0), left)
    parts[cause] += taken
    return left - taken


_MOVES = ("reorder", "transpose", "copy", "convert", "cast", "memcpy", "pad", "concat")


def _moves_data(kind: str) -> bool:
    return any(word in kind.lower() for word in _MOVES)


def _cause_text(parts: Mapping[str, float], seconds: float, kernel: Kernel, roof: Roof, share: float) -> str:
    """The largest part that is not the roof, in words a designer can act on."""
    if seconds <= 0:
        return "no measurable time"
    cause = max((c for c in CAUSES if c != "roof"), key=lambda c: parts[c])
    if parts["roof"] >= 0.85 * seconds or parts[cause] < 0.05 * seconds:
        return f"at the roof ({roof.bound}-bound)"
    percent = f"{100 * parts[cause] / seconds:.0f} %"
    return {
        "padding": f"channels fill {100 * share:.0f} % of the vector lanes ({percent})",
        "utilisation": f"arithmetic below the {roof.format} peak ({percent})",
        "traffic": f"{roof.level} traffic below its ceiling ({percent})",
        "dispatch": f"starting the kernel outweighs its work ({percent})",
        "unfused": f"not fused with its neighbours: writes what the next kernel reads ({percent})",
        "residual": f"not accounted for ({percent})",
    }[cause]


def _gap_row(
    measured: MeasuredKernel,
    kernel: Kernel | None,
    roof: Roof | None,
    accesses: Sequence[Access],
    parts: Mapping[str, float],
    cause: str,
    model_seconds: float,
    part: float = 1.0,
) -> OperatorGap:
    work = kernel.work if kernel is not None else None
    flops = _number(work.flops, part) if isinstance(work, Work) else None
    done = part * measured.arithmetic
    executed = _number(work.flops - 2 * work.padding_macs, done) if isinstance(work, Work) else None
    size = _number(fused_bytes(accesses), part) if accesses else None
    seconds = measured.seconds
    return OperatorGap(
        name=kernel.name if kernel is not None else measured.name,
        op=kernel.op if kernel is not None else measured.type,
        nodes=tuple(measured.source_nodes),
        seconds=seconds,
        share=seconds / model_seconds if model_seconds > 0 else 0.0,
        roof_seconds=part * roof.seconds if roof else None,
        share_of_roof=part * roof.seconds / seconds if roof and seconds > 0 else None,
        flops=flops,
        executed_flops=executed,
        bytes=size,
        intensity=flops / size if flops is not None and size else None,
        level=roof.level if roof else None,
        bound=("overhead" if parts["dispatch"] > 0.5 * seconds else roof.bound) if roof else None,
        format=roof.format if roof else None,
        flops_per_second=executed / seconds if executed is not None and seconds > 0 else None,
        bytes_per_second=size / seconds if size is not None and seconds > 0 else None,
        cause=cause,
        ledger=_shares(parts, seconds),
        arithmetic=measured.arithmetic,
    )


def _number(value: object, part: float) -> float | None:
    return part * value if isinstance(value, int | float) else None


def _shares(parts: Mapping[str, float], seconds: float) -> dict[str, float]:
    if seconds <= 0:
        return {c: 1.0 if c == "residual" else 0.0 for c in CAUSES}
    return {c: parts[c] / seconds for c in CAUSES}


def _whole(
    gaps: Sequence[OperatorGap], measured: Sequence[MeasuredKernel], model_seconds: float, start: float
) -> Explanation:
    inside = sum(m.seconds for m in measured)
    attributed = sum(m.seconds for m in measured if m.source_nodes)
    parts = {c: sum(g.ledger[c] * g.seconds for g in gaps) for c in CAUSES}
    between = model_seconds - inside
    # a profiled run is slower than a bare one: when the kernels add up to more than the model takes, scale them
    scale = 1.0 if between >= 0 else model_seconds / inside
    parts = {c: seconds * scale for c, seconds in parts.items()}
    parts["dispatch"] += max(0.0, between)
    return Explanation(
        model_seconds=model_seconds,
        attributed_share=attributed / inside if inside > 0 else 0.0,
        residual_seconds=max(0.0, between),
        dispatch_seconds_per_kernel=start,
        operators=tuple(sorted(gaps, key=lambda g: -g.seconds)),
        ledger=_shares(parts, model_seconds),
    )
