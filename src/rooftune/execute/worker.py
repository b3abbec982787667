"""Our side of a worker: an engine instance in a process of its own, loaded, run and timed from here."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from numpy.typing import NDArray

from rooftune.execute.backend import Candidate, TensorSpec
from rooftune.execute.frames import Frame, encode, read_frame
from rooftune.execute.placement import choose_cpus, sibling_groups, usable_cpus
from rooftune.execute.profile import Profile
from rooftune.protocols import Arrays

__all__ = ["EngineFailure", "Loaded", "Worker", "readable"]

_TAIL_BYTES = 4096


def readable(reason: str) -> str:
    """An engine's words without its error numbers and the lines of its sources."""
    return re.sub(r"\[ONNXRuntimeError\] : \d+ : \w+ : |/onnxruntime_src/\S+ onnxruntime::\S+\(.*?\)\s*", "", reason)


class EngineFailure(Exception):
    """An engine said no, crashed, or took too long; `reason` is one line with its own words.

    kind  `refused` (an error of the engine), `crashed` (the process ended), `timeout`
    """

    def __init__(self, reason: str, kind: str = "refused", detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.kind = kind
        self.detail = detail

    @property
    def readable(self) -> str:
        """The engine's words for people."""
        return readable(self.reason)


@dataclass(frozen=True)
class Loaded:
    """What the engine says after loading: tensors it takes and gives, how long loading took, its version."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    load_seconds: float
    version: str


class Worker:
    """A process with one engine instance, bound to exactly as many CPUs as the candidate has threads.

    Use as a context manager, or `close` it; it also dies with this process. Every call raises
    EngineFailure when the engine refuses, the process ends, or `timeout` seconds pass.
    """

    def __init__(
        self,
        candidate: Candidate,
        model_path: Path,
        *,
        input_shapes: Mapping[str, Sequence[int]] | None = None,
        cpus: Sequence[int] | None = None,
        timeout: float = 600.0,
    ) -> None:
        self.candidate = candidate
        self.timeout = timeout
        usable = usable_cpus()
        wanted = tuple(cpus) if cpus is not None else choose_cpus(candidate.threads, usable, sibling_groups(usable))
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        # what engines leave behind when their process is killed goes with it
        self._scratch = tempfile.TemporaryDirectory(prefix="rooftune-worker-", ignore_cleanup_errors=True)
        # The kernel's death signal follows the *thread* that started the child: ask for it from the main
        # thread only. Everywhere else the closed pipe ends the worker.
        by_main_thread = threading.current_thread() is threading.main_thread()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rooftune.execute.worker_main", *([str(os.getpid())] if by_main_thread else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            env={**_environment(candidate.threads), "TMPDIR": self._scratch.name},
        )
        assert self._process.stdin and self._process.stdout
        self._out, self._in = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._in, selectors.EVENT_READ)
        try:
            self.cpus: tuple[int, ...] = tuple(self._ask({"cpus": list(wanted)}).body["cpus"])
            self.loaded = self._load(model_path, input_shapes)
        except BaseException:
            self.close()
            raise

    def _load(self, model_path: Path, input_shapes: Mapping[str, Sequence[int]] | None) -> Loaded:
        shapes = {name: list(shape) for name, shape in input_shapes.items()} if input_shapes else None
        body = self._ask(
            {
                "command": "load",
                "model_path": str(model_path.absolute()),
                "candidate": self.candidate.to_json(),
                "input_shapes": shapes,
            }
        ).body
        return Loaded(_specs(body["inputs"]), _specs(body["outputs"]), body["load_seconds"], body["version"])

    def feed(self, arrays: Arrays) -> None:
        """Send the inputs that `time` and `profile` will use."""
        self._ask({"command": "feed"}, arrays)

    def run(self, arrays: Arrays) -> dict[str, NDArray[Any]]:
        """Outputs by name of one run on `arrays`."""
        return dict(self._ask({"command": "run"}, arrays).arrays)

    def time(self, runs: int) -> list[float]:
        """Seconds of `runs` runs on the fed inputs, measured inside the worker.

        With several requests in flight it is a single number: wall seconds per run over the whole turn.
        """
        return [float(s) for s in self._ask({"command": "time", "runs": runs}).body["seconds"]]

    def profile(self, runs: int) -> Profile:
        """Time of every kernel on the fed inputs, mapped to source operators."""
        return Profile.from_json(self._ask({"command": "profile", "runs": runs}).body["profile"])

    def status(self) -> dict[str, Any]:
        """Process id, threads with their CPU seconds, peak memory in bytes."""
        return dict(self._ask({"command": "status"}).body)

    def close(self) -> None:
        """End the process; safe to call twice and after a crash."""
        if self._process.poll() is None:
            with contextlib.suppress(EngineFailure):
                self._ask({"command": "close"}, timeout=5.0)
            for stream in (self._process.stdin, self._process.stdout):
                if stream:
                    with contextlib.suppress(OSError):
                        stream.close()
            try:
                self._process.wait(timeout=5.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._ready.close()
        for stream in (self._process.stdin, self._process.stdout, self._words):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()
        self._scratch.cleanup()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and not issubclass(kind, Exception):
            # the user wants to be rid of it: a long run would not hear that it is to end
            self._process.kill()
        self.close()

    def _ask(self, body: Mapping[str, Any], arrays: Arrays | None = None, timeout: float | None = None) -> Frame:
        limit = self.timeout if timeout is None else timeout
        deadline = time.monotonic() + limit
        try:
            for part in encode(Frame(body, arrays or {})):
                rest = part
                while rest:
                    rest = rest[os.write(self._out, rest) :]
            reply = read_frame(lambda size: self._read(size, deadline))
        except (EOFError, BrokenPipeError, ValueError, OSError) as error:
            if isinstance(error, TimeoutError):
                self._process.kill()
                self._process.wait()
                what = body.get("command", "start")
                raise EngineFailure(f"{what} took longer than {limit:g} s", "timeout") from None
            raise self._crash() from None
        if "error" in reply.body:
            text = str(reply.body["error"])
            raise EngineFailure(_one_line(text), "refused", str(reply.body.get("traceback", text)))
        return reply

    def _read(self, size: int, deadline: float) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        at = 0
        while at < size:
            if not self._ready.select(max(0.0, deadline - time.monotonic())):
                raise TimeoutError
            got = os.readv(self._in, [view[at:]])
            if got == 0:
                raise EOFError
            at += got
        return data

    def _crash(self) -> EngineFailure:
        try:
            code = self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        how = f"ended with code {code}"
        if code < 0:
            name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
            how = f"was ended by {name}"
            if -code == signal.SIGKILL:
                how += " (out of memory?)"
        words = self._last_words()
        lines = [line for line in words.splitlines() if line.strip()]
        said = f": {lines[-1].strip()}" if lines else ""
        return EngineFailure(f"the engine's process {how}{said}", "crashed", words)

    def _last_words(self) -> str:
        self._words.seek(0, os.SEEK_END)
        self._words.seek(max(0, self._words.tell() - _TAIL_BYTES))
        return self._words.read().decode(errors="replace")


def _specs(value: Mapping[str, Any]) -> dict[str, TensorSpec]:
    return {name: TensorSpec(spec["dtype"], tuple(spec["shape"])) for name, spec in value.items()}


def _one_line(text: str) -> str:
    return " ".join(text.split())[:600]


def _environment(threads: int) -> dict[str, str]:
    """Our environment, with every thread pool an engine might open by itself bounded and telemetry off."""
    bounded = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    quiet = {"OPENVINO_TELEMETRY_OPT_OUT": "1", "ORT_DISABLE_TELEMETRY": "1"}
    return {**os.environ, **bounded, **quiet, "PYTHONUNBUFFERED": "1"}
