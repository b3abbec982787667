"""Running one operation as a program of its own, in memory that ends where a page nobody may touch begins."""

from __future__ import annotations

import ctypes
import mmap
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from rooftune.compiler.choose import Ranked, Schedule
from rooftune.compiler.emit.function import Function
from rooftune.compiler.lowering import Lowered, Shape
from rooftune.compiler.machine_code import Code, compile_code
from rooftune.compiler.maps import Map
from rooftune.compiler.operations import Convolution, Operation
from rooftune.compiler.program import Program, build
from rooftune.compiler.target import WIDTHS, Target, host_target
from rooftune.compiler.views import map_view
from rooftune.execute.native_program import NativeProgram

Floats = NDArray[np.float32]

TARGETS = {name: found for name in WIDTHS if (found := host_target(name)) is not None}
"""Instruction sets of this processor; the narrower ones are found by leaving features out."""


def apply_kernel(code: Function, target: Target, x: NDArray[Any], y: NDArray[Any]) -> Code:
    """Run a kernel with the pointers `x` and `y` as the only share; returns its code."""
    compiled = compile_code("\n".join([*code.declarations, code.finished()]), target.features)
    kinds = (*[ctypes.c_int64] * 3, *[ctypes.c_void_p] * 2)
    compiled.function("test", None, *kinds)(0, 0, 1, x.ctypes.data, y.ctypes.data)
    return compiled


def guarded(size: int) -> NDArray[np.uint8]:
    """Zeroed bytes at a multiple of 64, with a page before and a page behind that end the process when touched."""
    page = mmap.PAGESIZE
    room = -(-max(size, 1) // page) * page
    whole = mmap.mmap(-1, room + 2 * page)
    array = np.frombuffer(whole, np.uint8)
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    for place in (0, page + room):
        if protect(ctypes.c_void_p(array.ctypes.data + place), ctypes.c_size_t(page), 0) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")
    start = page + room - -(-size // 64) * 64
    return array[start : start + size]


def lowered(
    operations: list[Operation], shapes: dict[str, Shape], constants: dict[str, Any], inputs: list[str], output: str
) -> Lowered:
    """A program's operations as `lower` would give them."""
    return Lowered(
        operations=operations,
        shapes=shapes,
        dims={name: shapes[name] for name in (*inputs, output)},
        inputs=inputs,
        outputs=[output],
        found={name: map_view(name, shapes[name]) for name in (*inputs, output)},
        constants={name: ir.Tensor(np.asarray(array, np.float32)) for name, array in constants.items()},
        nodes=len(operations),
    )


def program(work: Lowered, target: Target, schedule: Schedule | None = None, threads: int | None = None) -> Program:
    """The program with every convolution on this schedule; the first choice where there is none."""
    target = target if threads is None else replace(target, threads=threads)
    if schedule is None:
        return build(work, target)

    def fixed(op: Convolution, x: Map, y: Map, target: Target, *, winograd: bool = True) -> list[Ranked]:
        return [Ranked(schedule, 1.0, 0, measured=False)]

    return build(work, target, choose=fixed)


def run(work: Program, feed: dict[str, Floats]) -> Floats:
    """The only output of a program, run twice: what the first run left in the arena must not matter."""
    native = NativeProgram(work, guarded)
    try:
        first = native.run(feed)
        again = native.run(feed)
    finally:
        native.close()
    (name,) = first
    np.testing.assert_array_equal(first[name], again[name])
    return first[name]
