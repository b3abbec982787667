"""Normalisation: of every pixel over its channels, or of groups of channels over all pixels.

Means are taken first and deviations from them squared, in two passes, so that numbers far from 0 lose nothing. Over
pixels this is done for chunks that stay in the nearest cache, and chunks are joined as in Chan, Golub and LeVeque,
Updating Formulae and a Pairwise Algorithm for Computing Sample Variances (1979).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rooftune.compiler.emit.across import everywhere, kept, lane, totals
from rooftune.compiler.emit.chunks import SUMS, Chunks, chunks
from rooftune.compiler.emit.function import Function, Index, Value
from rooftune.compiler.emit.mathematics import choose
from rooftune.compiler.emit.pixels import each_block, tiles
from rooftune.compiler.emit.work import SCRATCH, Operand, Phase, begin, jobs
from rooftune.compiler.kernels.kernel import Kernel
from rooftune.compiler.kernels.pointwise import channel_parts, channel_weights
from rooftune.compiler.maps import Map
from rooftune.compiler.operations import Normalization
from rooftune.compiler.target import Target

__all__ = ["KERNELS"]


def _emit(name: str, op: Normalization, maps: Mapping[str, Map], target: Target) -> list[Phase]:
    x, y = maps[op.x], maps[op.y]
    if op.kind == "group":
        return _Groups(name, op, x, y, chunks((x, y), target), target).phases()
    return [_pixels(name, op, x, y, target)]


def _pixels(name: str, op: Normalization, x: Map, y: Map, target: Target) -> Phase:
    """Over the channels of every pixel: a few pixels are a job, and stay in the nearest cache between the passes."""
    constants = channel_parts(op)
    code, at = begin(name, ["x", *constants, "y"], target)
    tile = tiles(x, y, target)
    places = range(tile.count)
    with tile.jobs(code, x, y) as (read, written):
        source, into = code.at(at["x"], read), code.at(at["y"], written)

        def numbers(block: Index) -> list[Value]:
            line = code.at(source, block * x.plane)
            return [code.load(line, p * tile.x[1]) for p in places]

        def centred(block: Index) -> list[Value]:
            found = numbers(block)
            return found if means is None else [_minus(code, v, m) for v, m in zip(found, means, strict=True)]

        def add(block: Index, channels: int) -> None:
            for total, value in zip(sums, numbers(block), strict=True):
                total.set(_plus(code, total.get(), kept(code, value, channels, 0.0)))

        def add_squares(block: Index, channels: int) -> None:
            for total, value in zip(squares, centred(block), strict=True):
                counted = kept(code, value, channels, 0.0)
                total.set(code.fma(counted, counted, total.get()))

        def write(block: Index, channels: int) -> None:
            line = code.at(into, block * y.plane)
            scale, shift = (
                code.load(at[what], block * y.block) if what in constants else None for what in ("scale", "shift")
            )
            for p, value in zip(places, centred(block), strict=True):
                value = code.arithmetic("fmul", value, gains[p])
                if scale is not None and shift is not None:
                    value = code.fma(value, scale, shift)
                elif scale is not None:
                    value = code.arithmetic("fmul", value, scale)
                elif shift is not None:
                    value = _plus(code, value, shift)
                code.store(value, line, p * tile.y[1])

        means: list[Value] | None = None
        if op.kind == "layer":
            sums = [code.variable(code.vector, 0.0) for _ in places]
            each_block(code, x, add)
            mean = code.arithmetic("fmul", _totals(code, [s.get() for s in sums]), 1 / x.channels)
            means = [lane(code, mean, p) for p in places]
        squares = [code.variable(code.vector, 0.0) for _ in places]
        each_block(code, x, add_squares)
        variance = code.arithmetic("fmul", _totals(code, [s.get() for s in squares]), 1 / x.channels)
        gain = _gain(code, variance, op.epsilon)
        gains = [lane(code, gain, p) for p in places]
        each_block(code, x, write)
    weights = (Operand.weights(op.y, what) for what in constants)
    return Phase(code, (Operand.value(op.x), *weights, Operand.value(op.y)))


@dataclass(frozen=True)
class _Groups:
    """Over groups of channels and all pixels, in phases: chunks, blocks of channels, groups, results.

    What is shared: mean and sum of squared deviations of every chunk, then of every channel; then, for every channel,
    the mean of its group and the factor of what is left without it.
    """

    name: str
    op: Normalization
    x: Map
    y: Map
    chunks: Chunks
    target: Target

    @property
    def planes(self) -> int:
        return self.x.images * self.x.blocks

    @property
    def pair(self) -> int:
        """Floats of two vectors."""
        return 2 * self.x.block

    @property
    def channels_at(self) -> int:
        """Where the numbers of channels begin: behind those of chunks, or in their place where there is one each."""
        return self.planes * self.chunks.count * self.pair if self.chunks.count > 1 else 0

    @property
    def factors_at(self) -> int:
        return self.channels_at + self.planes * self.pair

    def phases(self) -> list[Phase]:
        alone = self.op.groups == self.x.channels
        joined = [self.join()] if self.chunks.count > 1 else []
        return [self.measure(), *joined, self.each_channel() if alone else self.each_group(), self.apply()]

    def measure(self) -> Phase:
        """Mean and squared deviations of every chunk, by channel."""
        code, at = begin(f"{self.name}_measure", ["x", "shared"], self.target)
        with jobs(code, self.planes * self.chunks.count) as job:
            start = job // self.chunks.count * self.x.plane + self.chunks.start(self.x, job % self.chunks.count)
            source = code.at(at["x"], start)

            def pixel(line: Index, place: Index) -> Value:
                return code.load(source, line * self.x.row + place * self.x.block)

            sums = [code.variable(code.vector, 0.0) for _ in range(SUMS)]
            squares = [code.variable(code.vector, 0.0) for _ in range(SUMS)]

            def add(line: Index, place: Index, which: int) -> None:
                sums[which].set(_plus(code, sums[which].get(), pixel(line, place)))

            def add_squares(line: Index, place: Index, which: int) -> None:
                off = _minus(code, pixel(line, place), mean)
                squares[which].set(code.fma(off, off, squares[which].get()))

            self.chunks.over(code, add)
            mean = code.arithmetic("fmul", _sum(code, [s.get() for s in sums]), 1 / self.chunks.pixels)
            self.chunks.over(code, add_squares)
            into = code.at(at["shared"], job * self.pair)
            code.store(mean, into)
            code.store(_sum(code, [s.get() for s in squares]), into, self.x.block)
        return self.phase(code, Operand.value(self.op.x), SCRATCH)

    def join(self) -> Phase:
        """The chunks of every block of channels."""
        code, at = begin(f"{self.name}_join", ["shared"], self.target)
        count = self.chunks.count
        with jobs(code, self.planes) as job:
            parts = code.at(at["shared"], job * (count * self.pair))
            total, squares = code.variable(code.vector, 0.0), code.variable(code.vector, 0.0)
            with code.loop(0, count) as part:
                total.set(_plus(code, total.get(), code.load(parts, part * self.pair)))
            mean = code.arithmetic("fmul", total.get(), 1 / count)
            with code.loop(0, count) as part:
                place = code.at(parts, part * self.pair)
                off = _minus(code, code.load(place), mean)
                between = code.fma(code.arithmetic("fmul", off, self.chunks.pixels), off, squares.get())
                squares.set(_plus(code, between, code.load(place, self.x.block)))
            into = code.at(at["shared"], job * self.pair + self.channels_at)
            code.store(mean, into)
            code.store(squares.get(), into, self.x.block)
        return self.phase(code, SCRATCH)

    def each_channel(self) -> Phase:
        """Mean and factor where every channel is a group."""
        code, at, scales = self.with_scale("channels")
        with jobs(code, self.planes) as job:
            place = code.at(at["shared"], job * self.pair)
            squares = code.load(place, self.channels_at + self.x.block)
            factor = _gain(code, code.arithmetic("fmul", squares, 1 / (self.x.height * self.x.width)), self.op.epsilon)
            if scales:
                factor = code.arithmetic("fmul", factor, code.load(at["scale"], job % self.x.blocks * self.x.block))
            code.store(code.load(place, self.channels_at), place, self.factors_at)
            code.store(factor, place, self.factors_at + self.x.block)
        return self.phase(code, *scales, SCRATCH)

    def each_group(self) -> Phase:
        """Mean and factor of every group, for all of its channels; groups may begin and end within a block."""
        code, at, scales = self.with_scale("groups")
        size, block = self.x.channels // self.op.groups, self.x.block
        pixels = self.x.height * self.x.width
        with jobs(code, self.x.images * self.op.groups) as job:
            image, first = job // self.op.groups, job % self.op.groups * size
            shared = code.at(at["shared"], image * (self.x.blocks * self.pair))
            total, squares = code.variable(code.vector, 0.0), code.variable(code.vector, 0.0)

            def member(number: Index, value: Value) -> Value:
                return _between(code, value, first - number * block, first + size - number * block)

            with code.loop(first // block, (first + size + block - 1) // block) as number:
                mean = code.load(shared, number * self.pair + self.channels_at)
                total.set(_plus(code, total.get(), member(number, mean)))
            mean = code.arithmetic("fmul", everywhere(code, total.get(), lambda a, b: _plus(code, a, b)), 1 / size)
            with code.loop(first // block, (first + size + block - 1) // block) as number:
                place = code.at(shared, number * self.pair + self.channels_at)
                off = _minus(code, code.load(place), mean)
                inside = code.load(place, block)
                both = code.fma(code.arithmetic("fmul", off, pixels), off, inside)
                squares.set(_plus(code, squares.get(), member(number, both)))
            whole = everywhere(code, squares.get(), lambda a, b: _plus(code, a, b))
            gain = _gain(code, code.arithmetic("fmul", whole, 1 / (pixels * size)), self.op.epsilon)
            gain, mean = _scalar(code, gain), _scalar(code, mean)
            with code.loop(first, first + size) as channel:
                factor = gain
                if scales:
                    factor = code.arithmetic("fmul", gain, code.load(at["scale"], channel, "float"))
                place = code.at(shared, channel // block * self.pair + channel % block + self.factors_at)
                code.store(mean, place)
                code.store(factor, place, block)
        return self.phase(code, *scales, SCRATCH)

    def apply(self) -> Phase:
        """Every number without the mean, times the factor, plus the shift of its channel."""
        shifts = [what for what in channel_parts(self.op) if what == "shift"]
        code, at = begin(f"{self.name}_apply", ["x", *shifts, "shared", "y"], self.target)
        x, y, count = self.x, self.y, self.chunks.count
        with jobs(code, self.planes * count) as job:
            plane, chunk = job // count, job % count
            source = code.at(at["x"], plane * x.plane + self.chunks.start(x, chunk))
            into = code.at(at["y"], plane * y.plane + self.chunks.start(y, chunk))
            place = code.at(at["shared"], plane * self.pair + self.factors_at)
            mean, factor = code.load(place), code.load(place, x.block)
            shift = code.load(at["shift"], plane % x.blocks * x.block) if shifts else None

            def write(line: Index, pixel: Index, which: int) -> None:
                value = _minus(code, code.load(source, line * x.row + pixel * x.block), mean)
                value = code.arithmetic("fmul", value, factor) if shift is None else code.fma(value, factor, shift)
                code.store(value, into, line * y.row + pixel * y.block)

            self.chunks.over(code, write)
        constants = (Operand.weights(self.op.y, what) for what in shifts)
        return self.phase(code, Operand.value(self.op.x), *constants, SCRATCH, Operand.value(self.op.y))

    def with_scale(self, what: str) -> tuple[Function, dict[str, Value], list[Operand]]:
        """A function that is given the scales where there are any, and what is shared."""
        scales = [Operand.weights(self.op.y, "scale")] if self.op.scale else []
        pointers = ["scale"] if scales else []
        return (*begin(f"{self.name}_{what}", [*pointers, "shared"], self.target), scales)

    def phase(self, code: Function, *operands: Operand) -> Phase:
        return Phase(code, operands, shared=self.factors_at + self.planes * self.pair)


def _plus(code: Function, a: Value, b: Value) -> Value:
    return code.arithmetic("fadd", a, b)


def _minus(code: Function, a: Value, b: Value) -> Value:
    return code.arithmetic("fsub", a, b)


def _sum(code: Function, values: list[Value]) -> Value:
    """Sums of pairs, then of those."""
    while len(values) > 1:
        values = [_plus(code, a, b) for a, b in zip(values[::2], values[1::2], strict=True)]
    return values[0]


def _totals(code: Function, vectors: list[Value]) -> Value:
    return totals(code, vectors, lambda a, b: _plus(code, a, b))


def _gain(code: Function, variance: Value, epsilon: float) -> Value:
    """One over the deviation."""
    wide = code.arithmetic("fadd", variance, epsilon)
    return code.arithmetic("fdiv", 1.0, code.call(f"llvm.sqrt.v{code.lanes}f32", wide.kind, (wide, wide.kind)))


def _between(code: Function, value: Value, low: Index, high: Index) -> Value:
    """The lanes from one number on and before another; 0 in the others."""
    whole, truths = value.kind.replace("float", "i32"), value.kind.replace("float", "i1")
    lanes = ", ".join(f"i32 {i}" for i in range(code.lanes))

    def test(how: str, bound: Index) -> Value:
        short = code.emit("i32", f"trunc i64 {code.text(bound, 'i64')} to i32")
        one = code.emit(whole, f"insertelement {whole} poison, i32 {short.name}, i64 0")
        all_ = code.emit(whole, f"shufflevector {whole} {one.name}, {whole} poison, {whole} zeroinitializer")
        return code.emit(truths, f"icmp {how} {whole} <{lanes}>, {all_.name}")

    both = code.emit(truths, f"and {truths} {test('sge', low).name}, {test('slt', high).name}")
    return choose(code, both, value, Value("zeroinitializer", value.kind, code))


def _scalar(code: Function, vector: Value) -> Value:
    return code.emit("float", f"extractelement {vector.kind} {vector.name}, i64 0")


KERNELS = (Kernel(Normalization, lambda op: f"{op.kind} norm", _emit, channel_parts, channel_weights),)
"""What runs a normalisation."""
