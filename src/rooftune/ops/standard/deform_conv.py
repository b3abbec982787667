"""DeformConv: a convolution that reads between the pixels, at offsets given as data."""

from rooftune.ops.case import Case
from rooftune.ops.interpolation import free_weights, weighted_sum
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Count, product


@operator("DeformConv", since=19)
class DeformConv:
    offset_group: int = 1

    def work(
        self,
        x: TensorType,
        w: TensorType,
        offset: TensorType,
        b: TensorType | None = None,
        mask: TensorType | None = None,
        *,
        y: TensorType,
    ) -> Work:
        rank = x.rank - 2
        window = product(w.shape[2:]) * product(y.shape[2:])
        # every input channel is sampled for every tap of every output, at positions its offset group shares
        samples = x.shape[0] * x.shape[1] * window
        positions = x.shape[0] * self.offset_group * window
        parts: list[dict[str, Count]] = [
            {"add": positions * rank},  # the offset is added to the tap's own place
            free_weights(positions, rank, 2),
            weighted_sum(samples, 2**rank),
        ]
        if mask is not None:
            parts.append({"mul": samples})
        if b is not None:
            parts.append({"add": y.elements})
        # which taps fall outside is data: none is taken off
        return Work(macs=y.elements * product(w.shape[1:]), elementwise=tally(*parts))

    cases = (
        # 4 outputs × 4 taps: 16 samples of 4 neighbours; 32 coordinates: offset, floor, two distances each;
        # 16 positions × 4 weights of one product each
        Case("float32[1,1,3,3], float32[1,1,2,2], float32[1,8,2,2] -> float32[1,1,2,2]", macs=16, padding_macs=0,
             flops=32 + 320, elementwise={"mul": 64 + 64, "add": 64 + 32 + 64, "round": 32},
             bytes_read=36 + 16 + 128, bytes_written=16),
        # two channels share the positions; the mask weighs 32 samples, the bias is added to 8 outputs
        Case("float32[1,2,3,3], float32[2,2,2,2], float32[1,8,2,2], float32[2], float32[1,4,2,2] -> float32[1,2,2,2]",
             macs=64, flops=128 + 488, elementwise={"mul": 128 + 64 + 32, "add": 128 + 96 + 8, "round": 32},
             bytes_read=72 + 64 + 128 + 8 + 64, bytes_written=32),
    )
