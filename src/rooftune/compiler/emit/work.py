"""What every kernel starts with: its parameters, and its share of the work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rooftune.compiler.emit.function import Function, Index, Value
from rooftune.compiler.operations import Operation
from rooftune.compiler.target import Target

__all__ = ["SCRATCH", "Operand", "Phase", "begin", "jobs", "operands"]


@dataclass(frozen=True)
class Operand:
    """What a kernel's pointer points to: a `value` of the arena, `weights`, an `input`, an `output`, or `scratch`."""

    kind: str
    name: str = ""

    @classmethod
    def value(cls, name: str) -> Operand:
        """A value of the program."""
        return cls("value", name)

    @classmethod
    def weights(cls, made: str, what: str) -> Operand:
        """One kind of weights of the operation that makes a value: `weight`, `bias`, `scale`, `shift`."""
        return cls("weights", f"{made}.{what}")


SCRATCH = Operand("scratch")


def operands(op: Operation, pointers: Iterable[str]) -> tuple[Operand, ...]:
    """What an operation's pointers point to: values where it has a field of that name, `scratch`, or its weights."""
    values = {name: getattr(op, name) for name in ("x", "y", "residual") if hasattr(op, name)}
    known = {name: Operand.value(value) for name, value in values.items()} | {SCRATCH.kind: SCRATCH}
    return tuple(known.get(name) or Operand.weights(op.y, name) for name in pointers)


@dataclass(frozen=True)
class Phase:
    """A function that does one share of the work, and what its pointers are; nobody goes on before all are done.

    scratch   floats every thread needs beside them, `shared` those that all need together; where a phase needs both,
              the threads' own parts lie behind what is shared
    """

    function: Function
    operands: tuple[Operand, ...]
    scratch: int = 0
    shared: int = 0


def begin(name: str, pointers: Sequence[str], target: Target) -> tuple[Function, dict[str, Value]]:
    """A function `name(thread, share, shares, pointers ...)` and its pointers by name.

    It does one of so many shares, on the scratch memory of the thread that calls it.
    """
    parameters = [("thread", "i64"), ("share", "i64"), ("shares", "i64"), *((p, "ptr") for p in pointers)]
    code = Function(name, parameters, target.lanes, fused=target.fused)
    return code, {p: code.parameter(p) for p in pointers}


@contextmanager
def jobs(code: Function, count: int) -> Iterator[Value]:
    """Run the body for one share of `count` jobs: neighbouring ones, so that neighbours meet in a thread's cache."""
    share, shares = code.parameter("share"), code.parameter("shares")
    start: Index = share * count // shares
    end: Index = (share + 1) * count // shares
    with code.loop(start, end) as job:
        yield job
