"""A team of pinned native threads that run steps together, each timing itself."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rooftune.execute.probe.driver import STATE_BYTES, STOP_OFFSET, driver_code
from rooftune.execute.probe.memory import address_of

__all__ = ["Step", "Team"]

_START_SECONDS = 5.0
_LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Step:
    """One call of a native kernel: addresses of the function and of its argument, and how often it turns."""

    kernel: int
    argument: int
    turns: int


class Team:
    """Threads on the given logical cores, one each, started anew for every run so that none outlives it.

    Where the system cannot pin threads (`pinned` is False) they run where it puts them.
    """

    def __init__(self, cpus: Sequence[int]) -> None:
        self.cpus = tuple(cpus)
        self.pinned = hasattr(os, "sched_setaffinity")
        integer = ctypes.c_int64
        signature = (ctypes.c_void_p, ctypes.c_int32, ctypes.c_void_p, integer, ctypes.c_void_p)
        self._drive = driver_code().function("drive", None, *signature)

    def __len__(self) -> int:
        return len(self.cpus)

    def run(self, steps: Sequence[Sequence[Step]]) -> NDArray[np.int64]:
        """Run step k of every thread at the same time, for each k.

        steps   one list per thread, all equally long
        Returns begin and end in nanoseconds, shape (threads, steps, 2). Ctrl-C ends all threads after the step
        they are in, and is raised again.
        """
        count = len(steps[0])
        table = [np.array([(s.kernel, s.argument, s.turns) for s in own], np.uint64) for own in steps]
        stamps = np.zeros((len(self), count, 2), np.int64)
        state = np.zeros(STATE_BYTES + 128, np.uint8)
        shared = state[-address_of(state) % 128 :][:STATE_BYTES]

        def work(rank: int) -> None:
            own = stamps[rank].ctypes.data
            self._drive(address_of(shared), len(self), table[rank].ctypes.data, count, own)

        def stop() -> None:
            shared[STOP_OFFSET] = 1

        self._start(work, stop)
        return stamps

    def each(self, work: Callable[[int], None]) -> None:
        """Run Python on every thread, on its core: for memory that a thread has to touch first."""
        self._start(work, lambda: None)

    def _start(self, work: Callable[[int], None], stop: Callable[[], None]) -> None:
        failures: list[BaseException] = []
        ended = [threading.Event() for _ in self.cpus]

        def begin(rank: int) -> None:
            try:
                if self.pinned:
                    os.sched_setaffinity(0, {self.cpus[rank]})  # 0 is the calling thread
                work(rank)
            except BaseException as failure:
                failures.append(failure)
                stop()
            finally:
                ended[rank].set()

        threads = [threading.Thread(target=begin, args=(rank,), name=f"probe-{rank}") for rank in range(len(self))]
        started = 0
        try:
            for thread in threads:
                started += 1  # before the start, which Ctrl-C may interrupt once the thread runs
                thread.start()
            # the events are what is waited for: Ctrl-C inside join() makes Python 3.11 believe the thread has ended
            for event in ended:
                while not event.wait(_LOOK_SECONDS):
                    pass
        except BaseException:
            stop()
            # a thread whose start was interrupted may not have begun, or may never: it is waited for, not for ever
            patience = time.monotonic() + _START_SECONDS
            for thread, event in zip(threads[:started], ended):
                while not event.wait(_LOOK_SECONDS):
                    if thread.ident is None and time.monotonic() > patience:
                        break
            raise
        finally:
            for thread in threads[:started]:
                if thread.ident is not None:
                    thread.join()
        if failures:
            raise failures[0]
