"""Instruction sets as data: vector width, registers, and the multiply-accumulate of each number format.

One emitter (`arithmetic.py`) writes kernels for all of them. Nothing here is tuned to a processor: how many sums
are kept at once follows from the registers.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

__all__ = ["AARCH64", "ELEMENT_BITS", "INSTRUCTION_SETS", "X86_64", "Instruction", "VectorIsa", "available"]

ELEMENT_BITS = {"double": 64, "float": 32, "half": 16, "bfloat": 16, "i64": 64, "i32": 32, "i16": 16, "i8": 8}
"""Bits of LLVM's element types."""


@dataclass(frozen=True)
class Instruction:
    """The multiply-accumulate of one number format.

    format        number format of the products, as in `machine.spec.Peak`
    mnemonic      what the assembly has to contain
    arithmetic    which form the emitter writes and the reference computes: `fused` (acc + x·y), `separate`
                  (acc·x + y by two instructions), `dot` (sums of neighbouring products), `outer` (2×2 tiles of
                  dot products), `widening` (unsigned × signed bytes to 16, then to 32 bits), `tile` (products of
                  16-row tiles)
    accumulator, multiplicand   LLVM element types
    group         products added into one element of the accumulator
    intrinsic     LLVM's name, `{type}` standing for the mangled vector type
    features      LLVM features needed beyond those of the instruction set
    unsigned      True where the first multiplicand is unsigned
    held          registers that are not sums: the multiplicands and constants
    engine        `vector` or `matrix`
    """

    format: str
    mnemonic: str
    arithmetic: str
    accumulator: str
    multiplicand: str
    group: int = 1
    intrinsic: str = ""
    features: tuple[str, ...] = ()
    unsigned: bool = False
    held: int = 2
    engine: str = "vector"


