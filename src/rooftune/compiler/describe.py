"""Every stage of a compilation as lines for people: what was lowered, how values lie, which kernel runs what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import Any

from rooftune.compiler.lowering import Lowered
from rooftune.compiler.operations import Activation, Operation
from rooftune.compiler.program import Program

__all__ = ["layout_lines", "lowered_lines", "schedule_lines", "step_facts"]


def lowered_lines(lowered: Lowered) -> Iterator[str]:
    """One line per operation: `y = convolution(x, residual=r) 3×3, strides 1×1, ... relu`."""
    for name in lowered.inputs:
        yield f"input {name}: {_sizes(lowered.dims[name])}"
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
    yield f"arena {program.arena:,} bytes, weights {weights:,}, scratch {program.scratch_bytes(1):,}"


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
        if field.name in ("nodes", "x", "y", "other", "residual", "activation") or value in ("", False):
            continue
        text = "×".join(map(str, value)) if isinstance(value, tuple) else str(value)
        words.append(f"{field.name} {text}")
    activation = getattr(op, "activation", Activation())
    if activation.kind:
        words.append(activation.kind)
    return f"{words[0]} {', '.join(words[1:])}".rstrip()


def _sizes(dims: tuple[int, ...]) -> str:
    return "×".join(map(str, dims))
