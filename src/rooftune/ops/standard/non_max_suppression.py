"""NonMaxSuppression: boxes dropped that overlap a better one too much."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Unknown


@operator("NonMaxSuppression", since=10)
class NonMaxSuppression:
    def work(
        self,
        boxes: TensorType,
        scores: TensorType,
        max_output_boxes_per_class: TensorType | None = None,
        iou_threshold: TensorType | None = None,
        score_threshold: TensorType | None = None,
        *,
        selected_indices: TensorType,
    ) -> Work | Unknown:
        # between one comparison per score and every pair of boxes per class: a bound would be off by the box count
        return Unknown("how many boxes pass the threshold and suppress each other is decided by the scores")

    cases = (
        Case("float32[1,6,4], float32[1,1,6], int64[1], float32[1], float32[1] -> int64[3,3]",
             flops=Unknown("decided by the scores")),
        Case("float32[N,8400,4], float32[N,80,8400] -> int64[M,3]", flops=Unknown("decided by the scores")),
    )
