"""Mod: the remainder of a division, with the sign of the divisor or (fmod) of the dividend."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Mod", since=10)
class Mod:
    fmod: int = 0

    def work(self, a: TensorType, b: TensorType, *, c: TensorType) -> Work:
        n = c.elements
        if self.fmod or a.dtype.text.startswith("uint"):
            return Work(elementwise={"div": n})
        # the hardware's remainder follows the dividend: where the signs differ the divisor is added
        return Work(elementwise={"div": n, "compare": n, "add": n})

    cases = (
        Case("int32[3], int32[3] -> int32[3]", flops=9, elementwise={"div": 3, "compare": 3, "add": 3},
             bytes_read=24, bytes_written=12),
        Case("float32[2,3], float32[] -> float32[2,3]", {"fmod": 1}, flops=6, elementwise={"div": 6},
             bytes_read=24 + 4, bytes_written=24),
        Case("uint8[N,1], uint8[1,4] -> uint8[N,4]", flops="4*N", bytes_read="N + 4", bytes_written="4*N"),
    )
