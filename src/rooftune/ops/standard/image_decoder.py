"""ImageDecoder: an image out of a compressed byte stream."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Unknown


@operator("ImageDecoder", since=20)
class ImageDecoder:
    def work(self, encoded_stream: TensorType, *, image: TensorType) -> Work | Unknown:
        return Unknown("the work of a decoder follows the image format and its content, which are data")

    cases = (
        Case("uint8[1000] -> uint8[32,32,3]", flops=Unknown("the content is data")),
        Case("uint8[B] -> uint8[H,W,1]", {"pixel_format": "Grayscale"}, flops=Unknown("the content is data")),
    )
