"""SoftmaxCrossEntropyLoss: a LogSoftmax over the classes, then minus the log-probability of the right class."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("SoftmaxCrossEntropyLoss", since=12)
class SoftmaxCrossEntropyLoss:
    reduction: str = "mean"
    ignore_index: int | None = None

    def work(
        self,
        scores: TensorType,
        labels: TensorType,
        weights: TensorType | None = None,
        *,
        output: TensorType,
        log_prob: TensorType | None = None,
    ) -> Work:
        n, picks = scores.elements, labels.elements
        ignoring, weighted = self.ignore_index is not None, weights is not None
        # a sign for every pick; the sum over them; the sum of what divides a mean when the picks count differently
        sums = 1 + (self.reduction != "none") + (self.reduction == "mean" and (weighted or ignoring))
        return Work(
            elementwise={
                # LogSoftmax: max, subtract, exp, sum, subtract for every score, a log for every label
                "compare": n + (picks if ignoring else 0),
                "add": 3 * n + sums * picks,
                "exp": n,
                "log": picks,
                "mul": picks if weighted else 0,
                "div": 1 if self.reduction == "mean" else 0,
            }
        )

    cases = (
        # 15 scores of 5 operations and 3 logs; 3 signs, 3 additions, 1 division
        Case("float32[3,5], int64[3] -> float32[]", flops=75 + 3 + 7,
             elementwise={"compare": 15, "add": 51, "exp": 15, "log": 3, "div": 1},
             bytes_read=60 + 24, bytes_written=4),
        # the log-probabilities are asked for as well; every loss weighted, none summed
        Case("float32[3,5,2], int64[3,2], float32[5] -> float32[3,2], float32[3,5,2]", {"reduction": "none"},
             flops=150 + 6 + 12, elementwise={"compare": 30, "add": 96, "exp": 30, "log": 6, "mul": 6},
             bytes_read=120 + 48 + 20, bytes_written=24 + 120),
        Case("float16[N,4], int64[N] -> float16[]", {"reduction": "sum"}, flops="20*N + N + 2*N",
             bytes_read="8*N + 8*N", bytes_written=2),
    )
