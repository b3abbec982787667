"""Kernels of the AMX tile unit: the same loop as for vectors, with tiles in place of registers."""

from __future__ import annotations

import ctypes
import sys

from rooftune.execute.probe.isa import Instruction, VectorIsa

__all__ = ["TILE_BYTES", "TILE_ROWS", "request_tiles", "tile_text"]

TILE_ROWS = 16
_ROW_BYTES = 64
TILE_BYTES = TILE_ROWS * _ROW_BYTES
"""Bytes of a full tile."""

_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA = 158, 0x1023, 18  # Linux: arch_prctl(ARCH_REQ_XCOMP_PERM, XTILEDATA)


def request_tiles() -> bool:
    """Ask the operating system for the tile registers; Linux kills a process that uses them unasked.

    The permission holds for the threads that are started afterwards as well.
    """
    if not sys.platform.startswith("linux"):
        return True
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.syscall(_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA) == 0)


def tile_text(isa: VectorIsa, instruction: Instruction, sums: int, updates: int) -> str:
    """`void kernel(ptr buffer, i64 turns)`; the two multiplicands take the last two tiles, the sums the others."""
    x, y = isa.registers - 2, isa.registers - 1
    product = f"llvm.x86.{instruction.mnemonic}"
    lines = [
        "declare void @llvm.x86.ldtilecfg(ptr)",
        "declare void @llvm.x86.tilerelease()",
        "declare void @llvm.x86.tileloadd64(i8, ptr, i64)",
        "declare void @llvm.x86.tilestored64(i8, ptr, i64)",
        f"declare void @{product}(i8, i8, i8)",
        f"@configuration = private constant [64 x i8] [{_configuration(isa.registers)}], align 64",
        "define void @kernel(ptr %buffer, i64 %turns) noinline nounwind {",
        "entry:",
        "  call void @llvm.x86.ldtilecfg(ptr @configuration)",
    ]
    lines += _move("tileloadd64", x, 0) + _move("tileloadd64", y, 1)
    for i in range(sums):
        lines += _move("tileloadd64", i, 2 + i)
    lines += ["  br label %turn", "turn:", "  %left = phi i64 [ %turns, %entry ], [ %left.next, %turn ]"]
    for _ in range(updates):
        lines += [f"  call void @{product}(i8 {i}, i8 {x}, i8 {y})" for i in range(sums)]
    lines += [
        "  %left.next = add i64 %left, -1",
        "  %again = icmp ne i64 %left.next, 0",
        "  br i1 %again, label %turn, label %end",
        "end:",
    ]
    for i in range(sums):
        lines += _move("tilestored64", i, 2 + i)
    return "\n".join([*lines, "  call void @llvm.x86.tilerelease()", "  ret void", "}", ""])


def _move(operation: str, tile: int, slot: int) -> list[str]:
    at = f"%{operation}.{tile}"
    return [
        f"  {at} = getelementptr i8, ptr %buffer, i64 {TILE_BYTES * slot}",
        f"  call void @llvm.x86.{operation}(i8 {tile}, ptr {at}, i64 {_ROW_BYTES})",
    ]


def _configuration(tiles: int) -> str:
    """Palette 1; bytes per row (16 bits each) from byte 16 on, rows from byte 48 on (Intel SDM, LDTILECFG)."""
    data = bytearray(64)
    data[0] = 1
    for tile in range(tiles):
        data[16 + 2 * tile : 18 + 2 * tile] = _ROW_BYTES.to_bytes(2, "little")
        data[48 + tile] = TILE_ROWS
    return ", ".join(f"i8 {byte}" for byte in data)
