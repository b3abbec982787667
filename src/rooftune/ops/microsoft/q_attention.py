"""QAttention: Attention whose projection runs in 8 bits; scores and values stay in floating point."""

from dataclasses import replace

from rooftune.ops.case import Case
from rooftune.ops.microsoft.attention import Attention
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Unknown


@operator("QAttention", domain="com.microsoft")
class QAttention:
    num_heads: int = 1
    unidirectional: int = 0
    past_present_share_buffer: int = 0
    do_rotary: int = 0

    def work(
        self,
        input: TensorType,
        weight: TensorType,
        bias: TensorType,
        input_scale: TensorType,
        weight_scale: TensorType,
        mask_index: TensorType | None = None,
        input_zero_point: TensorType | None = None,
        weight_zero_point: TensorType | None = None,
        past: TensorType | None = None,
        *,
        output: TensorType,
        present: TensorType | None = None,
    ) -> Work | Unknown:
        floating = Attention(
            num_heads=self.num_heads,
            unidirectional=self.unidirectional,
            past_present_share_buffer=self.past_present_share_buffer,
            do_rotary=self.do_rotary,
        )
        work = floating.work(input, weight, bias, mask_index, past, output=output, present=present)
        if isinstance(work, Unknown):
            return work
        # the integer sums of the projection are converted and scaled once each
        projected = input.shape[0] * input.shape[1] * weight.shape[1]
        return replace(work, elementwise=tally(work.elementwise, {"convert": projected, "mul": projected}))

    cases = (
        # as Attention: 432 MACs, 72 projected sums, 36 scores
        Case("uint8[2,3,4], int8[4,12], float32[12], float32[], float32[] -> float32[2,3,4]", {"num_heads": 2},
             macs=432, flops=2 * 432 + 72 + 6 * 36 + 2 * 72, bytes_read=24 + 48 + 48 + 4 + 4, bytes_written=96),
        # one token after five, with a mask and zero points
        Case("uint8[1,1,8], int8[8,24], float32[24], float32[], float32[24], int32[1], uint8[], int8[24], "
             "float32[2,1,2,5,4] -> float32[1,1,8], float32[2,1,2,6,4]", {"num_heads": 2},
             macs=288, flops=2 * 288 + 24 + 7 * 12 + 2 * 24,
             bytes_read=8 + 192 + 96 + 4 + 96 + 4 + 1 + 24 + 320, bytes_written=32 + 384),
    )
