"""The worker's side: one engine instance in a process of its own, obeying messages on standard input.

Started as `python -m rooftune.execute.worker_main`; standard output carries replies only, whatever the
engine prints goes to standard error.
"""

from __future__ import annotations

import itertools
import os
import queue
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from rooftune.execute.backend import Candidate, LoadedModel, TensorSpec, known_backends
from rooftune.execute.frames import Frame, encode, read_frame
from rooftune.execute.placement import pin_process
from rooftune.protocols import Arrays

__all__ = ["main"]


class _Session:
    """What the worker holds between messages: the loaded model and the arrays it is timed with."""

    def __init__(self) -> None:
        self.model: LoadedModel | None = None
        self.arrays: Arrays = {}
        self.concurrency = 1
        self.callers: ThreadPoolExecutor | None = None

    def loaded(self) -> LoadedModel:
        if self.model is None:
            raise RuntimeError("no model is loaded")
        return self.model

    def load(self, frame: Frame) -> Frame:
        body = frame.body
        candidate = Candidate.from_json(body["candidate"])
        backend = known_backends()[candidate.backend]
        start = time.perf_counter_ns()
        self.model = backend.load(Path(body["model_path"]), candidate, body.get("input_shapes"))
        seconds = (time.perf_counter_ns() - start) * 1e-9
        self.concurrency = candidate.concurrency
        return Frame(
            {
                "inputs": _specs(self.model.inputs),
                "outputs": _specs(self.model.outputs),
                "load_seconds": seconds,
                "version": backend.version(),
            }
        )

    def feed(self, frame: Frame) -> Frame:
        self.arrays = dict(frame.arrays)
        return Frame({})

    def run(self, frame: Frame) -> Frame:
        return Frame({}, self.loaded().run(frame.arrays))

    def time(self, frame: Frame) -> Frame:
        """Seconds of each run; with several requests in flight one mean over the whole turn."""
        runs = int(frame.body["runs"])
        model, arrays = self.loaded(), self.arrays
        if self.concurrency > 1:
            return Frame({"seconds": [self._flight(model, runs)]})
        stamps = [time.perf_counter_ns()]
        for _ in range(runs):
            model.run(arrays)
            stamps.append(time.perf_counter_ns())
        return Frame({"seconds": [(b - a) * 1e-9 for a, b in itertools.pairwise(stamps)]})

    def _flight(self, model: LoadedModel, runs: int) -> float:
        """Wall seconds per run with `concurrency` callers, each starting its next run when its last one ends."""
        if self.callers is None:
            self.callers = ThreadPoolExecutor(self.concurrency)
        share = max(1, round(runs / self.concurrency))
        together = threading.Barrier(self.concurrency + 1)

        def caller() -> None:
            together.wait()
            for _ in range(share):
                model.run(self.arrays)

        pending = [self.callers.submit(caller) for _ in range(self.concurrency)]
        together.wait()
        start = time.perf_counter_ns()
        for done in pending:
            done.result()
        return (time.perf_counter_ns() - start) * 1e-9 / (share * self.concurrency)

    def profile(self, frame: Frame) -> Frame:
        model = self.loaded()
        profile = model.profile(self.arrays, int(frame.body["runs"]))
        shares = getattr(model, "shares", None)
        if shares is not None:
            profile = replace(profile, shares=shares.to_json())
        return Frame({"profile": profile.to_json()})

    def status(self, frame: Frame) -> Frame:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return Frame({"pid": os.getpid(), "threads": _threads(), "peak_bytes": peak * 1024})

    def close(self, frame: Frame) -> Frame:
        if self.callers is not None:
            self.callers.shutdown()
        if self.model is not None:
            self.model.close()
        self.model = None
        return Frame({})


def _specs(specs: Mapping[str, TensorSpec]) -> dict[str, Any]:
    return {name: {"dtype": s.dtype, "shape": list(s.shape)} for name, s in specs.items()}


def _threads() -> list[dict[str, Any]]:
    """Name and CPU seconds of every thread of this process (Linux; elsewhere nothing)."""
    tick = os.sysconf("SC_CLK_TCK")
    threads: list[dict[str, Any]] = []
    for task in sorted(Path("/proc/self/task").glob("*")):
        try:
            name, _, rest = (task / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue  # the thread ended meanwhile
        fields = rest.split()
        threads.append({"id": int(task.name), "name": name, "cpu_seconds": (int(fields[11]) + int(fields[12])) / tick})
    return threads


def _die_with_parent(parent: int) -> None:
    """Ask Linux to end this process when its parent ends, even while the engine is busy."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    pr_set_pdeathsig = 1
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked
        os._exit(1)


def _listen(incoming: int, messages: queue.Queue[Frame]) -> None:
    """Hand messages over as they come; when the other side is gone, so are we, whatever the engine does."""

    def read(size: int) -> bytearray:
        data = bytearray(size)
        at = 0
        while at < size:
            got = os.readv(incoming, [memoryview(data)[at:]])
            if got == 0:
                raise EOFError
            at += got
        return data

    try:
        while True:
            messages.put(read_frame(read))
    except BaseException:
        os._exit(0)


def _write(outgoing: int, frame: Frame) -> None:
    for part in encode(frame):
        rest = part
        while rest:
            rest = rest[os.write(outgoing, rest) :]


def _answer(session: _Session, frame: Frame) -> Frame:
    commands: dict[str, Callable[[Frame], Frame]] = {
        "load": session.load,
        "feed": session.feed,
        "run": session.run,
        "time": session.time,
        "profile": session.profile,
        "status": session.status,
        "close": session.close,
    }
    try:
        return commands[frame.body["command"]](frame)
    except Exception as error:
        return Frame({"error": str(error) or type(error).__name__, "traceback": traceback.format_exc()})


def main() -> None:
    """Serve one parent until it closes the pipe or says `close`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's business; it closes the pipe
    incoming, outgoing = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    if len(sys.argv) > 1:
        _die_with_parent(int(sys.argv[1]))
    messages: queue.Queue[Frame] = queue.Queue()
    threading.Thread(target=_listen, args=(incoming, messages), daemon=True).start()
    hello = messages.get()
    _write(outgoing, Frame({"cpus": list(pin_process(hello.body["cpus"]))}))
    session = _Session()
    while True:
        frame = messages.get()
        _write(outgoing, _answer(session, frame))
        if frame.body["command"] == "close":
            break
    sys.stderr.flush()
    os._exit(0)  # engines' own exit handlers have nothing left to save and may hang


if __name__ == "__main__":
    main()
