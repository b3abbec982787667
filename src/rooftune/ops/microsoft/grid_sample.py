"""GridSample: an image sampled between its pixels, as it was before ONNX had it."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.standard.grid_sample import GridSample as StandardGridSample


@operator("GridSample", domain="com.microsoft")
class GridSample(StandardGridSample):
    cases = (
        # 6 positions, 12 coordinates: place (2), borders (2), floor, two distances; 6·4 weights; 6 values of 4 taps
        Case("float32[1,1,4,4], float32[1,2,3,2] -> float32[1,1,2,3]", {"mode": "bilinear"}, flops=156,
             bytes_read=64 + 48, bytes_written=24),
        # nearest: five operations for each of 18·N coordinates, and the value is moved
        Case("float32[N,2,4,4], float32[N,3,3,2] -> float32[N,2,3,3]", {"mode": "nearest"}, flops="90*N",
             bytes_read="128*N + 72*N", bytes_written="72*N"),
    )
