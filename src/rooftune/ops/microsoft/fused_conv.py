"""FusedConv: a convolution that adds a second tensor and applies an activation before it writes."""

from dataclasses import replace

from rooftune.ops.activation import activation
from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.standard.conv import Conv
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work


@operator("FusedConv", domain="com.microsoft")
class FusedConv(Conv):
    activation: str = ""

    def work(
        self,
        x: TensorType,
        w: TensorType,
        b: TensorType | None = None,
        z: TensorType | None = None,
        *,
        y: TensorType,
    ) -> Work:
        conv = super().work(x, w, b, y=y)
        added = {} if z is None else {"add": y.elements}
        return replace(conv, elementwise=tally(conv.elementwise, added, activation(self.activation, y)))

    cases = (
        # 1·4·6·6 = 144 outputs of 27 taps; bias and Relu once per output
        Case("float32[1,3,8,8], float32[4,3,3,3], float32[4] -> float32[1,4,6,6]", {"activation": "Relu"},
             macs=3888, flops=7776 + 288, elementwise={"add": 144, "compare": 144},
             bytes_read=768 + 432 + 16, bytes_written=576),
        # pointwise with a residual: 8·4·4 = 128 outputs of 16 taps, bias + residual added, Relu
        Case("float32[1,16,4,4], float32[8,16,1,1], float32[8], float32[1,8,4,4] -> float32[1,8,4,4]",
             {"activation": "Relu"}, macs=2048, flops=4096 + 3 * 128, elementwise={"add": 256, "compare": 128},
             bytes_read=1024 + 512 + 32 + 512, bytes_written=512),
        # ReLU6 arrives as Clip with both bounds in activation_params
        Case("float32[N,1,2,2], float32[1,1,1,1] -> float32[N,1,2,2]",
             {"activation": "Clip", "activation_params": [0.0, 6.0]}, macs="4*N", flops="16*N",
             bytes_read="16*N + 4", bytes_written="16*N"),
    )
