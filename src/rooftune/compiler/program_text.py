"""A program in LLVM's text form: the functions of its kernels, and the one that runs them phase by phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rooftune.compiler.emit.work import Operand
from rooftune.compiler.kernels.borders import CLEAR
from rooftune.compiler.threads import ARGUMENTS, synchronisation

if TYPE_CHECKING:
    from rooftune.compiler.program import Program, Step

__all__ = ["program_text", "stamps_per_thread"]

_LINE = 8
"""Stamps in a cache line."""


def program_text(program: Program, weight_places: Mapping[str, int]) -> str:
    """All code of a program.

    weight_places  where packed weights begin, in floats
    """
    functions, declarations, calls = [], dict[str, None](), list[str]()
    shared: dict[str, str] = {}
    number = 0
    for place, (step, phase) in enumerate(program.phases):
        # layers of the same shape share their code
        body = phase.function.finished("")
        called = shared.setdefault(body, phase.function.name)
        if called == phase.function.name:
            functions.append(phase.function.finished())
            declarations |= phase.function.declarations
        pointers = []
        for operand in phase.operands:
            number += 1
            calls.append(_pointer(program, f"%p{number}", operand, step, weight_places))
            pointers.append(f"ptr %p{number}")
        calls.append(f"  ; {_printable(', '.join(step.nodes))}: {step.kernel}")
        calls += _shared_out(place, called, pointers)
        if step.kernel != CLEAR:
            # the room around a value and its pixels are written by two steps that nobody has to wait between
            calls.append(f"  call void @finished(ptr %control, i64 %threads, i64 %number{place})")
    pointers = [f"ptr %{name}" for name in ARGUMENTS]
    parameters = ", ".join(["i64 %thread", "i64 %threads", "i64 %run", *pointers, "ptr %control"])
    head = [
        f"define void @run({parameters}) noinline nounwind {{\nstart:",
        "  %runs.before = sub i64 %run, 1",
        f"  %phases.before = mul i64 %runs.before, {len(program.phases)}",
        f"  %stamps.row = mul i64 %thread, {stamps_per_thread(len(program.phases))}",
        "  %stamps.mine = getelementptr inbounds i64, ptr %stamps, i64 %stamps.row",
    ]
    run = "\n".join([*head, *calls, "  ret void", "}"])
    return "\n".join([*declarations, *functions, run, synchronisation(program.target.architecture)])


def stamps_per_thread(phases: int) -> int:
    """Places for the times that one thread notes: the start of a run, which only the caller's does, and the end of its
    last share of every phase. Threads have cache lines of their own."""
    return -(-(phases + 1) // _LINE) * _LINE


def _pointer(program: Program, name: str, operand: Operand, step: Step, weight_places: Mapping[str, int]) -> str:
    """What gives a pointer its value."""
    if operand.kind in ("input", "output"):
        place = (program.inputs if operand.kind == "input" else program.outputs).index(operand.name)
        found = f"  {name}.at = getelementptr inbounds ptr, ptr %{operand.kind}s, i64 {place}"
        return f"{found}\n  {name} = load ptr, ptr {name}.at, align 8"
    base, place = "arena", step.scratch
    if operand.kind == "weights":
        base, place = "weights", 4 * weight_places[operand.name]
    elif operand.kind == "value" and operand.name not in program.places:
        # known ahead: it lies among the weights
        base, place = "weights", 4 * weight_places[f"{operand.name}.map"]
    elif operand.kind == "value":
        place = program.places[operand.name]
    return f"  {name} = getelementptr inbounds i8, ptr %{base}, i64 {place}"


def _printable(text: str) -> str:
    """A model's names on one line: what they hold must not become code."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _shared_out(n: int, function: str, pointers: Sequence[str]) -> list[str]:
    """Do the thread's own share of phase `n`, then those that nobody has begun."""
    return [
        f"  br label %go{n}",
        f"go{n}:",
        f"  %number{n} = add i64 %phases.before, {n + 1}",
        f"  br label %share{n}",
        f"share{n}:",
        f"  %tried{n} = phi i64 [ 0, %go{n} ], [ %next{n}, %after{n} ]",
        f"  %sum{n} = add i64 %thread, %tried{n}",
        f"  %beyond{n} = icmp uge i64 %sum{n}, %threads",
        f"  %less{n} = sub i64 %sum{n}, %threads",
        f"  %which{n} = select i1 %beyond{n}, i64 %less{n}, i64 %sum{n}",
        f"  %mine{n} = call i1 @claim(ptr %control, i64 %which{n}, i64 %number{n})",
        f"  br i1 %mine{n}, label %work{n}, label %after{n}",
        f"work{n}:",
        f"  call void @{function}({', '.join(['i64 %thread', f'i64 %which{n}', 'i64 %threads', *pointers])})",
        *_stamp(n + 1),
        "  call void @finish(ptr %control)",
        f"  br label %after{n}",
        f"after{n}:",
        f"  %next{n} = add i64 %tried{n}, 1",
        f"  %left{n} = icmp ult i64 %next{n}, %threads",
        f"  br i1 %left{n}, label %share{n}, label %end{n}",
        f"end{n}:",
    ]


def _stamp(place: int) -> list[str]:
    """A thread notes the time, which costs some 20 cycles. All do, as nobody knows who does the last share."""
    return [
        f"  %tick{place} = call i64 @llvm.readcyclecounter()",
        f"  %tick{place}.at = getelementptr inbounds i64, ptr %stamps.mine, i64 {place}",
        f"  store i64 %tick{place}, ptr %tick{place}.at",
    ]
