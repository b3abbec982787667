"""Arithmetic peaks: a kernel and the clock's chain of additions in turns, on every thread of a team."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rooftune.compiler.machine_code import Code, compile_code
from rooftune.execute.probe import reference
from rooftune.execute.probe.arithmetic import ArithmeticKernel
from rooftune.execute.probe.clock import ADDITIONS_PER_TURN, clock_text
from rooftune.execute.probe.measure import Sample, calibrate, wall_seconds
from rooftune.execute.probe.memory import address_of, allocate
from rooftune.execute.probe.threads import Step, Team
from rooftune.execute.probe.verify import register_bytes

__all__ = ["PeakMeter"]

_KERNEL_SECONDS, _CHAIN_SECONDS = 1e-4, 2.5e-5
"""Long against the meeting of the threads and the reading of the clock (100 and 20 ns)."""

_WARM_WINDOWS = 8


class PeakMeter:
    """Samples the rate of one arithmetic kernel on a team, and the rate that the clock allows meanwhile.

    core_of           physical core of each logical core of the team
    flops_per_cycle   of the core of each logical core, from a table; None where the table does not know
    """

    def __init__(
        self,
        team: Team,
        kernel: ArithmeticKernel,
        core_of: Mapping[int, int],
        flops_per_cycle: Mapping[int, float | None],
    ) -> None:
        self._team, self._core_of, self._flops_per_cycle = team, core_of, flops_per_cycle
        self._kernel_code: Code = compile_code(kernel.text, kernel.features)
        self._chain_code: Code = compile_code(clock_text())
        granules = register_bytes(kernel.isa) * 8 // kernel.isa.bits if kernel.isa.scalable else 1
        self._flops = 2 * kernel.macs * granules
        self._buffers = [allocate(kernel.buffer_bytes) for _ in team.cpus]
        self._chains = [allocate(64) for _ in team.cpus]
        for rank, (buffer, chain) in enumerate(zip(self._buffers, self._chains, strict=True)):
            reference.fill(kernel, buffer, rank)
            chain[:16].view(np.uint64)[:] = (1, 2)
        self._turns = calibrate(team, self._kernel, _KERNEL_SECONDS)
        self._additions = calibrate(team, self._chain, _CHAIN_SECONDS)

    def sample(self, windows: int) -> Sample:
        """Kernel and chain in turns; each kernel window has two readings of the clock before it and two after.

        A processor changes its frequency within milliseconds, also because of wide vectors: so the clock that
        counts is the one read within those four windows, some hundred microseconds. It is the quickest of them:
        no chain is quicker than the clock, but another thread on the same core can hold one up. Of all windows the
        quickest twentieth count, by the time of kernel and chain together.
        """
        pairs = list(zip(self._kernel(self._turns), self._chain(self._additions), strict=True))
        layout = [[k] * _WARM_WINDOWS + [c, c] + [k, c] * windows + [c] for k, c in pairs]
        stamps = self._team.run(layout)[:, _WARM_WINDOWS:]
        work = wall_seconds(stamps[:, 2:-1:2])
        seconds = np.diff(stamps, axis=-1)[:, :, 0] / 1e9
        chains = np.concatenate([seconds[:, :2], seconds[:, 3:-1:2], seconds[:, -1:]], axis=1)
        chain = np.min([chains[:, i : i + windows] for i in range(4)], axis=0)
        clocks = self._additions * ADDITIONS_PER_TURN / chain
        together = work / np.median(work) + chain.max(0) / np.median(chain)
        chosen = np.argsort(together, kind="stable")[: max(2, windows // 20)]
        allowed = self._allowed(clocks[:, chosen])
        return Sample(
            rate=float(np.median(self._flops * self._turns * len(self._team) / work[chosen])),
            allowed=None if allowed is None else float(np.median(allowed)),
            seconds=float(np.median(work[chosen])),
            clock_hz=float(np.median(clocks[:, chosen])),
        )

    def _allowed(self, clocks: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Sum over the physical cores of clock · FLOP per cycle: threads of one core share its units."""
        cores: dict[int, NDArray[np.float64]] = {}
        for cpu, clock in zip(self._team.cpus, clocks, strict=True):
            rate = self._flops_per_cycle[cpu]
            if rate is None:
                return None
            core = self._core_of[cpu]
            cores[core] = np.maximum(cores.get(core, 0.0), clock * rate)
        return np.asarray(np.sum(list(cores.values()), axis=0))

    def _kernel(self, turns: int) -> list[Step]:
        address = self._kernel_code.address("kernel")
        return [Step(address, address_of(buffer), turns) for buffer in self._buffers]

    def _chain(self, turns: int) -> list[Step]:
        address = self._chain_code.address("kernel")
        return [Step(address, address_of(chain), turns) for chain in self._chains]
