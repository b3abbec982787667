"""What an arithmetic kernel has to compute, in numpy, on numbers that every format adds without rounding."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from rooftune.execute.probe.arithmetic import ArithmeticKernel
from rooftune.execute.probe.isa import Instruction

__all__ = ["expected", "fill", "slots"]

_DTYPES = {
    "double": np.dtype(np.float64),
    "float": np.dtype(np.float32),
    "half": np.dtype(np.float16),
    "bfloat": np.dtype(ml_dtypes.bfloat16),
    "i32": np.dtype(np.int32),
    "i8": np.dtype(np.int8),
}


def fill(kernel: ArithmeticKernel, buffer: NDArray[np.uint8], seed: int) -> None:
    """Random multiplicands and sums: quarters up to 7/4, or small integers; ±1/2 where a sum is a factor.

    After the few updates of a trial every sum is still a short binary fraction, so results are equal or wrong.
    """
    rng = np.random.default_rng(seed)
    instruction = kernel.instruction
    accumulators, first, second = _dtypes(instruction)
    for slot in range(2 + kernel.sums):
        dtype = (first, second)[slot] if slot < 2 else accumulators
        view = buffer[slot * kernel.slot_bytes : (slot + 1) * kernel.slot_bytes].view(dtype)
        if dtype.kind in "iu" and dtype.itemsize == 1:
            view[:] = rng.integers(0 if dtype.kind == "u" else -100, 101, view.size)
        elif dtype.kind in "iu":
            view[:] = rng.integers(-1000, 1001, view.size)
        elif instruction.arithmetic == "separate" and slot == 0:
            view[:] = rng.choice([-0.5, 0.5], view.size)
        else:
            view[:] = rng.integers(1, 8, view.size) / 4


def slots(
    kernel: ArithmeticKernel, buffer: NDArray[np.uint8], register_bytes: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The multiplicands and the sums (one row each) in a buffer, as far as a register reaches."""
    accumulators, first, second = _dtypes(kernel.instruction)
    rows = buffer[: kernel.buffer_bytes].reshape(-1, kernel.slot_bytes)
    narrow = kernel.isa.bits == 0
    x_bytes, y_bytes = (first.itemsize, second.itemsize) if narrow else (register_bytes, register_bytes)
    sum_bytes = accumulators.itemsize if narrow else register_bytes
    return (
        rows[0, :x_bytes].copy().view(first),
        rows[1, :y_bytes].copy().view(second),
        np.ascontiguousarray(rows[2:, :sum_bytes]).view(accumulators),
    )


def expected(
    kernel: ArithmeticKernel, x: NDArray[Any], y: NDArray[Any], sums: NDArray[Any], turns: int
) -> NDArray[Any]:
    """The sums after so many turns of the kernel."""
    arithmetic, updates = kernel.instruction.arithmetic, turns * kernel.updates
    if arithmetic in ("separate", "widening"):
        for _ in range(updates):
            sums = sums * x + y if arithmetic == "separate" else _widened(sums, y) + x
        return sums
    wide = np.float64 if sums.dtype.kind == "f" else np.int64
    product = _PRODUCTS[arithmetic](kernel.instruction, x.astype(wide), y.astype(wide))
    return np.asarray((sums.astype(wide) + updates * product).astype(sums.dtype))


def _dtypes(instruction: Instruction) -> tuple[np.dtype[Any], np.dtype[Any], np.dtype[Any]]:
    accumulator, multiplicand = _DTYPES[instruction.accumulator], _DTYPES[instruction.multiplicand]
    if instruction.arithmetic == "widening":
        return accumulator, accumulator, multiplicand
    return accumulator, np.dtype(np.uint8) if instruction.unsigned else multiplicand, multiplicand


def _widened(sums: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    unsigned = np.ascontiguousarray(sums).view(np.uint8).astype(np.int32)
    pairs = (unsigned * y.astype(np.int32)).reshape(len(sums), -1, 2).sum(-1)
    quads = np.clip(pairs, -(1 << 15), (1 << 15) - 1).reshape(len(sums), -1, 2).sum(-1)
    return np.asarray(quads.astype(np.int32))


def _fused(instruction: Instruction, x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(x * y)


def _dot(instruction: Instruction, x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    return np.asarray((x * y).reshape(-1, instruction.group).sum(-1))


def _outer(instruction: Instruction, x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    left, right = (v.reshape(-1, 2, instruction.group) for v in (x, y))
    return np.asarray(np.einsum("bik,bjk->bij", left, right)).reshape(-1)


def _tile(instruction: Instruction, x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    # the second tile holds its depth in pairs or quads, beside each other in a row
    rows, beside = 16, instruction.group // 16
    left, right = x.reshape(rows, 16, beside), y.reshape(16, 16, beside)
    return np.asarray(np.einsum("mki,kni->mn", left, right)).reshape(-1)


_PRODUCTS = {"fused": _fused, "dot": _dot, "outer": _outer, "tile": _tile}
