"""Kernels that do nothing but move memory: read, copy and triad, with ordinary or non-temporal stores."""

from __future__ import annotations

from dataclasses import dataclass

from rooftune.execute.probe.isa import VectorIsa

__all__ = ["ARRAYS", "ARRAYS_MOVED", "ARGUMENT_BYTES", "PATTERNS", "SUM_OFFSET", "StreamKernel", "stream_kernel"]

PATTERNS = ("read", "copy", "triad")
"""Sum of a; b = a; a = b + scale · c (the patterns of STREAM, McCalpin 1995)."""

ARRAYS = {"read": 1, "copy": 2, "triad": 3}
"""Arrays a pattern works on, from the first."""

ARRAYS_MOVED = {"read": 1, "copy": 2, "triad": 3}
"""Bytes moved per byte of an array, as the program sees them: what a cache reads to fill a line is not counted."""

SUM_OFFSET, ARGUMENT_BYTES = 64, 64 + 256
"""The argument: addresses of a, b and c, turns per pass, the scale (fp64); at `SUM_OFFSET` a vector of sums."""


@dataclass(frozen=True)
class StreamKernel:
    """A kernel as LLVM text: `void kernel(ptr argument, i64 passes)`.

    vectors   vectors of each array in one turn of the inner loop
    stepwise  True with one vector of each array at a time, which is how DRAM likes its arrays best
    """

    isa: VectorIsa
    pattern: str
    non_temporal: bool
    text: str
    vectors: int
    stepwise: bool = False

    @property
    def id(self) -> str:
        """`stream:avx512:triad:ordinary`."""
        return f"stream:{self.isa.name}:{self.pattern}:{self.stores}" + (":stepwise" if self.stepwise else "")

    @property
    def stores(self) -> str:
        """How it stores, as in `machine.spec.Bandwidth`."""
        return "non-temporal" if self.non_temporal else "ordinary"

    @property
    def features(self) -> tuple[str, ...]:
        return self.isa.features

    def turn_bytes(self, register_bytes: int) -> int:
        """Bytes of one array in one turn; arrays are whole multiples of it."""
        return self.vectors * register_bytes


def stream_kernel(isa: VectorIsa, pattern: str, non_temporal: bool = False, *, stepwise: bool = False) -> StreamKernel:
    """The kernel of one pattern; half of the registers are in flight in a turn, or one vector of each array.

    Many vectors of one array in a row hide the loop, which is what caches need; from DRAM the rows of several arrays
    are better fetched in step (triad 3 to 5 % quicker where this was tried, as in a plain C loop).

    Reading adds integers: as many loads as there are sums wait for memory together, and the sums carried from
    pass to pass keep LLVM from dropping a pass. Raises ValueError for non-temporal stores of scalable vectors.
    """
    if non_temporal and (isa.scalable or pattern == "read"):
        raise ValueError(f"no non-temporal {pattern} on {isa.name}")
    vectors = isa.registers // 2 // {"read": 1, "copy": 1, "triad": 2}[pattern]
    if stepwise:
        vectors = 1
    return StreamKernel(isa, pattern, non_temporal, _text(isa, pattern, vectors, non_temporal), vectors, stepwise)


