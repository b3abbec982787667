"""What threads of a program do besides its work, in LLVM's text: share it out, wait for each other and for runs."""

from __future__ import annotations

__all__ = ["ARGUMENTS", "FIELDS", "control_bytes", "synchronisation"]

FIELDS = {
    "ticket": 0,
    "sleepers": 64,
    "stop": 128,
    "done": 192,
    "threads": 256,
    "spins": 264,
    "runs": 272,
    "arguments": 320,
    "claims": 384,
}
"""Byte offsets in the control block; what changes while threads run is on a cache line of its own.

`spins` are the turns of the waiting loop before a worker without work sleeps; 20,000 are some 50 µs to 200 µs.
"""

ARGUMENTS = ("arena", "weights", "inputs", "outputs", "stamps")
"""Pointers that `run` is given, in this order, from the control block."""

_SPINS = 4_000
"""Turns of the waiting loop after a phase before a thread lets others have its core."""

_PAUSE = {
    "x86_64": ("call void @llvm.x86.sse2.pause()", "declare void @llvm.x86.sse2.pause()"),
    "aarch64": ("call void @llvm.aarch64.hint(i32 1)", "declare void @llvm.aarch64.hint(i32)"),
}
"""How a waiting thread tells its core so, and the declaration of that."""

_FUTEX = {"x86_64": 202, "aarch64": 98}


def control_bytes(threads: int) -> int:
    """Size of the control block: every share's claim is on a cache line of its own."""
    return FIELDS["claims"] + 64 * threads


def synchronisation(architecture: str) -> str:
    """`claim`, `finish`, `finished`; `worker`, which runs until it is stopped; `submit`, a run on its caller's thread.

    `run(thread, threads, run's number, ARGUMENTS ..., control)` must be defined beside them. A worker
    spins for the next ticket and then sleeps on a futex; where the system has none it goes on spinning and yields.

    Phases are numbered from 1 through all runs. A phase has as many shares as there are threads, each worked on by who
    claims it first: `claim` writes the phase's number where it finds a smaller one, `finish` counts shares, and
    `finished` waits until all shares of a phase and of those before are counted. So nobody waits for a thread that has
    no core: its shares are done by others, and when it comes late it finds nothing left to claim, however many runs
    have gone by.
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
declare i64 @llvm.readcyclecounter()
{declared}
define i1 @claim(ptr %control, i64 %share, i64 %number) noinline nounwind {{
start:
  %far = mul i64 %share, 64
  %place = add i64 %far, {FIELDS["claims"]}
  %at = getelementptr i8, ptr %control, i64 %place
  %seen = load atomic i64, ptr %at acquire, align 8
  %left = icmp ult i64 %seen, %number
  br i1 %left, label %free, label %taken
free:
  %swap = cmpxchg ptr %at, i64 %seen, i64 %number acq_rel acquire
  %mine = extractvalue {{ i64, i1 }} %swap, 1
  ret i1 %mine
taken:
  ret i1 false
}}

define void @finish(ptr %control) noinline nounwind {{
start:
  %done.at = getelementptr i8, ptr %control, i64 {FIELDS["done"]}
  %before = atomicrmw add ptr %done.at, i64 1 acq_rel
  ret void
}}

define void @finished(ptr %control, i64 %threads, i64 %number) noinline nounwind {{
start:
  %done.at = getelementptr i8, ptr %control, i64 {FIELDS["done"]}
  %all = mul i64 %threads, %number
  br label %wait
wait:
  %spins = phi i64 [ 0, %start ], [ %more, %again ]
  %now = load atomic i64, ptr %done.at acquire, align 8
  %ended = icmp uge i64 %now, %all
  br i1 %ended, label %done, label %spin
spin:
  {pause}
  %more = add i64 %spins, 1
  %long = icmp ugt i64 %more, {_SPINS}
  br i1 %long, label %yield, label %again
yield:
  ; who works on the last share has lost his core: let him have this one
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
  %runs.at = getelementptr i8, ptr %control, i64 {FIELDS["runs"]}
  ; before the arguments: who is late has those of this run, or newer ones and nothing left to do
  %number = load atomic i64, ptr %runs.at acquire, align 8
{loads}
  call void @run(i64 %thread, i64 %threads, i64 %number, {given}, ptr %control)
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
  ; the start of the run: while the caller wakes the others, they may have done all of it
  %stamps.at = getelementptr i8, ptr %control, i64 {FIELDS["arguments"] + 8 * ARGUMENTS.index("stamps")}
  %stamps = load ptr, ptr %stamps.at
  %tick = call i64 @llvm.readcyclecounter()
  store i64 %tick, ptr %stamps
  %runs.at = getelementptr i8, ptr %control, i64 {FIELDS["runs"]}
  %before = load i64, ptr %runs.at
  %number = add i64 %before, 1
  store atomic i64 %number, ptr %runs.at release, align 8
  call void @call(ptr %control)
  call void @once(i64 0, ptr %control)
  ret void
}}
"""
