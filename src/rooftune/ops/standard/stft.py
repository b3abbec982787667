"""STFT: Fourier transforms of the overlapping frames of a signal."""

from rooftune.ops.case import Case
from rooftune.ops.fourier import transform
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Dim


@operator("STFT", since=17)
class STFT:
    onesided: int = 1

    def work(
        self,
        signal: TensorType,
        frame_step: TensorType,
        window: TensorType | None = None,
        frame_length: TensorType | None = None,
        *,
        output: TensorType,
    ) -> Work:
        frames = output.shape[0] * output.shape[1]
        length = self._length(signal, window, frame_length, output)
        parts = 2 if signal.rank == 3 and signal.shape[2] == 2 else 1
        # the window weighs every number of a frame, then each frame is transformed
        weighed = 0 if window is None else length * parts
        once = tally(transform(length, real=parts == 1), {"mul": weighed})
        return Work(elementwise={kind: count * frames for kind, count in once.items()})

    def _length(
        self, signal: TensorType, window: TensorType | None, frame_length: TensorType | None, output: TensorType
    ) -> Dim:
        if window is not None:
            return window.shape[0]
        if frame_length is None:
            return signal.shape[1]
        # the length is a value: half of the spectrum (n // 2 + 1) tells it up to one, an even length is taken
        return 2 * (output.shape[2] - 1) if self.onesided else output.shape[2]

    cases = (
        # 3 frames of 4 real points: 4 products for the window, half of 5 · 4 · 2 for the transform
        Case("float32[1,8,1], int64[], float32[4] -> float32[1,3,3,2]", flops=3 * (4 + 20),
             elementwise={"mul": 12 + 24, "add": 36}, bytes_read=32 + 8 + 16, bytes_written=72),
        # no window, both halves of the spectrum
        Case("float32[1,8,1], int64[], -, int64[] -> float32[1,2,4,2]", {"onesided": 0}, flops=2 * 20,
             bytes_read=32 + 8 + 8, bytes_written=64),
        # a complex signal: twice the window, twice the transform
        Case("float32[N,16,2], int64[], float32[8] -> float32[N,3,8,2]", {"onesided": 0}, flops="3*N*(16 + 120)",
             bytes_read="128*N + 8 + 32", bytes_written="192*N"),
    )
