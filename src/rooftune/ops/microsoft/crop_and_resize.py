"""CropAndResize: boxes cut out of images and resampled to one size, bilinearly or to the nearest pixel."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.picks import picked_bytes
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work


@operator("CropAndResize", domain="com.microsoft")
class CropAndResize:
    mode: str = "bilinear"

    reads_part = ("x",)

    def work(
        self, x: TensorType, rois: TensorType, batch_indices: TensorType, crop_size: TensorType, *, y: TensorType
    ) -> Work:
        # one source coordinate per row and column of a crop: scale, shift, round
        coordinates = y.shape[0] * (y.shape[2] + y.shape[3])
        located = {"mul": coordinates, "add": coordinates, "round": coordinates}
        taps, blended = 1, {}
        if self.mode == "bilinear":
            # two blends along x and one along y, each a + (b − a)·t
            taps, blended = 4, {"mul": 3 * y.elements, "add": 6 * y.elements}
        # boxes may overlap or leave most of the image out
        picked = picked_bytes(x, taps * y.elements)
        return Work(
            elementwise=tally(located, blended), reads=(picked, rois.bytes, batch_indices.bytes, crop_size.bytes)
        )

    cases = (
        # one box of 2×3: 5 coordinates, 6 pixels of one channel; 4 taps each meet 24 of the 100 pixels at most
        Case("float32[1,1,10,10], float32[1,4], int32[1], int32[2] -> float32[1,1,2,3]", flops=15 + 54,
             elementwise={"mul": 5 + 18, "add": 5 + 36, "round": 5}, bytes_read=96 + 16 + 4 + 8, bytes_written=24),
        # nearest: 8 coordinates for two boxes, one tap per pixel
        Case("float32[1,3,4,4], float32[2,4], int32[2], int32[2] -> float32[2,3,2,2]", {"mode": "nearest"}, flops=24,
             bytes_read=96 + 32 + 8 + 8, bytes_written=96),
    )
