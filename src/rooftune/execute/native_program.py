"""A compiled program in memory: its arena, its weights, and threads that wait in native code for the next run."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import statistics
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rooftune.compiler.machine_code import CodeStore, compile_code
from rooftune.compiler.program import Program, Selection
from rooftune.compiler.program_text import stamps_per_thread
from rooftune.compiler.threads import ARGUMENTS, FIELDS, control_bytes
from rooftune.execute.placement import choose_cpus, sibling_groups, usable_cpus
from rooftune.quantities import si

__all__ = ["SPINS", "Memory", "NativeProgram", "pages", "step_seconds"]

Memory = Callable[[int], NDArray[np.uint8]]

SPINS = 20_000
"""Some 50 µs to 200 µs: the next run of a busy model finds its threads awake."""

_HUGE_FROM = 1 << 21
"""Bytes from which large pages are asked for."""


class NativeProgram:
    """One instance of a program on as many threads as it is made for, the caller's among them. One run at a time."""

    def __init__(
        self,
        program: Program,
        memory: Memory | None = None,
        copies: int = 1,
        store: CodeStore | None = None,
        spins: int = SPINS,
    ) -> None:
        """Compile the program and start its threads.

        memory  gives zeroed bytes that begin at a multiple of 64; default pages of the system
        copies  of the weights, which runs use in turn: with more than a cache holds, every run finds them cold
        store   keeps the machine code, so that nobody compiles the same again
        spins   turns of the waiting loop before a thread without work sleeps: few where others need its core
        """
        take = memory or pages
        packed, places = program.pack()
        self._code = compile_code(program.text(places), program.target.features, store)
        self.program, self.threads = program, (threads := program.target.threads)
        self._copies, self._turn, self._apart = copies, 0, -(-packed.nbytes // 4096) * 4096
        self._weights = take(packed.nbytes + (copies - 1) * self._apart)
        for place in range(copies):
            self._weights[place * self._apart :][: packed.nbytes] = packed.view(np.uint8)
        self._arena = take(program.arena)
        self._stamps = pages(8 * threads * stamps_per_thread(len(program.phases))).view(np.int64)
        self._control = pages(control_bytes(threads))
        self._inputs = (ctypes.c_void_p * max(1, len(program.inputs)))()
        self._outputs = (ctypes.c_void_p * max(1, len(program.outputs)))()
        self._lock = threading.Lock()
        self._set("threads", threads)
        self._set("spins", spins)
        given = {
            "arena": self._arena.ctypes.data,
            "weights": self._weights.ctypes.data,
            "inputs": ctypes.addressof(self._inputs),
            "outputs": ctypes.addressof(self._outputs),
            "stamps": self._stamps.ctypes.data,
        }
        for number, name in enumerate(ARGUMENTS):
            self._word(FIELDS["arguments"] + 8 * number, given[name])
        self._submit = self._code.function("submit", None, ctypes.c_void_p)
        self._call = self._code.function("call", None, ctypes.c_void_p)
        worker = self._code.function("worker", None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32)
        address = self._control.ctypes.data
        cpus = self._places()

        def work(number: int) -> None:
            if cpus:
                with contextlib.suppress(OSError):
                    os.sched_setaffinity(0, cpus)
            worker(address, number, 0)

        self._process, self._workers = os.getpid(), list[threading.Thread]()
        # what the threads still use outlives a program that nobody closed
        held = (self._code, self._control, self._arena, self._weights, self._stamps)
        self._end = weakref.finalize(self, _end, self._call, self._control, self._workers, held)
        for number in range(1, threads):
            # daemons: a forgotten program must not keep the interpreter from ending
            one = threading.Thread(target=work, args=(number,), name=f"rooftune-{number}", daemon=True)
            try:
                one.start()
            except RuntimeError:
                self._end()
                raise
            self._workers.append(one)

    def run(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """Outputs by name; inputs are arrays of the types and shapes the program was built for.

        Raises ValueError where an integer selects a row that a table does not have; RuntimeError for a program that is
        closed, or whose threads are in the process that this one was forked from.
        """
        program = self.program
        if self._process != os.getpid() and self.threads > 1:
            raise RuntimeError("the model was loaded before this process was forked, and its threads stayed behind")
        given = {name: np.ascontiguousarray(arrays[name], program.dtype(name)) for name in program.inputs}
        for selection in program.selections:
            _require_rows(selection, given[selection.indices.view.held])
        made = {name: np.empty(program.dims[name], np.float32) for name in program.outputs}
        with self._lock:
            if self._control.size == 0:
                raise RuntimeError("the model is closed")
            if self._copies > 1:
                self._turn = (self._turn + 1) % self._copies
                place = FIELDS["arguments"] + 8 * ARGUMENTS.index("weights")
                self._word(place, self._weights.ctypes.data + self._turn * self._apart)
            for place, array in enumerate(given.values()):
                self._inputs[place] = array.ctypes.data
            for place, array in enumerate(made.values()):
                self._outputs[place] = array.ctypes.data
            self._submit(self._control.ctypes.data)
        return made

    def phase_shares(self) -> list[float]:
        """What share of the last run each phase took, by the processor's own counter."""
        count = len(self.program.phases)
        rows = self._stamps[: self.threads * stamps_per_thread(count)].reshape(self.threads, -1)
        # a phase is over when its last share is, whoever did that; who did none of it noted the time in an earlier run
        ends = np.maximum.accumulate([rows[0, 0], *rows[:, 1 : count + 1].max(axis=0)])
        total = int(ends[-1] - ends[0])
        return [float(t) / total if total > 0 else 0.0 for t in np.diff(ends)]

    def close(self) -> None:
        """End the threads and free the memory; the program cannot be run afterwards."""
        with self._lock:
            if self._end.detach() is None:
                return
            _end(self._call, self._control, self._workers, None)
            self._control = self._arena = self._weights = np.zeros(0, np.uint8)

    def _places(self) -> tuple[int, ...]:
        """As many cores as threads, none of them half of another, for the system to choose from: a thread that is bound
        to one would have to share it with the caller, or with another program, while others are idle."""
        usable = usable_cpus()
        if self.threads == 1 or len(usable) < self.threads or not hasattr(os, "sched_setaffinity"):
            return ()
        return tuple(choose_cpus(self.threads, usable, sibling_groups(usable)))

    def _set(self, name: str, value: int) -> None:
        self._word(FIELDS[name], value)

    def _word(self, place: int, value: int) -> None:
        self._control[place : place + 8].view(np.uint64)[0] = value


def step_seconds(
    program: Program,
    rounds: Sequence[Sequence[float]],
    typical: Callable[[Iterable[float]], float] = statistics.median,
) -> list[float]:
    """Seconds of every step from those of all phases in several runs: the medians, or what else is typical."""
    found, place = [], 0
    for step in program.steps:
        places = range(place, place := place + len(step.phases))
        found.append(typical(sum(one[p] for p in places) for one in rounds))
    return found


def _require_rows(selection: Selection, array: NDArray[Any]) -> None:
    """Raise ValueError where integers select rows that a table does not have."""
    view, rows = selection.indices.view, selection.rows
    factors = [f for dim in view.dims for f in dim if f.step]
    size = array.itemsize
    read: NDArray[Any] = np.ndarray(
        [f.size for f in factors], array.dtype, array, view.start[0] * size, [f.step * size for f in factors]
    )
    for kind, _ in selection.indices.steps:
        read = read.astype(kind)
    least, most = int(read.min()), int(read.max())
    if least < -rows or most >= rows:
        found = least if least < -rows else most
        raise ValueError(
            f"input {view.held} holds {found}, which selects no row of a table of {rows}: "
            f"integers from {-rows} to {rows - 1} do"
        )


def _end(call: Any, control: NDArray[np.uint8], workers: Sequence[threading.Thread], held: Any) -> None:
    """Let the threads of a program return; `held` keeps alive what they use until then."""
    control[FIELDS["stop"] : FIELDS["stop"] + 8].view(np.uint64)[0] = 1
    call(control.ctypes.data)
    for one in workers:
        one.join()


def pages(size: int) -> NDArray[np.uint8]:
    """Zeroed memory that begins at a page, with large pages where the system gives them."""
    # large pages are for private memory: what is shared, as Python's default is, seldom gets any
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    try:
        found = mmap.mmap(-1, max(size, mmap.PAGESIZE), **private)
    except (OSError, OverflowError) as why:
        raise MemoryError(f"the system gives no {si(size, 'B')} to the compiled model: {why}") from None
    if size >= _HUGE_FROM and hasattr(mmap, "MADV_HUGEPAGE"):
        found.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(found, np.uint8)
