"""A function in LLVM's text form, written by statements that read like the loops they emit.

Numbers that are known while the code is written stay Python numbers: `tile.rows * 4` costs nothing at run time.
Values that change in a loop are variables in memory; LLVM keeps them in registers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["Function", "Index", "Value", "Variable"]


@dataclass(frozen=True)
class Value:
    """Something the processor computes: its name in the text, and its LLVM type (`i64`, `ptr`, `<16 x float>`)."""

    name: str
    kind: str
    code: Function

    def __add__(self, other: Index) -> Index:
        return self.code.integer("add", self, other)

    def __radd__(self, other: int) -> Index:
        return self.code.integer("add", self, other)

    def __sub__(self, other: Index) -> Index:
        return self.code.integer("sub", self, other)

    def __rsub__(self, other: int) -> Index:
        return self.code.integer("sub", other, self)

    def __mul__(self, other: Index) -> Index:
        return self.code.integer("mul", self, other)

    def __rmul__(self, other: int) -> Index:
        return self.code.integer("mul", self, other)

    def __floordiv__(self, other: Index) -> Index:
        return self.code.integer("udiv", self, other)

    def __rfloordiv__(self, other: int) -> Index:
        return self.code.integer("udiv", other, self)

    def __mod__(self, other: Index) -> Index:
        return self.code.integer("urem", self, other)

    def __rmod__(self, other: int) -> Index:
        return self.code.integer("urem", other, self)


Index = int | Value
"""A whole number, known now or at run time."""


@dataclass(frozen=True)
class Variable:
    """A place that holds a value which changes."""

    place: str
    kind: str
    code: Function

    def get(self) -> Value:
        return self.code.emit(self.kind, f"load {self.kind}, ptr {self.place}")

    def set(self, value: Value | int | float) -> None:
        self.code.line(f"store {self.kind} {self.code.text(value, self.kind)}, ptr {self.place}")


class Function:
    """One function `void name(parameters)`.

    parameters  names with their LLVM types
    lanes       fp32 numbers per vector register
    fused       False where the processor has no fused multiply-add
    """

    def __init__(self, name: str, parameters: Sequence[tuple[str, str]], lanes: int, *, fused: bool = True) -> None:
        self.name, self.lanes, self.fused = name, lanes, fused
        self.vector = f"<{lanes} x float>"
        self.declarations: dict[str, None] = {}
        self._parameters = [(f"%{n}", kind) for n, kind in parameters]
        self._entry: list[str] = []
        self._body: list[str] = []
        self._count = 0
        self._label = "start"

    def parameter(self, name: str) -> Value:
        kind = next(k for n, k in self._parameters if n == f"%{name}")
        return Value(f"%{name}", kind, self)

    # single statements

    def fresh(self) -> str:
        self._count += 1
        return f"%v{self._count}"

    def line(self, text: str) -> None:
        self._body.append(f"  {text}")

    def emit(self, kind: str, text: str) -> Value:
        name = self.fresh()
        self.line(f"{name} = {text}")
        return Value(name, kind, self)

    def text(self, value: Value | float, kind: str) -> str:
        """An operand as LLVM writes it; numbers become constants of the type, repeated for vectors."""
        if isinstance(value, Value):
            return value.name
        if kind.startswith("<"):
            element = kind.split(" x ")[1].rstrip(">")
            return f"splat ({element} {self.text(value, element)})"
        if kind == "float":
            return _float(value)
        return str(int(value))

    def integer(self, operation: str, a: Index, b: Index) -> Index:
        """Arithmetic on indices, worked out now where both are known."""
        if isinstance(a, int) and isinstance(b, int):
            return {"add": a + b, "sub": a - b, "mul": a * b, "udiv": a // b if b else 0, "urem": a % b if b else 0}[
                operation
            ]
        if operation in ("add", "sub") and b == 0 and isinstance(b, int):
            return a
        if operation in ("add", "mul") and isinstance(a, int):
            a, b = b, a
        if operation in ("mul", "udiv") and isinstance(b, int) and b == 1:
            return a
        if operation == "mul" and isinstance(b, int) and b == 0:
            return 0
        # indices before a map begin are negative: only the signed sum may be taken not to overflow
        wrap = " nsw" if operation in ("add", "mul") else ""
        return self.emit("i64", f"{operation}{wrap} i64 {self.text(a, 'i64')}, {self.text(b, 'i64')}")

    def least(self, a: Index, b: Index) -> Index:
        if isinstance(a, int) and isinstance(b, int):
            return min(a, b)
        return self.call("llvm.smin.i64", "i64", (a, "i64"), (b, "i64"))

    def largest(self, a: Index, b: Index) -> Index:
        if isinstance(a, int) and isinstance(b, int):
            return max(a, b)
        return self.call("llvm.smax.i64", "i64", (a, "i64"), (b, "i64"))

    def call(self, name: str, kind: str, *arguments: tuple[Value | float, str]) -> Value:
        """Call a function that is declared for the module on the way."""
        self.declarations[f"declare {kind} @{name}({', '.join(k for _, k in arguments)})"] = None
        given = ", ".join(f"{k} {self.text(v, k)}" for v, k in arguments)
        return self.emit(kind, f"call {kind} @{name}({given})")

    # memory

    def at(self, pointer: Value, index: Index, bytes_each: int = 4) -> Value:
        """The address of an element; elements are floats unless said otherwise."""
        if isinstance(index, int) and index == 0:
            return pointer
        if isinstance(index, int):
            return self.emit("ptr", f"getelementptr inbounds i8, ptr {pointer.name}, i64 {index * bytes_each}")
        kind = {1: "i8", 2: "i16", 4: "float", 8: "i64"}[bytes_each]
        return self.emit("ptr", f"getelementptr inbounds {kind}, ptr {pointer.name}, i64 {index.name}")

    def load(self, pointer: Value, index: Index = 0, kind: str = "", align: int = 4) -> Value:
        """A vector (or another type) from memory."""
        kind = kind or self.vector
        return self.emit(kind, f"load {kind}, ptr {self.at(pointer, index).name}, align {align}")

    def store(self, value: Value, pointer: Value, index: Index = 0, align: int = 4) -> None:
        """Put a value into memory."""
        self.line(f"store {value.kind} {value.name}, ptr {self.at(pointer, index).name}, align {align}")

    def broadcast(self, pointer: Value, index: Index = 0) -> Value:
        """One float from memory in every lane."""
        return self.splat(self.load(pointer, index, "float"))

    def splat(self, scalar: Value) -> Value:
        one = self.emit(self.vector, f"insertelement {self.vector} poison, float {scalar.name}, i64 0")
        zeros = f"<{self.lanes} x i32> zeroinitializer"
        return self.emit(self.vector, f"shufflevector {self.vector} {one.name}, {self.vector} poison, {zeros}")

    # arithmetic on floats and vectors of them

    def fma(self, a: Value, b: Value | float, c: Value) -> Value:
        """a·b + c, rounded once where the processor can."""
        kind = c.kind
        name = f"llvm.{'fma' if self.fused else 'fmuladd'}.{_mangled(kind)}"
        return self.call(name, kind, (a, kind), (b, kind), (c, kind))

    def arithmetic(self, operation: str, a: Value | float, b: Value | float) -> Value:
        """`fadd`, `fsub`, `fmul` or `fdiv`."""
        kind = a.kind if isinstance(a, Value) else b.kind if isinstance(b, Value) else self.vector
        return self.emit(kind, f"{operation} {kind} {self.text(a, kind)}, {self.text(b, kind)}")

    def extreme(self, which: str, a: Value, b: Value | float) -> Value:
        """`max` or `min`: b where it is larger or smaller; where a is not a number, a. One instruction on x86."""
        comparison = {"max": "olt", "min": "ogt"}[which]
        other = self.text(b, a.kind)
        truths = f"<{self.lanes} x i1>" if a.kind == self.vector else "i1"
        test = self.emit(truths, f"fcmp {comparison} {a.kind} {a.name}, {other}")
        return self.emit(a.kind, f"select {truths} {test.name}, {a.kind} {other}, {a.kind} {a.name}")

    # control flow

    def variable(self, kind: str, start: Value | float) -> Variable:
        place = self.fresh()
        self._entry.append(f"  {place} = alloca {kind}")
        found = Variable(place, kind, self)
        found.set(start)
        return found

    @contextmanager
    def loop(self, start: Index, end: Index, step: int = 1) -> Iterator[Value]:
        """Run the body for start, start + step, ... below end."""
        number = self._next()
        head, body, after = (f"{part}{number}" for part in ("head", "body", "after"))
        before = self._label
        name, following = self.fresh(), self.fresh()
        self.line(f"br label %{head}")
        self._begin(head)
        place = len(self._body)
        self._body.append("")
        test = self.emit("i1", f"icmp slt i64 {name}, {self.text(end, 'i64')}")
        self.line(f"br i1 {test.name}, label %{body}, label %{after}")
        self._begin(body)
        yield Value(name, "i64", self)
        self.line(f"{following} = add nsw i64 {name}, {step}")
        self.line(f"br label %{head}")
        self._body[place] = (
            f"  {name} = phi i64 [ {self.text(start, 'i64')}, %{before} ], [ {following}, %{self._label} ]"
        )
        self._begin(after)

    @contextmanager
    def when(self, comparison: str, a: Index, b: Index) -> Iterator[None]:
        """Run the body where a `slt`, `sge`, `eq`, `ne` ... b."""
        number = self._next()
        test = self.emit("i1", f"icmp {comparison} i64 {self.text(a, 'i64')}, {self.text(b, 'i64')}")
        self.line(f"br i1 {test.name}, label %then{number}, label %done{number}")
        self._begin(f"then{number}")
        yield
        self.line(f"br label %done{number}")
        self._begin(f"done{number}")

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _begin(self, label: str) -> None:
        self._body.append(f"{label}:")
        self._label = label

    def finished(self, name: str | None = None) -> str:
        """The whole function as text, under another name where one is given."""
        parameters = ", ".join(f"{kind}{' noundef' if kind == 'ptr' else ''} {n}" for n, kind in self._parameters)
        head = f"define void @{self.name if name is None else name}({parameters}) noinline nounwind {{"
        return "\n".join([head, "start:", *self._entry, *self._body, "  ret void", "}", ""])


def _mangled(kind: str) -> str:
    if not kind.startswith("<"):
        return {"float": "f32"}.get(kind, kind)
    count, element = kind.strip("<>").split(" x ")
    return f"v{count}{ {'float': 'f32'}.get(element, element) }"


def _float(value: float) -> str:
    """A float constant exactly: LLVM reads fp32 constants as the bits of the double."""
    rounded = struct.unpack("f", struct.pack("f", value))[0]
    return "0x" + struct.pack(">d", rounded).hex().upper()