@dataclass(frozen=True)
class VectorIsa:
    """An instruction set: `bits` per register (of the granule where `scalable`), 0 where it works on single numbers."""

    name: str
    architecture: str
    bits: int
    registers: int
    features: tuple[str, ...]
    instructions: tuple[Instruction, ...]
    scalable: bool = False

    def lanes(self, element: str) -> int:
        """Elements per register (per granule where scalable)."""
        return max(1, self.bits // ELEMENT_BITS[element])

    def vector(self, element: str) -> str:
        """LLVM type of a register of elements."""
        if not self.bits:
            return element
        return f"<{'vscale x ' if self.scalable else ''}{self.lanes(element)} x {element}>"

    def mangled(self, element: str) -> str:
        """The type as LLVM spells it inside the names of its intrinsics: `v16f32`, `nxv4f32`, `f32`."""
        short = {"double": "f64", "float": "f32", "half": "f16", "bfloat": "bf16"}.get(element, element)
        if not self.bits:
            return short
        return f"{'nxv' if self.scalable else 'v'}{self.lanes(element)}{short}"

    def accumulators(self, instruction: Instruction) -> int:
        """Independent sums: every register that nothing else needs."""
        return self.registers - instruction.held

    def macs(self, instruction: Instruction) -> int:
        """Multiply-accumulates of one instruction (per granule where scalable)."""
        return self.lanes(instruction.accumulator) * instruction.group


def _fused(number_format: str, mnemonic: str, *features: str) -> Instruction:
    element = {"fp64": "double", "fp32": "float", "fp16": "half"}[number_format]
    return Instruction(number_format, mnemonic, "fused", element, element, 1, "llvm.fma.{type}", features)


def _separate(number_format: str, mnemonic: str) -> Instruction:
    element = {"fp64": "double", "fp32": "float"}[number_format]
    return Instruction(number_format, mnemonic, "separate", element, element)


def _int8(mnemonic: str, intrinsic: str, *features: str, unsigned: bool = False) -> Instruction:
    return Instruction("int8", mnemonic, "dot", "i32", "i8", 4, intrinsic, features, unsigned)


def _bf16(mnemonic: str, intrinsic: str, *features: str) -> Instruction:
    return Instruction("bf16", mnemonic, "dot", "float", "bfloat", 2, intrinsic, features)


def _outer(number_format: str, mnemonic: str, intrinsic: str, *features: str) -> Instruction:
    if number_format == "int8":
        return Instruction("int8", mnemonic, "outer", "i32", "i8", 8, intrinsic, features, engine="matrix")
    return Instruction("bf16", mnemonic, "outer", "float", "bfloat", 4, intrinsic, features, engine="matrix")


def _widening(mnemonic: str, intrinsics: str, *features: str) -> Instruction:
    # two intrinsics: bytes to 16 bits, 16 to 32 bits; the constant ones are held in a register
    return Instruction("int8", mnemonic, "widening", "i32", "i8", 4, intrinsics, features, True, held=3)


_VNNI, _BF16 = "llvm.x86.avx512.vpdpbusd.{bits}", "llvm.x86.avx512bf16.dpbf16ps.{bits}"

X86_64 = (
    VectorIsa(
        "scalar", "x86_64", 0, 16, ("sse2",), (_separate("fp64", "mulsd"), _separate("fp32", "mulss"))
    ),
    VectorIsa(
        "scalar-fma", "x86_64", 0, 16, ("avx", "fma"), (_fused("fp64", "vfmadd"), _fused("fp32", "vfmadd"))
    ),
    VectorIsa(
        "sse", "x86_64", 128, 16, ("sse2",),
        (
            _separate("fp64", "mulpd"),
            _separate("fp32", "mulps"),
            _widening("pmaddubsw", "llvm.x86.ssse3.pmadd.ub.sw.128 llvm.x86.sse2.pmadd.wd", "ssse3"),
        ),
    ),
    VectorIsa("avx", "x86_64", 256, 16, ("avx",), (_separate("fp64", "vmulpd"), _separate("fp32", "vmulps"))),
    VectorIsa(
        "avx2", "x86_64", 256, 16, ("avx2", "fma"),
        (
            _fused("fp64", "vfmadd"),
            _fused("fp32", "vfmadd"),
            _widening("vpmaddubsw", "llvm.x86.avx2.pmadd.ub.sw llvm.x86.avx2.pmadd.wd"),
            _int8("vpdpbusd", _VNNI, "avxvnni", unsigned=True),
        ),
    ),
    VectorIsa(
        "avx512", "x86_64", 512, 32, ("avx512f",),
        (
            _fused("fp64", "vfmadd"),
            _fused("fp32", "vfmadd"),
            _fused("fp16", "vfmadd", "avx512fp16", "avx512bw", "avx512vl"),
            _bf16("vdpbf16ps", _BF16, "avx512bf16", "avx512bw"),
            _widening("vpmaddubsw", "llvm.x86.avx512.pmaddubs.w.512 llvm.x86.avx512.pmaddw.d.512", "avx512bw"),
            _int8("vpdpbusd", _VNNI, "avx512vnni", unsigned=True),
        ),
    ),
    # 16 rows of 64 bytes: an element of the sums takes in a whole row of products
    VectorIsa(
        "amx", "x86_64", 8192, 8, ("amx-tile",),
        (
            Instruction("bf16", "tdpbf16ps", "tile", "float", "bfloat", 32, "", ("amx-bf16",), engine="matrix"),
            Instruction("int8", "tdpbssd", "tile", "i32", "i8", 64, "", ("amx-int8",), engine="matrix"),
        ),
    ),
)  # fmt: skip

AARCH64 = (
    VectorIsa("scalar-fma", "aarch64", 0, 32, ("neon",), (_fused("fp64", "fmadd"), _fused("fp32", "fmadd"))),
    VectorIsa(
        "neon", "aarch64", 128, 32, ("neon",),
        (
            _fused("fp64", "fmla"),
            _fused("fp32", "fmla"),
            _fused("fp16", "fmla", "fullfp16"),
            _int8("sdot", "llvm.aarch64.neon.sdot.v4i32.v16i8", "dotprod"),
            _outer("int8", "smmla", "llvm.aarch64.neon.smmla.v4i32.v16i8", "i8mm"),
            _bf16("bfdot", "llvm.aarch64.neon.bfdot.v4f32.v8bf16", "bf16"),
            _outer("bf16", "bfmmla", "llvm.aarch64.neon.bfmmla", "bf16"),
        ),
    ),
    VectorIsa(
        "sve", "aarch64", 128, 32, ("sve",),
        (
            _fused("fp64", "fmla"),
            _fused("fp32", "fmla"),
            _fused("fp16", "fmla", "fullfp16"),
            _int8("sdot", "llvm.aarch64.sve.sdot.nxv4i32"),
            _outer("int8", "smmla", "llvm.aarch64.sve.smmla.nxv4i32", "i8mm"),
            _bf16("bfdot", "llvm.aarch64.sve.bfdot", "bf16"),
            _outer("bf16", "bfmmla", "llvm.aarch64.sve.bfmmla", "bf16"),
        ),
        scalable=True,
    ),
)  # fmt: skip

INSTRUCTION_SETS = {"x86_64": X86_64, "aarch64": AARCH64}
"""Instruction sets by architecture, narrowest first."""


def available(architecture: str, features: Collection[str]) -> list[tuple[VectorIsa, Instruction]]:
    """What a processor with these LLVM features can run, narrowest instruction set first."""
    return [
        (isa, instruction)
        for isa in INSTRUCTION_SETS.get(architecture, ())
        for instruction in isa.instructions
        if set(isa.features) | set(instruction.features) <= set(features)
    ]
