"""Does a kernel do its work? Each is run a few turns and compared with numpy before anything of it is reported."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rooftune.compiler.machine_code import compile_code
from rooftune.execute.probe import reference, tiles
from rooftune.execute.probe.arithmetic import ArithmeticKernel
from rooftune.execute.probe.clock import after_turns, clock_text
from rooftune.execute.probe.isa import VectorIsa
from rooftune.execute.probe.memory import address_of, allocate
from rooftune.execute.probe.streams import ARGUMENT_BYTES, SUM_OFFSET, StreamKernel

__all__ = ["register_bytes", "stream_argument", "verify_arithmetic", "verify_clock", "verify_stream"]

_TURNS = 2
_SCALE = 3.0
_GRANULES = """
declare i64 @llvm.vscale.i64()
define i64 @granules() {
  %n = call i64 @llvm.vscale.i64()
  ret i64 %n
}
"""


def verify_arithmetic(kernel: ArithmeticKernel) -> str:
    """Run a kernel for a few turns on this processor: empty if every sum is exact, else what is wrong."""
    if kernel.instruction.arithmetic == "tile" and not tiles.request_tiles():
        return "the operating system does not hand out the tile registers"
    code = compile_code(kernel.text, kernel.features)
    if kernel.instruction.mnemonic not in code.assembly:
        return f"the compiled kernel has no {kernel.instruction.mnemonic}"
    buffer = allocate(kernel.buffer_bytes)
    reference.fill(kernel, buffer, seed=0)
    size = register_bytes(kernel.isa)
    wanted = reference.expected(kernel, *reference.slots(kernel, buffer, size), turns=_TURNS)
    _call(code, address_of(buffer), _TURNS)
    found = reference.slots(kernel, buffer, size)[2]
    return "" if np.array_equal(wanted, found) else "the sums are wrong"


def verify_clock() -> str:
    """Run the chain of additions: empty if its result is right."""
    chain = np.array([1, 2], np.uint64)
    _call(compile_code(clock_text()), chain.ctypes.data, _TURNS)
    return "" if (int(chain[0]), int(chain[1])) == after_turns(1, 2, _TURNS) else "the additions are wrong"


def verify_stream(kernel: StreamKernel) -> str:
    """Run two passes over small arrays: empty if every element was read, copied or computed, and nothing else."""
    size = 5 * kernel.turn_bytes(register_bytes(kernel.isa))
    rng = np.random.default_rng(0)
    arrays = [allocate(size + 64, 64 * i) for i in range(3)]
    for array in arrays:
        array.view(np.float64)[:] = rng.integers(1, 100, array.size // 8)
    before = [array.copy() for array in arrays]
    argument = stream_argument(kernel, arrays, size)
    _call(compile_code(kernel.text, kernel.features), address_of(argument), 2)
    a, b, c = (array[:size].view(np.float64) for array in before)
    wanted = [array.copy() for array in before]
    if kernel.pattern == "read":
        lanes = argument[SUM_OFFSET : SUM_OFFSET + register_bytes(kernel.isa)].view(np.uint32)
        if sum(map(int, lanes)) % (1 << 32) != 2 * sum(map(int, a.view(np.uint32))) % (1 << 32):
            return "the sum of two passes is wrong"
    elif kernel.pattern == "copy":
        wanted[1][:size] = before[0][:size]
    else:
        wanted[0][:size] = (b + _SCALE * c).view(np.uint8)
    same = all(np.array_equal(x, y) for x, y in zip(wanted, arrays, strict=True))
    return "" if same else "the arrays are wrong"


def stream_argument(kernel: StreamKernel, arrays: list[NDArray[np.uint8]], size: int) -> NDArray[np.uint8]:
    """The argument of a stream kernel that works on the first `size` bytes of each array."""
    grain = kernel.turn_bytes(register_bytes(kernel.isa))
    turns, rest = divmod(size, grain)
    if rest or not turns:
        raise ValueError(f"{size} bytes are no whole number of turns of {grain}")
    argument = allocate(ARGUMENT_BYTES)
    addresses = [address_of(array) for array in arrays] + [0, 0]
    argument[:32].view(np.uint64)[:] = [*addresses[:3], turns]
    argument[32:40].view(np.float64)[:] = _SCALE
    return argument


def register_bytes(isa: VectorIsa) -> int:
    """Bytes of a register on this processor; for scalable vectors the processor is asked."""
    if not isa.scalable:
        return max(isa.bits // 8, 1)
    return int(compile_code(_GRANULES, isa.features).function("granules", ctypes.c_int64)()) * isa.bits // 8


def _call(code: Any, argument: int, turns: int) -> None:
    code.function("kernel", None, ctypes.c_void_p, ctypes.c_int64)(argument, turns)
