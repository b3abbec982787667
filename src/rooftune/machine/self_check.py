"""Whether the figures of a machine agree with each other: a net for the slips that fill specification tables."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rooftune.machine.spec import Bandwidth, Level, Machine, Peak
from rooftune.quantities import Unknown, si

__all__ = ["self_check"]

_TOLERANCE = 0.02  # vendors round: 1979 for 2 · 989, 5.3 TB/s for 5325 GB/s
_RIDGES = (0.5, 2000.0)  # FLOP/B; outside of this a unit or a prefix slipped
_DATA_CENTRE = re.compile(r"\b(T4|A30|A100|H100|H200|B200|L4|L40S)\b")


def self_check(machine: Machine) -> list[str]:
    """What does not fit, one line each; an empty list if nothing is wrong.

    - a peak with clock, lanes and units equals clock · lanes · 2 · units;
    - a bandwidth with transfers and bus width equals transfers/s · bits / 8;
    - INT8 is twice FP16 on the matrix units of NVIDIA's data-centre parts;
    - a dense figure is at most half of the 2:4-sparse figure beside it;
    - no ridge (peak / DRAM bandwidth) is absurd.
    """
    problems = [p for peak in machine.peaks for p in _clock(peak)]
    problems += [p for level in machine.levels for b in level.bandwidths for p in _bus(level, b)]
    return [*problems, *_int8(machine), *_sparsity(machine), *_ridge(machine)]


def _differs(stated: float, computed: float) -> bool:
    return abs(stated / computed - 1) > _TOLERANCE


def _clock(peak: Peak) -> Iterator[str]:
    parts = (peak.clock_hz, peak.lanes, peak.units)
    if all(part is None for part in parts):
        return
    if peak.clock_hz is None or peak.lanes is None or peak.units is None:
        yield f"{peak.format}: clock_hz, lanes and units belong together"
        return
    computed = peak.clock_hz * peak.lanes * 2 * peak.units
    if _differs(peak.flops_per_second, computed):
        yield (
            f"{peak.format}: {si(peak.flops_per_second, 'FLOP/s')} is not clock · lanes · 2 · units"
            f" = {si(computed, 'FLOP/s')}"
        )


def _bus(level: Level, bandwidth: Bandwidth) -> Iterator[str]:
    if bandwidth.transfers_per_second is None and bandwidth.bus_bits is None:
        return
    if bandwidth.transfers_per_second is None or bandwidth.bus_bits is None:
        yield f"{level.name}: transfers_per_second and bus_bits belong together"
        return
    computed = bandwidth.transfers_per_second * bandwidth.bus_bits / 8
    if _differs(bandwidth.bytes_per_second, computed):
        yield (
            f"{level.name}: {si(bandwidth.bytes_per_second, 'B/s')} is not transfers/s · bits / 8"
            f" = {si(computed, 'B/s')}"
        )


def _largest(machine: Machine, number_format: str, *, sparse: bool, engine: str | None = None) -> float:
    fitting = [p for p in machine.peaks if p.format == number_format and p.sparse == sparse]
    return max((p.flops_per_second for p in fitting if engine in (None, p.engine)), default=0.0)


def _int8(machine: Machine) -> Iterator[str]:
    if machine.vendor != "NVIDIA" or not _DATA_CENTRE.search(machine.name):
        return
    half = _largest(machine, "fp16", sparse=False, engine="matrix")
    byte = _largest(machine, "int8", sparse=False, engine="matrix")
    if half and byte and _differs(byte, 2 * half):
        yield f"int8: {si(byte, 'OP/s')} is not twice the FP16 rate of {si(half, 'FLOP/s')}"


def _sparsity(machine: Machine) -> Iterator[str]:
    for number_format in sorted({p.format for p in machine.peaks if p.sparse}):
        dense = _largest(machine, number_format, sparse=False)
        sparse = _largest(machine, number_format, sparse=True)
        if dense > sparse / 2 * (1 + _TOLERANCE):
            found = f"{si(dense, 'FLOP/s')} is more than half of the sparse {si(sparse, 'FLOP/s')}"
            yield f"{number_format}: the dense {found}"


def _ridge(machine: Machine) -> Iterator[str]:
    low, high = _RIDGES
    for number_format in sorted({p.format for p in machine.peaks}):
        ridge = machine.ridge(number_format)
        if not isinstance(ridge, Unknown) and not low <= ridge <= high:
            yield f"{number_format}: a ridge of {ridge:.3g} FLOP/B is not between {low:g} and {high:g}"
