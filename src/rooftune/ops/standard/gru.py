"""GRU: a recurrent layer with an update gate and a reset gate."""

from collections.abc import Sequence

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.recurrence import recurrent_work
from rooftune.ops.types import TensorType, Work


@operator("GRU")
class GRU:
    activations: Sequence[str] = ()
    clip: float | None = None

    def work(
        self,
        x: TensorType,
        w: TensorType,
        r: TensorType,
        b: TensorType | None = None,
        sequence_lens: TensorType | None = None,
        initial_h: TensorType | None = None,
        *,
        y: TensorType | None = None,
        y_h: TensorType | None = None,
    ) -> Work:
        return recurrent_work(
            x,
            w,
            r,
            b,
            activations=self.activations or ["Sigmoid", "Tanh"] * w.shape[0],
            times=(2, 1),  # both gates, then the candidate
            clip=self.clip is not None,
            # reset ⊙ state; then (1 − update) ⊙ candidate + update ⊙ state
            cell={"mul": 3, "add": 2},
        )

    cases = (
        # 2 steps · (12·3 + 12·4) MACs; 8 unit-steps: 3 products, 2 sums, 6 biases, two sigmoids (4 each), one tanh
        Case("float32[2,1,3], float32[1,12,3], float32[1,12,4], float32[1,24] -> float32[2,1,1,4], float32[1,1,4]",
             {"hidden_size": 4}, macs=168, flops=336 + 160,
             elementwise={"mul": 24, "add": 16 + 48 + 32, "exp": 16, "div": 16, "tanh": 8},
             bytes_read=24 + 144 + 192 + 96, bytes_written=32 + 16),
        # both directions, one hidden unit each, three clipped pre-activations (two bounds): 5 + 8 + 1 + 6 per unit
        Case("float32[1,N,2], float32[2,3,2], float32[2,3,1] -> -, float32[2,N,1]",
             {"direction": "bidirectional", "clip": 1.0}, macs="18*N", flops="36*N + 40*N",
             bytes_read="8*N + 48 + 24", bytes_written="8*N"),
    )
