"""MatMul: products of matrices, of whole batches of them, or of vectors."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("MatMul")
class MatMul:
    def work(self, a: TensorType, b: TensorType, *, y: TensorType) -> Work:
        # every element of the result, broadcast batches included, sums over the last axis of A
        return Work(macs=y.elements * a.shape[-1])

    cases = (
        Case("float32[2,3], float32[3,4] -> float32[2,4]", macs=24, flops=48, bytes_read=24 + 48, bytes_written=32),
        # the scalar product of two vectors
        Case("float32[3], float32[3] -> float32[]", macs=3, flops=6, bytes_read=24, bytes_written=4),
        # a vector against a batch of two 5×4 matrices
        Case("float32[5], float32[2,5,4] -> float32[2,4]", macs=40, flops=80, bytes_read=20 + 160, bytes_written=32),
        # batches 7×1 and 3 broadcast to 7×3
        Case("float16[7,1,2,8], float16[3,8,5] -> float16[7,3,2,5]", macs=21 * 80, flops=42 * 80,
             bytes_read=224 + 240, bytes_written=420),
        Case("float32[N,S,8], float32[8,4] -> float32[N,S,4]", macs="32*N*S", flops="64*N*S",
             bytes_read="32*N*S + 128", bytes_written="16*N*S"),
    )
