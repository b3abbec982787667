"""Einsum: products of tensors summed over labels, as an equation says."""

from rooftune.ops.case import Case
from rooftune.ops.contraction import contract
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Einsum", since=12)
class Einsum:
    equation: str

    def work(self, *operands: TensorType, output: TensorType) -> Work:
        # operands are contracted in the order they are written, two at a time
        return contract(self.equation, [operand.shape for operand in operands])

    cases = (
        Case("float32[2,3], float32[3,4] -> float32[2,4]", {"equation": "ij,jk->ik"}, macs=24, flops=48,
             bytes_read=24 + 48, bytes_written=32),
        # Q·Kᵀ of 2·3 heads: 4 queries × 6 keys × 5
        Case("float32[2,3,4,5], float32[2,3,6,5] -> float32[2,3,4,6]", {"equation": "bhid, bhjd -> bhij"}, macs=720,
             flops=1440, bytes_read=480 + 720, bytes_written=576),
        # first (2×3)·(3×4), then (2×4)·(4×5)
        Case("float32[2,3], float32[3,4], float32[4,5] -> float32[2,5]", {"equation": "ij,jk,kl"}, macs=24 + 40,
             flops=128, bytes_read=24 + 48 + 80, bytes_written=40),
        # rows are summed before the product, because nothing else has them: 6 additions, then 3·4 MACs
        Case("float32[2,3], float32[3,4] -> float32[4]", {"equation": "ab,bc->c"}, macs=12, flops=24 + 6,
             elementwise={"add": 6}, bytes_read=24 + 48, bytes_written=16),
        # no label is summed: an outer product multiplies only
        Case("float32[2], float32[3] -> float32[2,3]", {"equation": "i,j->ij"}, macs=0, flops=6,
             elementwise={"mul": 6}, bytes_read=8 + 12, bytes_written=24),
        # trace: three diagonal elements are added; a diagonal or a transpose alone is a move
        Case("float32[3,3] -> float32[]", {"equation": "ii"}, macs=0, flops=3, bytes_read=36, bytes_written=4),
        Case("float32[2,3] -> float32[3,2]", {"equation": "ij->ji"}, flops=0, bytes_read=24, bytes_written=24),
        # batches under the ellipsis broadcast
        Case("float32[N,1,2,8], float32[3,8,4] -> float32[N,3,2,4]", {"equation": "...ij,...jk->...ik"},
             macs="192*N", flops="384*N", bytes_read="64*N + 384", bytes_written="96*N"),
    )
