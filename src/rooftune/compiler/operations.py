"""The small set of operations that models are lowered to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from rooftune.compiler.views import Factor, View

__all__ = [
    "Activation",
    "Convert",
    "Convolution",
    "Dense",
    "Embedding",
    "Floats",
    "Integers",
    "LocalResponse",
    "Normalization",
    "Operation",
    "Pad",
    "Pointwise",
    "Pool",
    "Product",
    "Rearrange",
    "Reduction",
    "Resize",
    "Route",
    "Softmax",
    "Stack",
    "Transposed",
]

Floats = NDArray[Any]


@dataclass(frozen=True)
class Activation:
    """What is done to every number: `relu`, `clip` (between low and high), `leaky` (low is the slope), ..."""

    kind: str = ""
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True)
class Operation:
    """Reads the values `x` (and others) and makes the value `y`; `nodes` are those of the graph that it computes."""

    nodes: tuple[str, ...]
    x: str
    y: str

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.x,)


@dataclass(frozen=True)
class Convolution(Operation):
    """A 2-D convolution with what follows it in registers: bias, the sum with another value, an activation.

    weight   name of a constant of shape [out, in / groups, rows, columns]; `bias` of one per output channel, or ""
    pads     rows above, columns left, rows below, columns right
    """

    weight: str
    bias: str
    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]
    groups: int
    residual: str = ""
    activation: Activation = Activation()

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.x, self.residual) if self.residual else (self.x,)


@dataclass(frozen=True)
class Dense(Operation):
    """A row of numbers times a matrix: `weight` of shape [in, out], or [out, in] where `transposed`.

    x is read as if its map were flattened: channel, row, column.
    """

    weight: str
    bias: str
    transposed: bool
    activation: Activation = Activation()


@dataclass(frozen=True)
class Pool(Operation):
    """The largest number, or the mean, of every window. `counts_pads` where a mean counts what was padded."""

    kind: str
    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    counts_pads: bool = False


@dataclass(frozen=True)
class Pointwise(Operation):
    """Every number times one per channel, plus one per channel, and then `kind` with another value.

    kind          `add`, `mul`, ...; `prelu`: times the other where it is negative; `where`: the other where the
                  condition is 0
    scale, shift  names of constants, or ""
    other         a value of the same shape, or a smaller one that is repeated (`spread`), or ""
    condition     a value, as `other` is, or ""

    A value is repeated over channels, rows or columns where it has one of them, and over images where their number is
    a multiple of its own.
    """

    kind: str = ""
    other: str = ""
    spread: bool = False
    scale: str = ""
    shift: str = ""
    activation: Activation = Activation()
    condition: str = ""

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(name for name in (self.x, self.other, self.condition) if name)


@dataclass(frozen=True)
class Route(Operation):
    """Channels of several values put together: channel i is channel `plan[i][1]` of `sources[plan[i][0]]`."""

    sources: tuple[str, ...]
    plan: tuple[tuple[int, int], ...]

    @property
    def reads(self) -> tuple[str, ...]:
        return self.sources


@dataclass(frozen=True)
class Transposed(Operation):
    """A transposed 2-D convolution: every pixel adds its weights, times its number, to a window of the result.

    weight   name of a constant of shape [in, out / groups, rows, columns]; `bias` of one per output channel, or ""
    pads     rows above, columns left that are cut from the result; its size is that of the value y
    """

    weight: str
    bias: str
    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int]
    dilations: tuple[int, int]
    groups: int
    activation: Activation = Activation()


@dataclass(frozen=True)
class Normalization(Operation):
    """Numbers minus their mean, over the root of their variance plus epsilon; then times scale, plus shift.

    kind    `layer`: over all channels of a pixel; `rms`: the same without the mean; `group`: over the channels of a
            group and all pixels of an image (`groups` as many as channels: instance normalisation)
    scale, shift  names of constants of one number per channel, or ""
    """

    kind: str
    epsilon: float
    scale: str = ""
    shift: str = ""
    groups: int = 1


@dataclass(frozen=True)
class Softmax(Operation):
    """e to the power of `scale` times every number, over the sum of these over the channels of a pixel; or the
    `logarithm` of that."""

    scale: float = 1.0
    logarithm: bool = False


@dataclass(frozen=True)
class LocalResponse(Operation):
    """Every number over the power `beta` of a sum: `bias`, plus `factor` times the squares of neighbouring channels.

    before, after  how many neighbours there are on both sides, where the channels do not end
    """

    before: int
    after: int
    factor: float
    beta: float
    bias: float


@dataclass(frozen=True)
class Resize(Operation):
    """Rows and columns at other places of the input: row r of the result is read at `rows[r]`, and so on.

    kind     `nearest` (places are whole numbers) or `linear` (places lie between two rows or columns, or on one)
    """

    kind: str
    rows: tuple[float, ...]
    columns: tuple[float, ...]


@dataclass(frozen=True)
class Pad(Operation):
    """Rows and columns around every map that hold one number.

    pads   rows above, columns left (those below and right follow from the size of the result)
    value  what they hold
    """

    pads: tuple[int, int]
    value: float = 0.0


@dataclass(frozen=True)
class Reduction(Operation):
    """`sum`, `mean`, `max`, `min`, `prod`, `l1`, `l2`, `sumsquare` or `logsumexp` over all pixels (`over` "pixels") or
    over the channels of every pixel (`over` "channels")."""

    kind: str
    over: str


@dataclass(frozen=True)
class Rearrange(Operation):
    """A map with its elements in other places.

    pieces  for images, channels, rows and columns of the result: the steps in x that their index is made of
    start   image, channel, row and column of x where the result begins; every number is multiplied by `scale`
    """

    pieces: tuple[tuple[Factor, ...], ...]
    start: tuple[int, int, int, int] = (0, 0, 0, 0)
    scale: float = 1.0


@dataclass(frozen=True)
class Stack(Operation):
    """Pixels of several maps one after another, as columns of a single row, or as rows where these are equally wide."""

    sources: tuple[str, ...]

    @property
    def reads(self) -> tuple[str, ...]:
        return self.sources


@dataclass(frozen=True)
class Product(Operation):
    """Matrix products of two values, read and written where they lie.

    first, second, out  views of dimensions [..., m, k], [..., k, n] and [..., m, n], the leading ones equal. k of the
        first and n of the result are channels; of the second either n or k is.
    """

    first: View
    second: View
    out: View

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.first.held, self.second.held)


@dataclass(frozen=True)
class Integers:
    """Whole numbers of an input, or truths, read from the caller's array, of which there is no map.

    dtype  of that array: `int64`, `int32`, `uint8` or `bool`
    view   of its elements in their order, counted along the first axis of a map; `held` names the input
    steps  what is done to every one of them, in order: ("int32", 0) casts, ("not", 0) negates a truth, ("slt", 3) asks
           whether it is less than 3, as `eq`, `sle`, `sgt` and `sge` do
    """

    dtype: str
    view: View
    steps: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Embedding(Operation):
    """Rows of a table, selected by integers; those below 0 count from its end. What a row holds are the channels.

    table    name of a constant of shape [rows, channels]
    indices  elements of the input `x`
    pieces   for images, channels (none), rows and columns of the result: the steps through the indices
    """

    table: str
    rows: int
    indices: Integers
    pieces: tuple[tuple[Factor, ...], ...]


@dataclass(frozen=True)
class Convert(Operation):
    """Integers of the input `x` as a map of fp32 numbers.

    pieces    for images, channels, rows and columns of the result: the steps through the integers
    branches  the numbers that a truth and an untruth stand for; None for the integers themselves
    """

    integers: Integers
    pieces: tuple[tuple[Factor, ...], ...]
    branches: tuple[float, float] | None = None
