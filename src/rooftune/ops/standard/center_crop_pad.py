"""CenterCropPad: the middle of each axis cut out or surrounded by zeros; only the kept middle is read."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import smaller


@operator("CenterCropPad", since=18)
class CenterCropPad:
    reads_part = ("input_data",)

    def work(self, input_data: TensorType, shape: TensorType, *, output_data: TensorType) -> Work:
        # an axis is either cut (the output's length survives) or padded (the input's length survives)
        kept = tuple(smaller(i, o) for i, o in zip(input_data.shape, output_data.shape, strict=True))
        return Work(reads=(TensorType(input_data.dtype, kept).bytes, shape.bytes))

    cases = (
        # 10 rows cut to 4, 3 columns padded to 5: 4·3 elements survive
        Case("float32[10,3], int64[2] -> float32[4,5]", bytes_read=4 * 3 * 4 + 16, bytes_written=80),
        Case("float32[6,6], int64[1] -> float32[6,8]", {"axes": [1]}, bytes_read=144 + 8, bytes_written=192),
    )
