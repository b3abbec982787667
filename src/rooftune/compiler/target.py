"""The processor code is written for: vector width, registers, caches."""

from __future__ import annotations

from dataclasses import dataclass

from rooftune.compiler.machine_code import architecture, host_features
from rooftune.machine.topology import read_topology

__all__ = ["WIDTHS", "Target", "host_target", "target_for"]

WIDTHS = {
    "avx512": ("x86_64", 16, 32, ("avx512f", "avx512vl", "avx512bw", "avx512dq", "avx2", "fma", "avx")),
    "avx2": ("x86_64", 8, 16, ("avx2", "fma", "avx")),
    "sse": ("x86_64", 4, 16, ("sse2",)),
    "neon": ("aarch64", 4, 32, ("neon",)),
}
"""Instruction sets kernels are written for, the widest first: architecture, fp32 lanes, registers, LLVM features."""

_L1, _L2, _L3 = 32 << 10, 512 << 10, 8 << 20  # where the system does not say


@dataclass(frozen=True)
class Target:
    """What kernels may count on.

    isa        a key of `WIDTHS`
    lanes      fp32 numbers per vector register
    registers  vector registers
    fused      False where a multiply-add is two instructions
    threads    how many run a program together
    l1, l2     bytes of a core's own caches; `l3` of the shared one
    """

    isa: str
    lanes: int
    registers: int
    features: tuple[str, ...]
    fused: bool = True
    threads: int = 1
    l1: int = _L1
    l2: int = _L2
    l3: int = _L3

    @property
    def architecture(self) -> str:
        """As LLVM calls it."""
        return WIDTHS[self.isa][0]

    @property
    def triple(self) -> str:
        """What LLVM writes code for; "" where that is the computer it runs on."""
        return "" if self.architecture == architecture() else f"{self.architecture}-unknown-linux-gnu"

    @property
    def sums(self) -> int:
        """Vectors a kernel may hold as sums: the rest is for operands, and LLVM spills beyond 29 of 32."""
        return self.registers - 4


def host_target(isa: str | None = None, threads: int = 1) -> Target | None:
    """The widest instruction set of this processor, or the one asked for; None where it has none of `WIDTHS`."""
    present = host_features()
    for name, (machine, _, _, features) in WIDTHS.items():
        if machine == architecture() and present.issuperset(features) and isa in (None, name):
            return target_for(name, threads)
    return None


def target_for(isa: str, threads: int = 1) -> Target:
    """A key of `WIDTHS` whether this processor has it or not, with this processor's caches."""
    _, lanes, registers, features = WIDTHS[isa]
    sizes = {c.level: c.size_bytes for c in read_topology().caches}
    l1, l2, l3 = sizes.get(1, _L1), sizes.get(2, _L2), sizes.get(3, _L3)
    return Target(isa, lanes, registers, features, isa != "sse", threads, l1, l2, l3)
