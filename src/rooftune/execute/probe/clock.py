"""The core's clock, from additions that each wait for the one before: one addition takes one cycle."""

from __future__ import annotations

__all__ = ["ADDITIONS_PER_TURN", "after_turns", "clock_text"]

ADDITIONS_PER_TURN = 64
"""Dependent additions in one turn of the loop; counter and branch run beside them on other units."""


def clock_text() -> str:
    """`void kernel(ptr buffer, i64 turns)`: two integers, each in turn increased by the other.

    Register plus register: newer cores take additions of a constant out of the stream while renaming, so a chain
    of those would read a clock too high. Each intermediate is used twice, so LLVM cannot combine the additions.
    """
    lines = [
        "define void @kernel(ptr %buffer, i64 %turns) noinline nounwind {",
        "entry:",
        "  %other = getelementptr i64, ptr %buffer, i64 1",
        "  %v0.start = load i64, ptr %buffer, align 8",
        "  %v1.start = load i64, ptr %other, align 8",
        "  br label %turn",
        "turn:",
        "  %left = phi i64 [ %turns, %entry ], [ %left.next, %turn ]",
        f"  %v0 = phi i64 [ %v0.start, %entry ], [ %v{ADDITIONS_PER_TURN}, %turn ]",
        f"  %v1 = phi i64 [ %v1.start, %entry ], [ %v{ADDITIONS_PER_TURN + 1}, %turn ]",
        *(f"  %v{i + 2} = add i64 %v{i}, %v{i + 1}" for i in range(ADDITIONS_PER_TURN)),
        "  %left.next = add i64 %left, -1",
        "  %again = icmp ne i64 %left.next, 0",
        "  br i1 %again, label %turn, label %end",
        "end:",
        f"  store i64 %v{ADDITIONS_PER_TURN}, ptr %buffer, align 8",
        f"  store i64 %v{ADDITIONS_PER_TURN + 1}, ptr %other, align 8",
        "  ret void",
        "}",
    ]
    return "\n".join([*lines, ""])


def after_turns(first: int, second: int, turns: int) -> tuple[int, int]:
    """What the two integers hold after so many turns, modulo 2^64."""
    for _ in range(turns * ADDITIONS_PER_TURN):
        first, second = second, (first + second) % (1 << 64)
    return first, second
