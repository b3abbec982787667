"""A machine as data: peaks per number format, bandwidth per memory level, each number with its standing."""

from __future__ import annotations

from dataclasses import dataclass, field

from rooftune.quantities import DType, Unknown

__all__ = ["FORMATS", "STANDINGS", "Bandwidth", "Level", "Machine", "Peak", "Standing", "format_of"]

STANDINGS = ("datasheet", "derived", "measured", "third-party", "estimate")
"""How a number is known, from a vendor's document to a guess."""


FORMATS = ("fp64", "fp32", "tf32", "fp16", "bf16", "fp8", "int8", "int4")
"""Number formats a machine has peaks for."""


@dataclass(frozen=True)
class Standing:
    """Where a number comes from: `kind` is one of `STANDINGS`, `source` a document or `unverified table, 2026-11`."""

    kind: str
    source: str
    date: str
    note: str = ""


@dataclass(frozen=True)
class Peak:
    """Highest arithmetic rate in one number format.

    format      `fp64`, `fp32`, `tf32`, `fp16`, `bf16`, `fp8`, `int8`, `int4`
    flops_per_second   FLOP/s (for integers: operations per second, 1 MAC = 2), dense
    engine      `vector` or `matrix` (tensor cores, AMX), `npu`
    accumulate  number format of the sums, where it is known
    sparse      True for figures that need 2:4 sparsity; never used as a ceiling
    threads     threads the figure was taken with; None = the whole device
    theoretical_flops_per_second  clock · lanes · 2 · units, where it can be stated
    instruction   the instruction that was measured; `variation` is the coefficient of variation of the measurement
    clock_hz, lanes, units   multiply-accumulates per cycle of one unit, and how many units the device has: what the
                figure can be checked against (clock · lanes · 2 · units); the clock is the vendor's boost clock
                unless the standing's note says otherwise
    """

    format: str
    flops_per_second: float
    standing: Standing
    engine: str = "vector"
    accumulate: str = ""
    sparse: bool = False
    threads: int | None = None
    theoretical_flops_per_second: float | None = None
    instruction: str = ""
    variation: float | None = None
    clock_hz: float | None = None
    lanes: int | None = None
    units: int | None = None


@dataclass(frozen=True)
class Bandwidth:
    """Bytes per second of one access pattern: `read`, `copy` or `triad` (bytes the program moves, read + written).

    `transfers_per_second` and `bus_bits` state what a data sheet's figure can be checked against (their product / 8).
    """

    bytes_per_second: float
    standing: Standing
    pattern: str = "read"
    threads: int | None = None
    stores: str = "ordinary"  # or `non-temporal`
    variation: float | None = None
    transfers_per_second: float | None = None
    bus_bits: int | None = None


@dataclass(frozen=True)
class Level:
    """One level of memory. `shared` is False where every core has its own copy of `size_bytes`."""

    name: str  # L1, L2, L3, DRAM
    size_bytes: int | None
    bandwidths: tuple[Bandwidth, ...] = ()
    shared: bool = True


@dataclass(frozen=True)
class Machine:
    """A named machine with its ceilings. Levels run from the fastest to DRAM."""

    id: str
    name: str
    kind: str  # cpu, gpu, npu, soc
    peaks: tuple[Peak, ...]
    levels: tuple[Level, ...]
    vendor: str = ""
    description: str = ""
    threads: int | None = None
    clock_hz: float | None = None
    isa: tuple[str, ...] = ()
    microarchitecture: str = ""
    power_mode: str = ""
    overhead_seconds: float | None = None  # time to start one kernel
    date: str = ""
    notes: tuple[str, ...] = field(default=())

    def peak(self, number_format: str, threads: int | None = None) -> float | Unknown:
        """FLOP/s of a number format on `threads` threads (None = as many as were measured).

        Between measured thread counts the nearest lower one is scaled linearly: arithmetic shares nothing.
        """
        dense = [p for p in self.peaks if p.format == number_format and not p.sparse]
        if not dense:
            return Unknown(f"{self.name} has no figure for {number_format}")
        if threads is None:
            return max(p.flops_per_second for p in dense)
        counted = [p for p in dense if p.threads is not None]
        if not counted:
            return max(p.flops_per_second for p in dense)
        at_most = [p for p in counted if p.threads is not None and p.threads <= threads]
        nearest = max(at_most or counted, key=lambda p: (p.threads or 0) * (1 if at_most else -1))
        assert nearest.threads is not None
        best = max(p.flops_per_second for p in counted if p.threads == nearest.threads)
        return best * threads / nearest.threads if not at_most or nearest.threads < threads else best

    def bandwidth(self, level: str = "DRAM", threads: int | None = None, pattern: str = "read") -> float | Unknown:
        """B/s of a memory level; a pattern that was not measured falls back to any that was.

        Between measured thread counts the nearest lower one is taken: memory is shared, so nothing is extrapolated.
        """
        found = next((lv for lv in self.levels if lv.name == level), None)
        ordinary = [b for b in (found.bandwidths if found else ()) if b.stores == "ordinary"]
        if not ordinary:
            return Unknown(f"{self.name} has no bandwidth figure for {level}")
        wanted = [b for b in ordinary if b.pattern == pattern] or ordinary
        if threads is not None:
            counted = [b for b in wanted if b.threads is not None]
            at_most = [b for b in counted if b.threads is not None and b.threads <= threads]
            if at_most:
                nearest = max(b.threads or 0 for b in at_most)
                wanted = [b for b in at_most if b.threads == nearest]
        return max(b.bytes_per_second for b in wanted)

    def level_sizes(self, threads: int) -> tuple[tuple[str, float], ...]:
        """Names and usable bytes of the cache levels for `threads` threads together, ending with unbounded DRAM."""
        caches = [
            (lv.name, float(lv.size_bytes * (1 if lv.shared else threads)))
            for lv in self.levels
            if lv.name != "DRAM" and lv.size_bytes and lv.bandwidths
        ]
        return (*caches, ("DRAM", float("inf")))

    def ridge(self, number_format: str = "fp32", threads: int | None = None) -> float | Unknown:
        """Intensity (FLOP/B) where the arithmetic and the DRAM ceiling meet."""
        peak, bandwidth = self.peak(number_format, threads), self.bandwidth("DRAM", threads)
        if isinstance(peak, Unknown):
            return peak
        if isinstance(bandwidth, Unknown):
            return bandwidth
        return peak / bandwidth


_FORMATS = {
    DType.FLOAT64: "fp64",
    DType.FLOAT32: "fp32",
    DType.FLOAT16: "fp16",
    DType.BFLOAT16: "bf16",
    DType.INT8: "int8",
    DType.UINT8: "int8",
}


def format_of(dtype: DType | None) -> str:
    """Number format whose peak bounds arithmetic on this element type (`fp32` where none fits better)."""
    if dtype is None:
        return "fp32"
    if dtype.text.startswith("float8"):
        return "fp8"
    return _FORMATS.get(dtype, "fp32")
