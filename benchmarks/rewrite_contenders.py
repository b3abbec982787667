"""Tools that make an ONNX file smaller, each from file to file, served by a process of its own.

Started by `rewrites.py` as `python rewrite_contenders.py TOOL`; reads one line of JSON per job, `{"model", "out"}`,
and answers with one: `{"seconds"}` or `{"refused"}`. Imports are not timed.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["CATALOG_MACHINE", "CATALOG_THREADS", "TOOLS", "Contender", "target"]

Tool = Callable[[str, str], None]
CATALOG_MACHINE, CATALOG_THREADS = "raspberry-pi-5", 4
LIMIT_SECONDS = 300.0
"""After this much time on one file a tool is ended."""


@cache
def target() -> tuple[Any, int]:
    """The machine we rewrite for and its threads: this one where its ceilings are stored, else the catalog's."""
    from rooftune.execute.probe.stored import stored_machine
    from rooftune.machine.devices import find_machine
    from rooftune.machine.topology import read_topology, usable_threads

    machine = stored_machine(quick=True)
    if machine is not None:
        return machine, usable_threads(read_topology())
    return find_machine(CATALOG_MACHINE), CATALOG_THREADS


def rooftune_tool() -> Tool:
    """Load, rewrite with the default rules for a machine that is known already, save; without the proof."""
    from rooftune.graph.load import load
    from rooftune.graph.save import save_graph
    from rooftune.pipeline.rewrite import rewrite_model

    machine, threads = target()

    def work(model: str, out: str) -> None:
        save_graph(rewrite_model(load(model), machine, threads).model.ir, out)

    return work


def onnxslim_tool() -> Tool:
    """`onnxslim.slim` with its defaults."""
    import onnxslim

    return lambda model, out: onnxslim.slim(model, out)


def onnxsim_tool() -> Tool:
    """`onnxsim.simplify` with its defaults, which check nothing."""
    import onnx
    import onnxsim

    return lambda model, out: onnx.save(onnxsim.simplify(onnx.load(model))[0], out)


def onnxoptimizer_tool() -> Tool:
    """All fuse and eliminate passes until nothing changes."""
    import onnx
    import onnxoptimizer

    passes = onnxoptimizer.get_fuse_and_elimination_passes()
    return lambda model, out: onnx.save(onnxoptimizer.optimize(onnx.load(model), passes, fixed_point=True), out)


def onnxscript_tool() -> Tool:
    """`onnxscript.optimizer.optimize` with its defaults, on the in-memory form it prefers."""
    import onnx_ir
    from onnxscript import optimizer

    return lambda model, out: onnx_ir.save(optimizer.optimize(onnx_ir.load(model)), out)


def onnxruntime_tool() -> Tool:
    """A session at the extended level that saves the graph it would run, its own operators included."""
    import onnxruntime

    def work(model: str, out: str) -> None:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = out
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    return work


TOOLS: dict[str, Callable[[], Tool]] = {
    "rooftune": rooftune_tool,
    "onnxslim": onnxslim_tool,
    "onnxsim": onnxsim_tool,
    "onnxoptimizer": onnxoptimizer_tool,
    "onnxscript": onnxscript_tool,
    "onnxruntime": onnxruntime_tool,
}


class Contender:
    """One tool's process for one model; its result lies alone in `folder`, data files included."""

    def __init__(self, tool: str, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.out = folder / "model.onnx"
        self.seconds: list[float] = []
        self.refused = ""
        self.words = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the process
        self.process = subprocess.Popen(
            [sys.executable, __file__, tool],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.words,
            text=True,
        )

    def turn(self, model: Path) -> None:
        """Write the result once more."""
        assert self.process.stdin and self.process.stdout
        for stale in self.folder.iterdir():
            stale.unlink()
        alarm = threading.Timer(LIMIT_SECONDS, self.process.kill)
        alarm.start()
        line = ""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps({"model": str(model), "out": str(self.out)}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        alarm.cancel()
        if not line:
            code = self.process.wait(timeout=60)
            self.words.seek(0)
            said = [text.strip() for text in self.words if text.strip()]
            self.refused = f"the process ended with {code}: {said[-1] if said else ''}"[:300]
            return
        answer = json.loads(line)
        self.refused = answer.get("refused", "")
        self.seconds.append(answer["seconds"])

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait(timeout=60)
        self.words.close()


def serve(name: str) -> None:
    """Answer jobs on standard input until it ends."""
    # some tools print from C: whatever goes to descriptor 1 must not mix with the answers
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tool = TOOLS[name]()
        for line in sys.stdin:
            job = json.loads(line)
            gc.collect()
            answer: dict[str, Any] = {}
            start = time.perf_counter()
            try:
                tool(job["model"], job["out"])
            except (Exception, SystemExit) as why:  # a peer's refusal is a result
                answer["refused"] = " ".join(f"{type(why).__name__}: {why}".split())[:300]
            answer["seconds"] = time.perf_counter() - start
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
