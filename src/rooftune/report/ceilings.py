"""The ceilings of a record's machine: one peak per number format, one bandwidth per memory level."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rooftune.report.reading import number, operations_unit, positive, rows, section, words

__all__ = ["Ceiling", "Ceilings", "ceilings_of"]


@dataclass(frozen=True)
class Ceiling:
    """A limit with its name (`fp32`, `DRAM`) and value in FLOP/s or B/s."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True)
class Ceilings:
    """What bounds a run: peaks by number format, bandwidths by level, and the pair that makes the main roof."""

    peaks: tuple[Ceiling, ...]
    bandwidths: tuple[Ceiling, ...]
    main_peak: Ceiling | None
    main_bandwidth: Ceiling | None
    threads: float | None

    @property
    def ridge(self) -> float | None:
        """Intensity (FLOP/B) where the main peak and the DRAM bandwidth meet."""
        if self.main_peak is None or self.main_bandwidth is None:
            return None
        return self.main_peak.value / self.main_bandwidth.value

    def roof(self, intensity: float) -> float | None:
        """Attainable FLOP/s under the main roof."""
        if self.main_peak is None:
            return None
        if self.main_bandwidth is None:
            return self.main_peak.value
        return min(self.main_peak.value, intensity * self.main_bandwidth.value)


def ceilings_of(record: Mapping[str, Any]) -> Ceilings:
    """The ceilings for the thread count of the record's runs.

    Of the figures of one format or level, those taken with that many threads count, else those with the
    nearest lower count, else any. Bandwidth is that of reads where it was measured, never of non-temporal
    stores. The main roof has the number format of the analysis (else fp32) and the last level (DRAM).
    """
    machine = section(record, "machine")
    threads = _threads(record)
    peaks = tuple(
        Ceiling(name, value, operations_unit(name))
        for name, found in _grouped(rows(machine.get("peaks")), "format")
        if (value := _best(found, "flops_per_second", threads)) is not None
    )
    bandwidths = []
    for level in rows(machine.get("levels")):
        ordinary = [b for b in rows(level.get("bandwidths")) if words(b.get("stores")) in {"", "ordinary"}]
        reads = [b for b in ordinary if b.get("pattern") == "read"]
        value = _best(reads, "bytes_per_second", threads) or _best(ordinary, "bytes_per_second", threads)
        if value is not None:
            bandwidths.append(Ceiling(words(level.get("name")) or "memory", value, "B/s"))
    wanted = words(section(record, "analysis").get("format")) or "fp32"
    floats = [p for p in peaks if p.unit == "FLOP/s"]
    main_peak = next((p for p in peaks if p.name == wanted), None) or next(iter(floats or peaks), None)
    main_bandwidth = next((b for b in bandwidths if b.name == "DRAM"), bandwidths[-1] if bandwidths else None)
    return Ceilings(peaks, tuple(bandwidths), main_peak, main_bandwidth, threads)


def _threads(record: Mapping[str, Any]) -> float | None:
    places = (
        section(record, "best"),
        section(record, "profiles", "after"),
        section(record, "profiles", "before"),
        section(record, "analysis"),
        section(record, "settings"),
        section(record, "machine"),
    )
    return next((found for place in places if (found := positive(place.get("threads"))) is not None), None)


def _grouped(items: Iterable[Mapping[str, Any]], key: str) -> list[tuple[str, list[Mapping[str, Any]]]]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for item in items:
        if words(item.get(key)):
            groups.setdefault(words(item.get(key)), []).append(item)
    return list(groups.items())


def _best(found: list[Mapping[str, Any]], key: str, threads: float | None) -> float | None:
    usable = [(number(item.get("threads")), value) for item in found if (value := positive(item.get(key))) is not None]
    if threads is not None:
        at_most = [count for count, _ in usable if count is not None and count <= threads]
        if at_most:
            usable = [(count, value) for count, value in usable if count == max(at_most)]
    return max((value for _, value in usable), default=None)
