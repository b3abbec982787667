"""The whole probe: this computer's ceilings, measured, as a machine like those of the catalog."""

from __future__ import annotations

import datetime
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import psutil

from rooftune.errors import InputError
from rooftune.execute.probe import tiles
from rooftune.execute.probe.arithmetic import ArithmeticKernel
from rooftune.execute.probe.bandwidths import Arrays, StreamMeter, cache_shares, dram_array_bytes
from rooftune.execute.probe.measure import Result, Sample, combine, sample_in_turns
from rooftune.execute.probe.peaks import PeakMeter
from rooftune.execute.probe.streams import StreamKernel
from rooftune.execute.probe.threads import Team
from rooftune.execute.probe.trial import CLOCK, arithmetic_kernels, stream_kernels, try_kernels
from rooftune.execute.probe.verify import register_bytes
from rooftune.machine.microarchitecture import identify, theoretical_flops_per_cycle
from rooftune.machine.spec import Bandwidth, Level, Machine, Peak, Standing
from rooftune.machine.topology import Topology, cache_levels, read_topology, usable_threads
from rooftune.protocols import Progress, SilentProgress
from rooftune.quantities import Unknown

__all__ = ["SOURCE", "probe_host", "thread_counts"]

SOURCE = "rooftune machine probe"
_FORMATS = ("fp64", "fp32", "fp16", "bf16", "int8")
_SHARED_BELOW = 0.8
_ACCUMULATE = {"double": "fp64", "float": "fp32", "half": "fp16", "i32": "int32"}


@dataclass(frozen=True)
class _Effort:
    """How long to measure: windows per sample (of DRAM: walks through the arrays), samples per sweep, sweeps.

    seconds   a bound on the sampling; beside it come the trial of the kernels and the first touch of the arrays
    """

    kernel_windows: int
    stream_windows: int
    dram_windows: int
    samples: int
    sweeps: int
    seconds: float


_FULL = _Effort(kernel_windows=160, stream_windows=40, dram_windows=2, samples=4, sweeps=3, seconds=35.0)
_QUICK = _Effort(kernel_windows=60, stream_windows=12, dram_windows=1, samples=2, sweeps=1, seconds=2.0)


def thread_counts(most: int) -> tuple[int, ...]:
    """Thread counts to measure: every one up to four, then powers of two, and all."""
    powers = (2**i for i in range(3, most.bit_length()))
    return tuple(sorted({n for n in (1, 2, 3, 4, *powers, most) if n <= most}))


def probe_host(progress: Progress | None = None, quick: bool = False, threads: int | None = None) -> Machine:
    """Measure this computer: arithmetic peaks per number format and bandwidths per memory level, by threads.

    quick    some five seconds: for tests and a first look, noisier
    threads  measure up to so many threads; None = all that this process may use

    FLOP/s count one multiply-accumulate as 2; bytes are those the program moves (copy 2, triad 3 per byte of an
    array), so what a cache reads before it can be written to is not among them. What could not be measured is
    missing and named in the notes. Raises `InputError` for a thread count that is not usable.
    """
    topology = read_topology()
    most = usable_threads(topology)
    if threads is not None and not 1 <= threads <= most:
        remedy = "ask for fewer, or give this process more cores (affinity, quota)"
        raise InputError(f"expected 1 to {most} threads, found {threads}", remedy)
    return _Probe(topology, progress or SilentProgress(), _QUICK if quick else _FULL, threads or most).run()


