"""NegativeLogLikelihoodLoss: minus the log-probability of the right class, summed or averaged on request."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("NegativeLogLikelihoodLoss", since=12)
class NegativeLogLikelihoodLoss:
    reduction: str = "mean"
    ignore_index: int | None = None

    reads_part = ("x",)

    def work(self, x: TensorType, target: TensorType, weight: TensorType | None = None, *, loss: TensorType) -> Work:
        picks = target.elements
        ignoring, weighted = self.ignore_index is not None, weight is not None
        # a sign for every pick; the sum over them; the sum of what divides a mean when the picks count differently
        sums = 1 + (self.reduction != "none") + (self.reduction == "mean" and (weighted or ignoring))
        # one log-probability leaves the table for every target
        reads = [x.dtype.nbytes(picks), target.bytes]
        if weight is not None:
            reads.append(weight.bytes)
        return Work(
            elementwise={
                "add": sums * picks,
                "mul": picks if weighted else 0,
                "compare": picks if ignoring else 0,
                "div": 1 if self.reduction == "mean" else 0,
            },
            reads=tuple(reads),
        )

    cases = (
        # three picks: three signs, three additions, one division
        Case("float32[3,5], int64[3] -> float32[]", flops=7, elementwise={"add": 6, "div": 1},
             bytes_read=12 + 24, bytes_written=4),
        Case("float32[3,5,2], int64[3,2], float32[5] -> float32[3,2]", {"reduction": "none"}, flops=12,
             elementwise={"add": 6, "mul": 6}, bytes_read=24 + 48 + 20, bytes_written=24),
        # sign, sum and sum of weights; times weight; against ignore_index; one division
        Case("float32[N,5], int64[N], float32[5] -> float32[]", {"ignore_index": -1}, flops="3*N + N + N + 1",
             bytes_read="4*N + 8*N + 20", bytes_written=4),
    )
