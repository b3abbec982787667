"""The processor's fp32 peak as a contender: a known number of multiply-adds in registers, and nothing else.

In a race it says what the peak is at that moment, which on shared computers changes by a third.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rooftune.compiler.machine_code import compile_code
from rooftune.execute.backend import Candidate, ModelFacts
from rooftune.execute.probe import reference
from rooftune.execute.probe.arithmetic import ArithmeticKernel
from rooftune.execute.probe.memory import address_of, allocate
from rooftune.execute.probe.trial import arithmetic_kernels
from rooftune.execute.probe.verify import register_bytes
from rooftune.protocols import Arrays
from rooftune.verdicts import Refusal

if TYPE_CHECKING:
    from rooftune.execute.profile import Profile
    from rooftune.graph.model import Model

__all__ = ["BACKEND", "FLOPS", "PeakModel"]

FLOPS = 1_000_000_000
"""What a run does on every thread, within a millionth: long against waking a thread, short enough for many turns."""


class Peak:
    """The widest fp32 multiply-add that the probe has a kernel for."""

    name = "peak"
    peer = False

    def available(self) -> Refusal | None:
        return None if _kernels() else Refusal("no kernel for this processor", at=self.name)

    def version(self) -> str:
        return _kernels()[-1].id

    def refuses(self, model: Model) -> Refusal | None:
        return Refusal("it runs no models", at=self.name)

    def default(self, threads: int, objective: str = "latency") -> Candidate:
        return Candidate("peak", {"flops": FLOPS}, threads, label="multiply-adds")

    def space(self, threads: int, objective: str = "latency", facts: ModelFacts | None = None) -> Sequence[Candidate]:
        return [self.default(threads, objective)]

    def load(
        self, model_path: Path, candidate: Candidate, input_shapes: Mapping[str, Sequence[int]] | None = None
    ) -> PeakModel:
        return PeakModel(candidate)


class PeakModel:
    """The kernel on its threads; inputs are ignored and there are no outputs."""

    inputs: Mapping[str, Any] = {}
    outputs: Mapping[str, Any] = {}

    def __init__(self, candidate: Candidate) -> None:
        kernel = _kernels()[-1]
        granules = register_bytes(kernel.isa) * 8 // kernel.isa.bits if kernel.isa.scalable else 1
        self._turns = round(candidate.settings["flops"] / (2 * kernel.macs * granules))
        self._code = compile_code(kernel.text, kernel.features)  # lives as long as its function may be called
        self._kernel = self._code.function("kernel", None, ctypes.c_void_p, ctypes.c_int64)
        self._buffers = [allocate(kernel.buffer_bytes) for _ in range(candidate.threads)]
        for rank, buffer in enumerate(self._buffers):
            reference.fill(kernel, buffer, rank)
        self._others = ThreadPoolExecutor(max(1, candidate.threads - 1))

    def run(self, arrays: Arrays) -> dict[str, Any]:
        waiting = [self._others.submit(self._work, buffer) for buffer in self._buffers[1:]]
        self._work(self._buffers[0])
        for one in waiting:
            one.result()
        return {}

    def _work(self, buffer: Any) -> None:
        self._kernel(address_of(buffer), self._turns)

    def profile(self, arrays: Arrays, runs: int) -> Profile:
        raise NotImplementedError("there is one kernel")

    def close(self) -> None:
        self._others.shutdown()


def _kernels() -> list[ArithmeticKernel]:
    wanted = ("fp32", "vector")
    return [k for k in arithmetic_kernels() if (k.instruction.format, k.instruction.engine) == wanted]


BACKEND = Peak()
