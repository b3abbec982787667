"""What threads of a program do besides its work, in LLVM's text form: meet at a barrier, wait for the next run."""

from __future__ import annotations

__all__ = ["ARGUMENTS", "CONTROL_BYTES", "FIELDS", "synchronisation"]

FIELDS = {
    "ticket": 0,
    "sleepers": 64,
    "stop": 128,
    "arrived": 192,
    "turn": 256,
    "threads": 320,
    "spins": 328,
    "arguments": 384,
}
"""Byte offsets in the control block; what changes while threads run is on a cache line of its own.

`spins` are the turns of the waiting loop before a worker without work sleeps; 20,000 are some 50 µs to 200 µs.
"""

CONTROL_BYTES = 512
ARGUMENTS = ("arena", "weights", "inputs", "outputs", "stamps")
"""Pointers that `run` is given, in this order, from the control block."""

_SPINS = 20_000
"""Turns of the waiting loop at a barrier before a thread lets others have its core."""

_PAUSE = {
    "x86_64": ("call void @llvm.x86.sse2.pause()", "declare void @llvm.x86.sse2.pause()"),
    "aarch64": ("call void @llvm.aarch64.hint(i32 1)", "declare void @llvm.aarch64.hint(i32)"),
}
"""How a waiting thread tells its core so, and the declaration of that."""

_FUTEX = {"x86_64": 202, "aarch64": 98}


def synchronisation(architecture: str) -> str:
    """`barrier`, `worker` (runs until it is stopped) and `submit` (one run, the caller being thread 0).

    `run(thread, threads, ARGUMENTS ..., control)` must be defined beside them. A worker
    spins for the next ticket and then sleeps on a futex; where the system has none it goes on spinning and yields.
    """
    pause, declared = _PAUSE.get(architecture, ("", ""))
    number = _FUTEX.get(architecture)
    sleep = (
        f"%slept = call i64 (i64, ...) @syscall(i64 {number}, ptr %ticket.at, i64 128, i64 %last.long, ptr null)"
        if number
        else "%slept = call i32 @sched_yield()"
    )
    wake = (
        f"%woken = call i64 (i64, ...) @syscall(i64 {number}, ptr %ticket.at, i64 129, i64 1048576, ptr null)"
        if number
        else "%woken = call i32 @sched_yield()"
    )
    loads = "\n".join(
        f"  %{name}.at = getelementptr i8, ptr %control, i64 {FIELDS['arguments'] + 8 * i}\n"
        f"  %{name} = load ptr, ptr %{name}.at"
        for i, name in enumerate(ARGUMENTS)
    )
    given = ", ".join(f"ptr %{name}" for name in ARGUMENTS)
    return f"""
declare i64 @syscall(i64, ...)
declare i32 @sched_yield()
{declared}
define void @barrier(ptr %control, i64 %threads) noinline nounwind {{
start:
  %alone = icmp eq i64 %threads, 1
  br i1 %alone, label %done, label %meet
meet:
  %arrived.at = getelementptr i8, ptr %control, i64 {FIELDS["arrived"]}
  %turn.at = getelementptr i8, ptr %control, i64 {FIELDS["turn"]}
  %turn = load atomic i64, ptr %turn.at acquire, align 8
  %before = atomicrmw add ptr %arrived.at, i64 1 acq_rel
  %here = add i64 %before, 1
  %last = icmp eq i64 %here, %threads
  br i1 %last, label %open, label %wait
open:
  store atomic i64 0, ptr %arrived.at monotonic, align 8
  %next = add i64 %turn, 1
  store atomic i64 %next, ptr %turn.at release, align 8
  br label %done
wait:
  %spins = phi i64 [ 0, %meet ], [ %more, %again ]
  %now = load atomic i64, ptr %turn.at acquire, align 8
  %changed = icmp ne i64 %now, %turn
  br i1 %changed, label %done, label %spin
spin:
  {pause}
  %more = add i64 %spins, 1
  %long = icmp ugt i64 %more, {_SPINS}
  br i1 %long, label %yield, label %again
yield:
  ; somebody's core is taken by another program: let it have this one
  %gave = call i32 @sched_yield()
  br label %again
again:
  br label %wait
done:
  ret void
}}

define void @once(i64 %thread, ptr %control) noinline nounwind {{
start:
  %threads.at = getelementptr i8, ptr %control, i64 {FIELDS["threads"]}
  %threads = load i64, ptr %threads.at
{loads}
  call void @run(i64 %thread, i64 %threads, {given}, ptr %control)
  ret void
}}

define void @worker(ptr %control, i64 %thread, i32 %first) noinline nounwind {{
start:
  %ticket.at = getelementptr i8, ptr %control, i64 {FIELDS["ticket"]}
  %sleepers.at = getelementptr i8, ptr %control, i64 {FIELDS["sleepers"]}
  %stop.at = getelementptr i8, ptr %control, i64 {FIELDS["stop"]}
  %patience.at = getelementptr i8, ptr %control, i64 {FIELDS["spins"]}
  %patience = load i64, ptr %patience.at
  br label %wait
wait:
  %last = phi i32 [ %first, %start ], [ %last, %again ], [ %now, %work ]
  %spins = phi i64 [ 0, %start ], [ %spent, %again ], [ 0, %work ]
  %now = load atomic i32, ptr %ticket.at acquire, align 4
  %changed = icmp ne i32 %now, %last
  br i1 %changed, label %called, label %spin
spin:
  {pause}
  %more = add i64 %spins, 1
  %long = icmp ugt i64 %more, %patience
  br i1 %long, label %sleep, label %again
sleep:
  %s0 = atomicrmw add ptr %sleepers.at, i64 1 seq_cst
  %last.long = zext i32 %last to i64
  {sleep}
  %s1 = atomicrmw sub ptr %sleepers.at, i64 1 seq_cst
  br label %again
again:
  %spent = phi i64 [ %more, %spin ], [ 0, %sleep ]
  br label %wait
called:
  %stop = load atomic i64, ptr %stop.at acquire, align 8
  %stopping = icmp ne i64 %stop, 0
  br i1 %stopping, label %done, label %work
work:
  call void @once(i64 %thread, ptr %control)
  br label %wait
done:
  ret void
}}

define void @call(ptr %control) noinline nounwind {{
start:
  %ticket.at = getelementptr i8, ptr %control, i64 {FIELDS["ticket"]}
  %sleepers.at = getelementptr i8, ptr %control, i64 {FIELDS["sleepers"]}
  %t = atomicrmw add ptr %ticket.at, i32 1 seq_cst
  %sleepers = load atomic i64, ptr %sleepers.at seq_cst, align 8
  %any = icmp ne i64 %sleepers, 0
  br i1 %any, label %wake, label %done
wake:
  {wake}
  br label %done
done:
  ret void
}}

define void @submit(ptr %control) noinline nounwind {{
start:
  call void @call(ptr %control)
  call void @once(i64 0, ptr %control)
  ret void
}}
"""
