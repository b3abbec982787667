"""LSTM: a recurrent layer with input, output and forget gates and a cell of its own."""

from collections.abc import Sequence
from dataclasses import replace

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.recurrence import recurrent_work
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work


@operator("LSTM")
class LSTM:
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
        initial_c: TensorType | None = None,
        p: TensorType | None = None,
        *,
        y: TensorType | None = None,
        y_h: TensorType | None = None,
        y_c: TensorType | None = None,
    ) -> Work:
        work = recurrent_work(
            x,
            w,
            r,
            b,
            activations=self.activations or ["Sigmoid", "Tanh", "Tanh"] * w.shape[0],
            times=(3, 1, 1),  # three gates, the candidate, the cell on its way out
            clip=self.clip is not None,
            # forget ⊙ cell + input ⊙ candidate, then output ⊙ h(cell)
            cell={"mul": 3, "add": 1},
        )
        if p is None:
            return work
        # peepholes: the cell weighted into three gates
        peeped = x.shape[0] * x.shape[1] * p.elements
        return replace(work, elementwise=tally(work.elementwise, {"mul": peeped, "add": peeped}))

    cases = (
        # 2 steps · (8·3 + 8·2) MACs; 4 unit-steps: 3 products, 1 sum, 8 biases, three sigmoids (4 each), two tanh
        Case("float32[2,1,3], float32[1,8,3], float32[1,8,2], float32[1,16] "
             "-> float32[2,1,1,2], float32[1,1,2], float32[1,1,2]", macs=80, flops=160 + 104,
             elementwise={"mul": 12, "add": 4 + 32 + 24, "exp": 12, "div": 12, "tanh": 8},
             bytes_read=24 + 96 + 64 + 64, bytes_written=16 + 8 + 8),
        # peepholes instead of biases: 2 steps · 6 weights
        Case("float32[2,1,3], float32[1,8,3], float32[1,8,2], -, -, -, -, float32[1,6] -> -, float32[1,1,2]",
             macs=80, flops=160 + 96, elementwise={"mul": 12 + 12, "add": 4 + 24 + 12, "exp": 12, "div": 12, "tanh": 8},
             bytes_read=24 + 96 + 64 + 24, bytes_written=8),
        # both directions of an open batch and sequence, one unit: 2·S·N unit-steps of 3 + 1 + 12 + 2 operations
        Case("float16[S,N,4], float16[2,4,4], float16[2,4,1] -> float16[S,2,N,1]", {"direction": "bidirectional"},
             macs="40*S*N", flops="80*S*N + 36*S*N", bytes_read="8*S*N + 64 + 16", bytes_written="4*S*N"),
    )
