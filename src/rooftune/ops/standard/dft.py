"""DFT: the discrete Fourier transform along one axis, by a fast algorithm."""

from rooftune.ops.case import Case
from rooftune.ops.fourier import transform
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Count, Dim, larger, product


@operator("DFT", since=17)
class DFT:
    axis: int | None = None
    inverse: int = 0
    onesided: int = 0

    def work(
        self,
        x: TensorType,
        dft_length: TensorType | None = None,
        axis: TensorType | None = None,
        *,
        output: TensorType,
    ) -> Work:
        # where the axis is a value, not an attribute, the costliest it can be is counted: an upper bound
        each = [self._along(i, x, dft_length, output) for i in sorted(self._candidates(x, axis, output))]
        kinds = sorted({kind for counts in each for kind in counts})
        return Work(elementwise={kind: larger(*(counts.get(kind, 0) for counts in each)) for kind in kinds})

    def _candidates(self, x: TensorType, axis: TensorType | None, output: TensorType) -> set[int]:
        if self.axis is not None:
            return {self.axis % x.rank}
        signal = range(x.rank - 1)  # the last dimension holds real and imaginary part
        changed = {i for i in signal if x.shape[i] != output.shape[i]}
        if changed:
            return changed
        # opset 17 takes axis 1 by default, opset 20 the last of the signal
        return set(signal) if axis is not None else {min(1, x.rank - 2), x.rank - 2}

    def _along(
        self, axis: int, x: TensorType, dft_length: TensorType | None, output: TensorType
    ) -> dict[str, Count]:
        length: Dim = output.shape[axis]
        if self.onesided and not self.inverse:
            # half of the spectrum comes out: n // 2 + 1; a length given as a value is taken as even
            length = x.shape[axis] if dft_length is None else 2 * (output.shape[axis] - 1)
        lines = product(size for i, size in enumerate(output.shape[:-1]) if i != axis)
        real = x.shape[-1] == 1 or output.shape[-1] == 1
        once = transform(length, real=real)
        # the inverse divides by n
        scaled = {"mul": output.elements} if self.inverse else {}
        return tally({kind: count * lines for kind, count in once.items()}, scaled)

    cases = (
        # real input of 8 points: half of 5 · 8 · 3, two fifths of it products
        Case("float32[1,8,1] -> float32[1,8,2]", {"axis": 1}, flops=60, elementwise={"mul": 24, "add": 36},
             bytes_read=32, bytes_written=64),
        # complex, open batch: 120 for every line
        Case("float32[N,8,2] -> float32[N,8,2]", {"axis": 1}, flops="120*N", bytes_read="64*N", bytes_written="64*N"),
        # three points: 2 twiddles and 4 factors (6 each), 6 complex sums (2 each); the inverse scales 6 numbers
        Case("float32[1,3,2] -> float32[1,3,2]", {"axis": 1, "inverse": 1}, flops=36 + 12 + 6,
             elementwise={"mul": 24 + 6, "add": 12 + 12}, bytes_read=24, bytes_written=24),
        # onesided: 8 real points give 5 complex ones; the shapes tell the axis
        Case("float32[2,8,1], -, int64[] -> float32[2,5,2]", {"onesided": 1}, flops=120,
             bytes_read=64 + 8, bytes_written=80),
        # an open length is counted as a power of two
        Case("float32[1,L,2] -> float32[1,L,2]", {"axis": 1}, flops="5*L*log(L)/log(2)", bytes_read="8*L",
             bytes_written="8*L"),
    )
