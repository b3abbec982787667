"""Every stage of a compilation as lines for people: what was lowered, how values lie, which kernel runs what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from typing import Any

from rooftune.compiler.lowering import Lowered
from rooftune.compiler.operations import Activation, Integers, Operation, Route, Stack
from rooftune.compiler.program import Program
from rooftune.compiler.views import Factor, View

__all__ = ["layout_lines", "lowered_lines", "schedule_lines", "step_facts"]

_AXES = ("image", "channel", "row", "column")
_COMPARISONS = ("eq", "sge", "sgt", "sle", "slt")


def lowered_lines(lowered: Lowered) -> Iterator[str]:
    """One line per operation: `y = convolution(x, residual=r) 3×3, strides 1×1, ... relu`."""
    for name in lowered.inputs:
        kind = lowered.integers.get(name, "")
        yield f"input {name}: {_sizes(lowered.dims[name])}{f' {kind}' if kind else ''}"
    for op in lowered.operations:
        yield f"{op.y}: {_sizes(lowered.shapes[op.y])} = {_said(op)}"
    for name in lowered.outputs:
        held = lowered.found[name].held
        yield f"output {name}: {_sizes(lowered.dims[name])}{f' from {held}' if held != name else ''}"


def layout_lines(program: Program) -> Iterator[str]:
    """One line per value: sizes, channels side by side, room around it, bytes, place in the arena."""
    for name, place in sorted(program.places.items(), key=lambda item: item[1]):
        one = program.maps[name]
        sizes = _sizes((one.images, one.channels, one.height, one.width))
        room = f", room {'+'.join(map(str, one.halo))}" if any(one.halo) else ""
        yield f"{name}: {sizes} by {one.block} channels{room}, {4 * one.size:,} bytes at {place:,}"
    weights = 4 * sum(part().size for part in program.weights.values())
    scratch = max((step.scratch_bytes(program.target.threads) for step in program.steps), default=0)
    yield f"arena {program.arena:,} bytes, of which scratch up to {scratch:,}; weights {weights:,}"


def schedule_lines(program: Program) -> Iterator[str]:
    """One line per step: kernel, schedule, and the nodes it computes."""
    for facts in step_facts(program):
        settings = ", ".join(f"{k} {v}" for k, v in facts["schedule"].items())
        yield f"{facts['kernel']}{f' ({settings})' if settings else ''}: {', '.join(facts['nodes']) or '-'}"


def step_facts(program: Program) -> list[dict[str, Any]]:
    """Every step as JSON values."""
    return [
        {
            "kernel": step.kernel,
            "nodes": list(step.nodes),
            "schedule": asdict(step.schedule) if step.schedule is not None else {},
            "functions": [phase.function.name for phase in step.phases],
        }
        for step in program.steps
    ]


def _said(op: Operation) -> str:
    words = [f"{type(op).__name__.lower()}({', '.join(op.reads)})"]
    for field in fields(op):
        value = getattr(op, field.name)
        if field.name in ("nodes", "x", "y", "other", "residual", "activation") or value in ("", False, None):
            continue
        if isinstance(op, Route) and field.name == "plan":
            words += [_run(op, *run) for run in _runs(op.plan)]
        elif not (isinstance(op, Route | Stack) and field.name == "sources"):
            words.append(f"{field.name} {_value(value)}")
    activation = getattr(op, "activation", Activation())
    if activation.kind:
        words.append(activation.kind)
    return f"{words[0]} {', '.join(words[1:])}".rstrip()


def _value(value: Any) -> str:
    if isinstance(value, Integers):
        return _integers(value)
    if isinstance(value, View):
        dims = " ".join(_factors(dim) or "1" for dim in value.dims)
        return f"{value.held}[{dims}{f' from {_sizes(value.start)}' if any(value.start) else ''}]"
    if isinstance(value, tuple) and any(isinstance(v, tuple) for v in value):
        return " ".join(_factors(v) or "1" for v in value)
    return "×".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _integers(value: Integers) -> str:
    """`ids[2/8 4/1 from 3] int64, slt 5`: two steps of eight elements, four of one, from the fourth on."""
    dims = " ".join("+".join(f"{f.size}/{f.step}" for f in dim) or "1" for dim in value.view.dims)
    start = f" from {value.view.start[0]}" if value.view.start[0] else ""
    done = "".join(f", {kind}{f' {number}' if kind in _COMPARISONS else ''}" for kind, number in value.steps)
    return f"{value.view.held}[{dims}{start}] {value.dtype}{done}"


def _factors(dim: tuple[Factor, ...]) -> str:
    """`3·channel/64` for three steps of 64 channels."""
    return "+".join(f"{f.size}·{_AXES[f.axis]}{f'/{f.step}' if f.step != 1 else ''}" for f in dim)


def _runs(plan: tuple[tuple[int, int], ...]) -> Iterator[tuple[int, int, int, int]]:
    """Source, first channel, count and step of channels that are evenly apart."""
    place = 0
    while place < len(plan):
        source, first = plan[place]
        step, count = 1, 1
        if place + 1 < len(plan) and plan[place + 1][0] == source:
            step = plan[place + 1][1] - first
        while place + count < len(plan) and plan[place + count] == (source, first + count * step):
            count += 1
        yield source, first, count, step
        place += count


def _run(op: Route, source: int, first: int, count: int, step: int) -> str:
    last = first + (count - 1) * step
    apart = f" in steps of {step}" if count > 1 and step != 1 else ""
    return f"{op.sources[source]} {first}{f'–{last}{apart}' if count > 1 else ''}"


def _sizes(dims: Sequence[int]) -> str:
    return "×".join(map(str, dims))