def _text(isa: VectorIsa, pattern: str, vectors: int, non_temporal: bool) -> str:
    sums = range(vectors) if pattern == "read" else range(0)
    kind = isa.vector("i32")
    lines = [*_entry(isa, pattern), "  br label %pass", "pass:"]
    lines.append("  %left = phi i64 [ %passes, %entry ], [ %left.next, %passed ]")
    lines += [f"  %p{i} = phi {kind} [ zeroinitializer, %entry ], [ %n{i}, %passed ]" for i in sums]
    lines += ["  br label %turn", "turn:", "  %offset = phi i64 [ 0, %pass ], [ %offset.next, %turn ]"]
    lines += [f"  %s{i} = phi {kind} [ %p{i}, %pass ], [ %n{i}, %turn ]" for i in sums]
    lines += _body(isa, pattern, vectors, ", !nontemporal !0" if non_temporal else "")
    lines += [
        "  %offset.next = add i64 %offset, %step",
        "  %more = icmp ne i64 %offset.next, %bytes",
        "  br i1 %more, label %turn, label %passed",
        "passed:",
        "  %left.next = add i64 %left, -1",
        "  %again = icmp ne i64 %left.next, 0",
        "  br i1 %again, label %pass, label %end",
        "end:",
    ]
    if non_temporal:
        lines.append("  fence seq_cst")  # the stores are done before the clock is read
    if pattern == "read":
        lines += _reduced(kind, vectors)
    lines += ["  ret void", "}"]
    if pattern == "triad":
        kind = isa.vector("double")
        lines.append(f"declare {kind} @llvm.fmuladd.{isa.mangled('double')}({kind}, {kind}, {kind})")
    if isa.scalable:
        lines.append("declare i64 @llvm.vscale.i64()")
    lines.append("!0 = !{i32 1}")
    prologue = [
        "define void @kernel(ptr %argument, i64 %passes) noinline nounwind {",
        "entry:",
        *(["  %granules = call i64 @llvm.vscale.i64()"] if isa.scalable else []),
        f"  %step = mul i64 {'%granules' if isa.scalable else '1'}, {vectors * isa.bits // 8}",
    ]
    return "\n".join([*prologue, *lines, ""])


def _entry(isa: VectorIsa, pattern: str) -> list[str]:
    lines = []
    for i, name in enumerate("abc"[: ARRAYS[pattern]]):
        lines.append(f"  %{name}.at = getelementptr i64, ptr %argument, i64 {i}")
        lines.append(f"  %{name} = load ptr, ptr %{name}.at, align 8")
    lines += [
        "  %turns.at = getelementptr i64, ptr %argument, i64 3",
        "  %turns = load i64, ptr %turns.at, align 8",
        "  %bytes = mul i64 %turns, %step",
    ]
    if pattern == "triad":
        kind = isa.vector("double")
        lines.append("  %scale.at = getelementptr i64, ptr %argument, i64 4")
        lines.append("  %scale.one = load double, ptr %scale.at, align 8")
        lines.append(f"  %scale.in = insertelement {kind} poison, double %scale.one, i64 0")
        mask = kind.replace("double", "i32")
        lines.append(f"  %scale = shufflevector {kind} %scale.in, {kind} poison, {mask} zeroinitializer")
    return lines


def _body(isa: VectorIsa, pattern: str, vectors: int, hint: str) -> list[str]:
    kind = isa.vector({"read": "i32", "copy": "i64", "triad": "double"}[pattern])
    align = 16 if isa.scalable else isa.bits // 8
    lines = [f"  %{n}.here = getelementptr i8, ptr %{n}, i64 %offset" for n in "abc"[: ARRAYS[pattern]]]

    def at(name: str, i: int) -> str:
        lines.append(f"  %{name}{i}.at = getelementptr {kind}, ptr %{name}.here, i64 {i}")
        return f"ptr %{name}{i}.at, align {align}"

    def load(name: str, i: int) -> str:
        place = at(name, i)
        lines.append(f"  %{name}{i} = load {kind}, {place}")
        return f"%{name}{i}"

    if pattern == "read":
        loaded = [load("a", i) for i in range(vectors)]
        return lines + [f"  %n{i} = add {kind} %s{i}, {value}" for i, value in enumerate(loaded)]
    target = "b" if pattern == "copy" else "a"
    values = []
    for i in range(vectors):
        if pattern == "copy":
            values.append(load("a", i))
            continue
        b, c = load("b", i), load("c", i)
        triad = f"@llvm.fmuladd.{isa.mangled('double')}({kind} %scale, {kind} {c}, {kind} {b})"
        lines.append(f"  %t{i} = call {kind} {triad}")
        values.append(f"%t{i}")
    for i, value in enumerate(values):
        place = at(target, i)
        lines.append(f"  store {kind} {value}, {place}{hint}")
    return lines


def _reduced(kind: str, vectors: int) -> list[str]:
    lines, total = [], "%n0"
    for i in range(1, vectors):
        lines.append(f"  %total{i} = add {kind} {total}, %n{i}")
        total = f"%total{i}"
    return [
        *lines,
        f"  %sum.at = getelementptr i8, ptr %argument, i64 {SUM_OFFSET}",
        f"  store {kind} {total}, ptr %sum.at, align 16",
    ]
