"""RoiAlign: each region of interest sampled between the pixels, and the samples pooled into bins."""

from rooftune.ops.case import Case
from rooftune.ops.interpolation import free_weights, weighted_sum
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Count, Unknown


@operator("RoiAlign", since=10)
class RoiAlign:
    mode: str = "avg"
    sampling_ratio: int = 0

    def work(
        self, x: TensorType, rois: TensorType, batch_indices: TensorType, *, y: TensorType
    ) -> Work | Unknown:
        if self.sampling_ratio <= 0:
            return Unknown("with sampling_ratio 0 the sizes of the regions, which are data, decide the samples")
        regions, channels, height, width = y.shape
        positions = regions * height * width * self.sampling_ratio**2
        samples = positions * channels
        if self.mode == "max":
            # the largest of the weighted neighbours of all samples
            pooled: dict[str, Count] = {"mul": 4 * samples, "compare": 4 * samples}
        else:
            pooled = tally(weighted_sum(samples, 4), {"div": y.elements})
        return Work(
            elementwise=tally(
                # scale four corners; two extents, each divided into bins
                {"mul": 4 * regions, "add": 2 * regions, "div": 2 * regions},
                # per coordinate: bin and sample give the place, which is held inside the image
                {"mul": 2 * positions, "add": 2 * positions, "compare": 4 * positions},
                free_weights(positions, 2, 2),
                pooled,
            )
        )

    cases = (
        # 12 bins × 4 samples = 48 positions, 96 coordinates; with two channels 96 samples of 4 neighbours
        Case("float32[1,2,4,4], float32[3,4], int64[3] -> float32[3,2,2,2]", {"sampling_ratio": 2}, flops=1680,
             elementwise={"mul": 12 + 96 + 192 + 384, "add": 6 + 96 + 192 + 384, "div": 6 + 24, "round": 96,
                          "compare": 192}, bytes_read=128 + 48 + 24, bytes_written=96),
        # one sample: 4 + 2 + 4 + 4 products, 2 + 2 + 4 sums, 2 quotients, 2 floors, 4 clamps, 4 maxima
        Case("float32[1,1,2,2], float32[1,4], int64[1] -> float32[1,1,1,1]", {"sampling_ratio": 1, "mode": "max"},
             flops=14 + 8 + 2 + 2 + 8, bytes_read=16 + 16 + 8, bytes_written=4),
        Case("float32[1,2,4,4], float32[3,4], int64[3] -> float32[3,2,2,2]",
             flops=Unknown("with sampling_ratio 0 the number of samples is data")),
    )
