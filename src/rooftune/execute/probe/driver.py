"""The native loop every measuring thread runs: meet the others, read the clock, run a kernel, read the clock."""

from __future__ import annotations

import sys
import time
from functools import cache

from rooftune.compiler.machine_code import Code, architecture, compile_code

__all__ = ["STATE_BYTES", "STOP_OFFSET", "driver_code"]

STATE_BYTES, STOP_OFFSET = 384, 256
"""Shared between the threads, a cache line pair apart: threads arrived, meetings held, stop."""

_PAUSE = {
    "x86_64": ("declare void @llvm.x86.sse2.pause()", "call void @llvm.x86.sse2.pause()"),
    "aarch64": ("declare void @llvm.aarch64.hint(i32)", "call void @llvm.aarch64.hint(i32 1)"),
}

_DRIVE = """
define void @drive(ptr %state, i32 %threads, ptr %steps, i64 %count, ptr %stamps) nounwind {
entry:
  %meetings = getelementptr i8, ptr %state, i64 128
  %stop = getelementptr i8, ptr %state, i64 256
  %none = icmp eq i64 %count, 0
  br i1 %none, label %end, label %meet
meet:
  %i = phi i64 [ 0, %entry ], [ %i.next, %stopped ]
  %meeting = load atomic i32, ptr %meetings acquire, align 4
  %before = atomicrmw add ptr %state, i32 1 acq_rel
  %arrived = add i32 %before, 1
  %last = icmp eq i32 %arrived, %threads
  br i1 %last, label %release, label %wait
release:
  store atomic i32 0, ptr %state monotonic, align 4
  %next = add i32 %meeting, 1
  store atomic i32 %next, ptr %meetings release, align 4
  br label %work
wait:
  PAUSE
  %now = load atomic i32, ptr %meetings acquire, align 4
  %met = icmp ne i32 %now, %meeting
  %stopping = load atomic i32, ptr %stop monotonic, align 4
  %leave = icmp ne i32 %stopping, 0
  %ready = or i1 %met, %leave
  br i1 %ready, label %work, label %wait
work:
  %step = getelementptr { ptr, ptr, i64 }, ptr %steps, i64 %i
  %kernel = load ptr, ptr %step, align 8
  %argument.at = getelementptr { ptr, ptr, i64 }, ptr %steps, i64 %i, i32 1
  %argument = load ptr, ptr %argument.at, align 8
  %turns.at = getelementptr { ptr, ptr, i64 }, ptr %steps, i64 %i, i32 2
  %turns = load i64, ptr %turns.at, align 8
  %begin = call i64 @nanoseconds()
  call void %kernel(ptr %argument, i64 %turns)
  %finish = call i64 @nanoseconds()
  %stamp = getelementptr { i64, i64 }, ptr %stamps, i64 %i
  store i64 %begin, ptr %stamp, align 8
  %stamp.end = getelementptr i64, ptr %stamp, i64 1
  store i64 %finish, ptr %stamp.end, align 8
  br label %stopped
stopped:
  %i.next = add i64 %i, 1
  %done = icmp eq i64 %i.next, %count
  %asked = load atomic i32, ptr %stop monotonic, align 4
  %quit = icmp ne i32 %asked, 0
  %over = or i1 %done, %quit
  br i1 %over, label %end, label %meet
end:
  ret void
}
"""

_POSIX_CLOCK = """
declare i32 @clock_gettime(i32, ptr)
define internal i64 @nanoseconds() nounwind {
  %at = alloca { i64, i64 }, align 8
  call i32 @clock_gettime(i32 CLOCK, ptr %at)
  %seconds = load i64, ptr %at, align 8
  %rest.at = getelementptr i64, ptr %at, i64 1
  %rest = load i64, ptr %rest.at, align 8
  %whole = mul i64 %seconds, 1000000000
  %all = add i64 %whole, %rest
  ret i64 %all
}
"""

_WINDOWS_CLOCK = """
declare i32 @QueryPerformanceCounter(ptr)
define internal i64 @nanoseconds() nounwind {
  %at = alloca i64, align 8
  call i32 @QueryPerformanceCounter(ptr %at)
  %ticks = load i64, ptr %at, align 8
  %scaled = mul i64 %ticks, TICK
  ret i64 %scaled
}
"""


@cache
def driver_code() -> Code:
    """The compiled loop: `drive(state, threads, steps, count, stamps)`.

    A step is a kernel's address, its argument and its turns; a stamp two readings of the monotonic clock in
    nanoseconds. Threads meet before each step, spinning; once stop is set all leave after their present step.
    """
    declaration, pause = _PAUSE.get(architecture(), ("", ""))
    return compile_code(declaration + _DRIVE.replace("PAUSE", pause) + _clock_text())


def _clock_text() -> str:
    if sys.platform == "win32":
        # the counter runs at 10 MHz wherever the processor's own counter is steady
        tick = round(1e9 * time.get_clock_info("perf_counter").resolution)
        return _WINDOWS_CLOCK.replace("TICK", str(max(1, tick)))
    return _POSIX_CLOCK.replace("CLOCK", str(int(time.CLOCK_MONOTONIC)))
