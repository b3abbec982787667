"""Kernels that do nothing but multiply and add: sums in registers, as many as the registers hold."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rooftune.execute.probe import tiles
from rooftune.execute.probe.isa import Instruction, VectorIsa

__all__ = ["SLOT_BYTES", "ArithmeticKernel", "arithmetic_kernel"]

SLOT_BYTES = 256
"""Distance of the vectors in a kernel's buffer: the longest register there is (2048-bit SVE). Tiles take more."""

_INSTRUCTIONS_PER_TURN = 64
"""Multiply-accumulates in one turn of the loop, at least: beside them counter and branch do not count."""


@dataclass(frozen=True)
class ArithmeticKernel:
    """A kernel as LLVM text: `void kernel(ptr buffer, i64 turns)`.

    The buffer holds the two multiplicands and then the sums, one per slot; the sums are written back.

    sums      independent chains of multiply-accumulates
    updates   times each sum is updated in one turn
    macs      multiply-accumulates in one turn (per granule where the instruction set is scalable)
    """

    isa: VectorIsa
    instruction: Instruction
    text: str
    sums: int
    updates: int

    @property
    def id(self) -> str:
        """`avx512:fp32:vfmadd`."""
        return f"{self.isa.name}:{self.instruction.format}:{self.instruction.mnemonic}"

    @property
    def features(self) -> tuple[str, ...]:
        """LLVM features the kernel needs."""
        return (*self.isa.features, *self.instruction.features)

    @property
    def macs(self) -> int:
        return self.sums * self.updates * self.isa.macs(self.instruction)

    @property
    def slot_bytes(self) -> int:
        """Distance of multiplicands and sums in the buffer."""
        return tiles.TILE_BYTES if self.instruction.arithmetic == "tile" else SLOT_BYTES

    @property
    def buffer_bytes(self) -> int:
        return self.slot_bytes * (2 + self.sums)


def arithmetic_kernel(isa: VectorIsa, instruction: Instruction) -> ArithmeticKernel:
    """The kernel of one instruction: enough sums to hide its latency, in a loop that LLVM cannot shorten.

    Sums feed themselves, so neither reordering nor hoisting is open to the compiler without fast-math; the
    multiplicands come from memory, so nothing is constant.
    """
    sums = isa.accumulators(instruction)
    updates = math.ceil(_INSTRUCTIONS_PER_TURN / sums)
    write = tiles.tile_text if instruction.arithmetic == "tile" else _text
    return ArithmeticKernel(isa, instruction, write(isa, instruction, sums, updates), sums, updates)


def _text(isa: VectorIsa, instruction: Instruction, sums: int, updates: int) -> str:
    kind = isa.vector(instruction.accumulator)
    operand = kind if instruction.arithmetic == "widening" else isa.vector(instruction.multiplicand)
    other = isa.vector(instruction.multiplicand)
    lines = _declarations(isa, instruction)
    lines += ["define void @kernel(ptr %buffer, i64 %turns) noinline nounwind {", "entry:"]
    lines += _load("x", operand, 0) + _load("y", other, 1)
    for i in range(sums):
        lines += _load(f"s{i}.start", kind, 2 + i)
    lines += ["  br label %turn", "turn:", "  %left = phi i64 [ %turns, %entry ], [ %left.next, %turn ]"]
    lines += [f"  %s{i}.0 = phi {kind} [ %s{i}.start, %entry ], [ %s{i}.{updates}, %turn ]" for i in range(sums)]
    for update in range(updates):
        for i in range(sums):
            lines += _update(isa, instruction, f"%s{i}.{update}", f"%s{i}.{update + 1}")
    lines += [
        "  %left.next = add i64 %left, -1",
        "  %again = icmp ne i64 %left.next, 0",
        "  br i1 %again, label %turn, label %end",
        "end:",
    ]
    for i in range(sums):
        lines.append(f"  %s{i}.at = getelementptr i8, ptr %buffer, i64 {SLOT_BYTES * (2 + i)}")
        lines.append(f"  store {kind} %s{i}.{updates}, ptr %s{i}.at, align 16")
    return "\n".join([*lines, "  ret void", "}", ""])


def _load(name: str, kind: str, slot: int) -> list[str]:
    return [
        f"  %{name}.from = getelementptr i8, ptr %buffer, i64 {SLOT_BYTES * slot}",
        f"  %{name} = load {kind}, ptr %{name}.from, align 16",
    ]


def _update(isa: VectorIsa, instruction: Instruction, old: str, new: str) -> list[str]:
    """One multiply-accumulate: the value `new` from the value `old`."""
    kind, operand = isa.vector(instruction.accumulator), isa.vector(instruction.multiplicand)
    if instruction.arithmetic == "fused":
        return [f"  {new} = call {kind} @{_names(isa, instruction)[0]}({kind} %x, {kind} %y, {kind} {old})"]
    if instruction.arithmetic == "separate":
        # a product of the multiplicands alone would be hoisted out of the loop: the sum is a factor
        return [f"  {new}.p = fmul {kind} {old}, %x", f"  {new} = fadd {kind} {new}.p, %y"]
    if instruction.arithmetic == "widening":
        short, (pairs, quads) = isa.vector("i16"), _names(isa, instruction)
        return [
            f"  {new}.b = bitcast {kind} {old} to {operand}",
            f"  {new}.h = call {short} @{pairs}({operand} {new}.b, {operand} %y)",
            f"  {new}.w = call {kind} @{quads}({short} {new}.h, {short} splat (i16 1))",
            f"  {new} = add {kind} {new}.w, %x",
        ]
    name = _names(isa, instruction)[0]
    return [f"  {new} = call {kind} @{name}({kind} {old}, {operand} %x, {operand} %y)"]


def _names(isa: VectorIsa, instruction: Instruction) -> list[str]:
    return instruction.intrinsic.format(type=isa.mangled(instruction.accumulator), bits=isa.bits).split()


def _declarations(isa: VectorIsa, instruction: Instruction) -> list[str]:
    kind, operand = isa.vector(instruction.accumulator), isa.vector(instruction.multiplicand)
    names = _names(isa, instruction)
    if instruction.arithmetic == "separate":
        return []
    if instruction.arithmetic == "widening":
        short = isa.vector("i16")
        return [
            f"declare {short} @{names[0]}({operand}, {operand})",
            f"declare {kind} @{names[1]}({short}, {short})",
        ]
    return [f"declare {kind} @{names[0]}({kind}, {operand}, {operand})"]
