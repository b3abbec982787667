"""GridSample: values read between the pixels, at positions given as data."""

from rooftune.ops.case import Case
from rooftune.ops.interpolation import TAPS_PER_AXIS, free_weights, weighted_sum
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Count, product


@operator("GridSample", since=16)
class GridSample:
    mode: str = "linear"
    padding_mode: str = "zeros"

    def work(self, x: TensorType, grid: TensorType, *, y: TensorType) -> Work:
        rank = x.rank - 2
        taps = TAPS_PER_AXIS[self.mode]
        positions = product(grid.shape[:-1])
        coordinates = grid.elements
        parts: list[dict[str, Count]] = [
            # from −1…1 to pixels, then two comparisons with the borders
            {"mul": coordinates, "add": coordinates, "compare": 2 * coordinates},
            free_weights(positions, rank, taps),
        ]
        if self.padding_mode == "reflection":
            # off the border, remainder of a round trip, which half, and back
            parts.append({"add": 2 * coordinates, "div": coordinates, "compare": coordinates})
        if taps > 1:
            parts.append(weighted_sum(y.elements, taps**rank))
        return Work(elementwise=tally(*parts))

    cases = (
        # 6 positions, 12 coordinates: place (2), borders (2), floor, two distances; 6·4 weights; 6 values of 4 taps
        Case("float32[1,1,4,4], float32[1,2,3,2] -> float32[1,1,2,3]", flops=156,
             elementwise={"mul": 12 + 24 + 24, "add": 12 + 24 + 24, "compare": 24, "round": 12},
             bytes_read=64 + 48, bytes_written=24),
        # nearest: five operations for each of 18·N coordinates, and the value is moved
        Case("float32[N,2,4,4], float32[N,3,3,2] -> float32[N,2,3,3]", {"mode": "nearest"}, flops="90*N",
             bytes_read="128*N + 72*N", bytes_written="72*N"),
        # one cubic value: 16 taps; two coordinates with 4 polynomials (6 each), a floor, a distance; 16 weights
        Case("float32[1,1,4,4], float32[1,1,1,2] -> float32[1,1,1,1]", {"mode": "bicubic"}, flops=108,
             elementwise={"mul": 16 + 2 + 24 + 16, "add": 16 + 2 + 2 + 24, "compare": 4, "round": 2},
             bytes_read=64 + 8, bytes_written=4),
    )