@dataclass
class _Probe:
    """One probe in progress, with what it has found so far."""

    topology: Topology
    progress: Progress
    effort: _Effort
    most: int
    notes: list[str] = field(default_factory=list)
    arithmetic: dict[tuple[int, ArithmeticKernel], list[Sample]] = field(default_factory=dict)
    memory: dict[tuple[str, int, StreamKernel], list[Sample]] = field(default_factory=dict)
    peak_meters: dict[int, dict[ArithmeticKernel, PeakMeter]] = field(default_factory=dict)
    cache_meters: dict[int, dict[tuple[str, StreamKernel], StreamMeter]] = field(default_factory=dict)
    date: str = field(default_factory=lambda: datetime.date.today().isoformat())

    def run(self) -> Machine:
        with self.progress.stage("measuring this computer"):
            kernels, streams = self._tried()
            end = time.monotonic() + self.effort.seconds
            counts = thread_counts(self.most)
            rounds = [count for _ in range(self.effort.sweeps) for count in counts]
            for done, count in enumerate(rounds):
                begin = time.monotonic()
                if begin > end and done >= len(counts):
                    break  # a busy computer: everything has been measured once at least
                team = Team(self._cpus(count))
                share = max(0.0, end - begin) / (len(rounds) - done)
                self.progress.update(f"arithmetic on {count} of {self.most} threads", (done + 0.1) / len(rounds))
                self._sample_peaks(team, kernels, begin + 0.4 * share)
                self.progress.update(f"memory on {count} of {self.most} threads", (done + 0.5) / len(rounds))
                self._sample_bandwidths(team, streams, begin + share)
            if not team.pinned:
                self._note("this system does not pin threads to cores: they ran where it put them")
        return self._machine()

    def _tried(self) -> tuple[list[ArithmeticKernel], list[StreamKernel]]:
        """The kernels that ran and computed what they should; the others are noted."""
        self.progress.update("trying the kernels", 0.0)
        outcomes = try_kernels()
        for name, reason in outcomes.items():
            if reason:
                self._note(f"{name} left out: {reason}")
        kernels = [kernel for kernel in arithmetic_kernels() if not outcomes[kernel.id]]
        if outcomes[CLOCK]:
            kernels = []
        for missing in sorted(set(_FORMATS) - {kernel.instruction.format for kernel in kernels}, key=_FORMATS.index):
            self._note(f"{missing}: no arithmetic instruction of this processor could be measured")
        return kernels, [stream for stream in stream_kernels() if not outcomes[stream.id]]

    def _cpus(self, count: int) -> tuple[int, ...]:
        """Logical cores for so many threads: one per physical core first, their siblings after."""
        physical = self.topology.physical_cores
        return (*physical, *(cpu for cpu in self.topology.cores if cpu not in physical))[:count]

    def _sample_peaks(self, team: Team, kernels: list[ArithmeticKernel], deadline: float) -> None:
        """All instructions on one thread; on more, the quickest one of each number format."""
        if len(team) not in self.peak_meters:
            self.peak_meters[len(team)] = self._new_peak_meters(team, kernels)
        meters = self.peak_meters[len(team)]
        found = sample_in_turns(meters, self.effort.kernel_windows, self.effort.samples, deadline)
        for kernel, samples in found.items():
            self.arithmetic.setdefault((len(team), kernel), []).extend(samples)

    def _new_peak_meters(self, team: Team, kernels: list[ArithmeticKernel]) -> dict[ArithmeticKernel, PeakMeter]:
        if len(team) > 1:
            kernels = [kernel for kernel in kernels if kernel == self._best(kernel.instruction.format)]
        core_of = {cpu: group[0] for group in self.topology.siblings for cpu in group}
        meters = {}
        for kernel in kernels:
            if kernel.instruction.arithmetic == "tile" and not tiles.request_tiles():
                continue
            rates = {cpu: self._flops_per_cycle(kernel, cpu) for cpu in team.cpus}
            meters[kernel] = PeakMeter(team, kernel, {cpu: core_of.get(cpu, cpu) for cpu in team.cpus}, rates)
        return meters

    def _flops_per_cycle(self, kernel: ArithmeticKernel, cpu: int) -> float | None:
        """From the table; None where it does not know, or where no single instruction multiplies and adds."""
        instruction, isa = kernel.instruction, kernel.isa
        if instruction.arithmetic in ("separate", "widening"):
            return None
        bits = register_bytes(isa) * 8 if isa.bits else {"fp64": 64, "fp32": 32}[instruction.format]
        micro = identify(self.topology, cpu)
        rate = theoretical_flops_per_cycle(micro, instruction.format, bits, instruction.engine)
        if isinstance(rate, Unknown):
            self._note(f"no theoretical peak for {_instruction(kernel)} {instruction.format}: {rate.reason}")
            return None
        return rate

    def _best(self, number_format: str) -> ArithmeticKernel | None:
        rates = {
            kernel: combine(samples).rate
            for (threads, kernel), samples in self.arithmetic.items()
            if threads == 1 and kernel.instruction.format == number_format
        }
        return max(rates, key=lambda kernel: rates[kernel]) if rates else None

    def _sample_bandwidths(self, team: Team, streams: list[StreamKernel], deadline: float) -> None:
        if len(team) not in self.cache_meters:
            self.cache_meters[len(team)] = self._new_cache_meters(team, streams)
        third = time.monotonic() + max(0.0, deadline - time.monotonic()) / 3
        caches = self.cache_meters[len(team)]
        self._keep(team, sample_in_turns(caches, self.effort.stream_windows, self.effort.samples, third))
        size, whole = dram_array_bytes(self.topology, team.cpus, self._free_bytes())
        if not whole:
            self._note(f"DRAM on {len(team)} threads: arrays of {size} bytes, less than four last caches")
        arrays = Arrays.touched(team, size // len(team), 3)
        far = [stream for stream in streams if stream.stepwise or stream.non_temporal or stream.pattern == "read"]
        meters = {("DRAM", stream): StreamMeter(team, stream, arrays, None) for stream in far}
        self._keep(team, sample_in_turns(meters, self.effort.dram_windows, self.effort.samples, deadline))

    def _new_cache_meters(self, team: Team, streams: list[StreamKernel]) -> dict[tuple[str, StreamKernel], StreamMeter]:
        shares = cache_shares(self.topology, team.cpus)
        fitting = {name: share for name, share in shares.items() if isinstance(share, int)}
        for name, share in shares.items():
            if isinstance(share, str):
                self._note(f"{name} not measured on {len(team)} threads: {share}")
        if not fitting:
            return {}
        ordinary = [stream for stream in streams if not stream.non_temporal and not stream.stepwise]
        arrays = Arrays.touched(team, max(fitting.values()), 3)
        return {(n, s): StreamMeter(team, s, arrays, share) for n, share in fitting.items() for s in ordinary}

    def _keep(self, team: Team, found: dict[tuple[str, StreamKernel], list[Sample]]) -> None:
        for (level, stream), samples in found.items():
            self.memory.setdefault((level, len(team), stream), []).extend(samples)

    def _free_bytes(self) -> int:
        free = int(psutil.virtual_memory().available)
        limit = self.topology.memory_limit_bytes
        return free if limit is None else min(free, limit - int(psutil.Process().memory_info().rss))

    def _machine(self) -> Machine:
        topology, micro = self.topology, identify(self.topology)
        results = {key: combine(samples) for key, samples in self.arithmetic.items()}
        if not isinstance(micro, Unknown):
            self._note(f"theoretical peaks: clock · FLOP per cycle and core of {micro.name} ({micro.standing.source})")
        self._note_shared_cores(results)
        # one thread: what the core can do at its best, undisturbed by the others
        clocks = [result.clock_hz for (threads, _), result in results.items() if threads == 1 and result.clock_hz]
        return Machine(
            id="host",
            name=topology.name or "this computer",
            kind="cpu",
            peaks=tuple(self._peak(kernel, result, threads) for (threads, kernel), result in results.items()),
            levels=tuple(
                Level(level.name, level.size_bytes, self._bandwidths(level.name), level.shared)
                for level in cache_levels(topology)
            ),
            vendor=topology.vendor,
            threads=self.most,
            clock_hz=statistics.median(clocks) if clocks else None,
            isa=topology.isa,
            microarchitecture="" if isinstance(micro, Unknown) else micro.name,
            date=self.date,
            notes=tuple(self.notes),
        )

    def _note_shared_cores(self, results: Mapping[tuple[int, ArithmeticKernel], Result]) -> None:
        """Say where more threads do not bring more arithmetic: a virtual machine may show hardware threads as cores."""
        for (threads, kernel), result in results.items():
            if threads > 1 and result.allowed and result.rate < _SHARED_BELOW * result.allowed:
                self._note(
                    f"{threads} threads reach {result.rate / result.allowed:.0%} of the {kernel.instruction.format} "
                    "peak of their cores: these may be hardware threads of fewer cores, or shared with other programs"
                )

    def _peak(self, kernel: ArithmeticKernel, result: Result, threads: int) -> Peak:
        return Peak(
            format=kernel.instruction.format,
            flops_per_second=result.rate,
            standing=Standing("measured", SOURCE, self.date),
            engine=kernel.instruction.engine,
            accumulate=_ACCUMULATE[kernel.instruction.accumulator],
            threads=threads,
            theoretical_flops_per_second=result.allowed,
            instruction=_instruction(kernel),
            variation=result.variation,
        )

    def _bandwidths(self, level: str) -> tuple[Bandwidth, ...]:
        found = ((key, combine(samples)) for key, samples in self.memory.items() if key[0] == level)
        return tuple(
            Bandwidth(
                bytes_per_second=result.rate,
                standing=Standing("measured", SOURCE, self.date),
                pattern=stream.pattern,
                threads=threads,
                stores=stream.stores,
                variation=result.variation,
            )
            for (_, threads, stream), result in found
        )

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _instruction(kernel: ArithmeticKernel) -> str:
    return f"{kernel.isa.name} {kernel.instruction.mnemonic}"
