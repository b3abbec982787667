"""A model of open sizes: answered at once by an engine that takes any, and compiled for the sizes that come often."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import psutil

from rooftune.execute.backend import LoadedModel, TensorSpec
from rooftune.execute.divide import Shares
from rooftune.execute.leases import Leased
from rooftune.execute.partitioned import StageModel, require_inputs
from rooftune.protocols import Arrays
from rooftune.verdicts import Refusal

if TYPE_CHECKING:
    from rooftune.execute.profile import Profile

__all__ = ["Anywhere", "Compile", "CompiledModel", "Limits", "OpenSizesModel", "Sizes"]

Sizes = tuple[tuple[str, tuple[int, ...]], ...]
"""The shape of every input, by name, in the order of the names."""


class Anywhere(LoadedModel, Protocol):
    """A loaded model that takes any sizes, and says what of it runs natively: mostly nothing."""

    @property
    def shares(self) -> Shares: ...


class CompiledModel(StageModel, Protocol):
    """A loaded model that says how many bytes it holds, and what of it runs natively."""

    @property
    def shares(self) -> Shares: ...


Compile = Callable[[Mapping[str, tuple[int, ...]]], CompiledModel | Refusal]
"""Compiles a model for the shapes of its inputs; or says why that is of no use."""


@dataclass(frozen=True)
class Limits:
    """How much is compiled, and how much of it is kept.

    seen        how often sizes must be asked for before they are worth compiling
    programs    that are kept, those used last; `bytes` that they may hold together
    waiting     sizes that may wait for their turn; others have to be asked for again
    failures    after which nothing is compiled any more
    rest        seconds of pause per second of compiling once a program had to go for another, or none came of it:
                sizes that change all the time must not keep a core busy
    remembered  sizes whose number of requests is kept
    """

    seen: int = 3
    programs: int = 4
    bytes: int = field(default_factory=lambda: int(psutil.virtual_memory().available // 4))
    waiting: int = 4
    failures: int = 8
    rest: float = 9.0
    remembered: int = 256


class OpenSizesModel:
    """Takes inputs of any sizes. Several threads may run it at once, and one more compiles while there is cause."""

    def __init__(self, anywhere: Anywhere, compile_sizes: Compile, limits: Limits | None = None) -> None:
        """A model that `anywhere` answers for until `compile_sizes` has made something faster; it closes both."""
        self._at_first = anywhere.shares
        self.inputs: Mapping[str, TensorSpec] = anywhere.inputs
        self.outputs: Mapping[str, TensorSpec] = anywhere.outputs
        self._anywhere = Leased(anywhere)
        self._programs = _Programs(compile_sizes, limits or Limits())
        self._end = weakref.finalize(self, self._programs.close)  # for a model that nobody closed

    @property
    def shares(self) -> Shares:
        """What runs natively of the sizes that were used last and are compiled; of none before."""
        last = next(reversed(list(self.compiled.values())), None)
        return self._at_first if last is None else last.shares

    @property
    def compiled(self) -> Mapping[Sizes, CompiledModel]:
        """What is compiled, the sizes used last at the end."""
        return self._programs.held()

    @property
    def failed(self) -> Mapping[Sizes, str]:
        """Sizes that could not be compiled, with the reasons."""
        return self._programs.failed()

    def run(self, arrays: Arrays) -> dict[str, Any]:
        require_inputs(arrays, self.inputs)
        with self._fastest(arrays) as model:
            return model.run(arrays)

    def profile(self, arrays: Arrays, runs: int) -> Profile:
        """Of whoever answers for these sizes now."""
        require_inputs(arrays, self.inputs)
        with self._fastest(arrays) as model:
            return model.profile(arrays, runs)

    @contextmanager
    def _fastest(self, arrays: Arrays) -> Iterator[LoadedModel]:
        """Who answers for these sizes now. That they were asked for counts when the answer was no error."""
        sizes = _sizes(arrays)
        found = None if sizes is None else self._programs.acquire(sizes)
        if found is not None:
            lease, model = found
        else:
            lease, model = self._anywhere, self._anywhere.acquire()
        try:
            yield model
        finally:
            lease.release()
        if found is None and sizes is not None:
            self._programs.asked(sizes)

    def prepare(self, shapes: Mapping[str, Sequence[int]], compile_sizes: Compile) -> None:
        """Compile for the sizes that will be asked for first, before anybody asks."""
        sizes = {name: tuple(shapes[name]) for name in sorted(shapes)}
        self._programs.keep(tuple(sizes.items()), compile_sizes(sizes), 0.0)

    def settle(self, timeout: float = 60.0) -> bool:
        """Wait until there is nothing left to compile; False when that takes longer than `timeout` seconds."""
        return self._programs.settle(timeout)

    def close(self) -> None:
        """Free everything that nobody runs. What is being compiled is finished by its thread and thrown away."""
        self._end.detach()
        self._programs.close()
        self._anywhere.close()


class _Programs:
    """What is compiled, what waits for it, and the thread that does it. It knows nothing of the model it works for."""

    def __init__(self, compile_sizes: Compile, limits: Limits) -> None:
        self._compile, self._limits = compile_sizes, limits
        self._changed = threading.Condition()
        self._asked: OrderedDict[Sizes, int] = OrderedDict()
        self._waiting: deque[Sizes] = deque()
        self._working: Sizes | None = None
        self._held: OrderedDict[Sizes, tuple[Leased, CompiledModel]] = OrderedDict()
        self._failed: dict[Sizes, str] = {}
        self._resting_until = 0.0
        self._closed = False
        self._thread: threading.Thread | None = None

    def acquire(self, sizes: Sizes) -> tuple[Leased, LoadedModel] | None:
        """The program for these sizes, which the caller must release."""
        with self._changed:
            found = self._held.get(sizes)
            if found is None:
                return None
            self._held.move_to_end(sizes)
            return found[0], found[0].acquire()

    def asked(self, sizes: Sizes) -> None:
        """Count a request that there was no program for, and have one made when there were enough."""
        limits = self._limits
        with self._changed:
            known = sizes in self._held or sizes in self._failed or sizes in self._waiting or sizes == self._working
            if self._closed or known or len(self._failed) >= limits.failures:
                return
            self._asked[sizes] = self._asked.pop(sizes, 0) + 1
            if self._asked[sizes] >= limits.seen and len(self._waiting) < limits.waiting:
                del self._asked[sizes]
                self._waiting.append(sizes)
                self._start()
                self._changed.notify_all()
            while len(self._asked) > limits.remembered:
                self._asked.popitem(last=False)

    def held(self) -> dict[Sizes, CompiledModel]:
        with self._changed:
            return {sizes: model for sizes, (_, model) in self._held.items()}

    def failed(self) -> dict[Sizes, str]:
        with self._changed:
            return dict(self._failed)

    def settle(self, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and self._working is None, timeout)

    def close(self) -> None:
        """Let the thread end, and free the programs; safe to call twice, and from a finaliser."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            going = [lease for lease, _ in self._held.values()]
            self._held.clear()
            self._changed.notify_all()
        for lease in going:
            lease.close()

    def _start(self) -> None:
        if self._thread is None:
            # a forgotten model must not keep the interpreter alive ...
            self._thread = threading.Thread(target=self._work, name="rooftune-compile", daemon=True)
            # ... which in turn must not be taken apart while a compiler runs in it
            atexit.register(self._end)
            self._thread.start()

    def _end(self) -> None:
        self.close()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        try:
            while (sizes := self._next()) is not None:
                started = time.monotonic()
                try:
                    made = self._compile(dict(sizes))
                except Exception as why:  # compilers and engines raise what they like
                    made = Refusal(" ".join(str(why).split()) or type(why).__name__)
                self.keep(sizes, made, time.monotonic() - started)
                del made
        finally:
            atexit.unregister(self._end)

    def _next(self) -> Sizes | None:
        """The sizes to compile now, waited for; None when there is nothing to do any more."""
        with self._changed:
            while not self._closed:
                pause = self._resting_until - time.monotonic()
                if self._waiting and pause <= 0:
                    self._working = self._waiting.popleft()
                    return self._working
                self._changed.wait(pause if self._waiting else None)
        return None

    def keep(self, sizes: Sizes, made: CompiledModel | Refusal, seconds: float) -> None:
        """Let a program answer from now on, or remember why there is none; `seconds` were spent on it."""
        going: list[Leased] = []
        with self._changed:
            self._working = None
            if not isinstance(made, Refusal):
                lease = Leased(made)
                if self._closed:
                    going.append(lease)
                elif made.memory_bytes > self._limits.bytes:
                    going.append(lease)
                    made = Refusal(f"it takes {made.memory_bytes} bytes, {self._limits.bytes} are allowed")
                else:
                    going += self._make_room(made.memory_bytes)
                    self._held[sizes] = (lease, made)
            if isinstance(made, Refusal):
                self._failed[sizes] = made.reason
            if going or isinstance(made, Refusal):
                self._resting_until = time.monotonic() + self._limits.rest * seconds
            self._changed.notify_all()
        for lease in going:
            lease.close()

    def _make_room(self, needed: int) -> list[Leased]:
        """Programs that go so that another one of so many bytes can stay, those that waited longest first."""
        going: list[Leased] = []
        while self._held:
            held = sum(model.memory_bytes for _, model in self._held.values())
            if len(self._held) < self._limits.programs and held + needed <= self._limits.bytes:
                break
            going.append(self._held.popitem(last=False)[1][0])
        return going


def _sizes(arrays: Arrays) -> Sizes | None:
    """The key of some inputs; None for what is never compiled: no tensors, and nothing in them."""
    found = tuple((name, arrays[name].shape) for name in sorted(arrays) if isinstance(arrays[name], np.ndarray))
    usual = len(found) == len(arrays) and all(0 not in shape for _, shape in found)
    return found if usual else None
