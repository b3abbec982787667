"""First run of every kernel, in a process of its own: an instruction the processor refuses ends only that one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import TextIO

from rooftune.compiler.machine_code import architecture, host_features
from rooftune.execute.probe.arithmetic import ArithmeticKernel, arithmetic_kernel
from rooftune.execute.probe.isa import VectorIsa, available
from rooftune.execute.probe.streams import PATTERNS, StreamKernel, stream_kernel
from rooftune.execute.probe.verify import verify_arithmetic, verify_clock, verify_stream

__all__ = ["arithmetic_kernels", "main", "stream_isa", "stream_kernels", "try_kernels"]

CLOCK = "clock"
_LIMIT_SECONDS = 60.0


def arithmetic_kernels() -> list[ArithmeticKernel]:
    """The arithmetic kernels whose instructions this processor says it has, narrowest first."""
    return [arithmetic_kernel(*entry) for entry in available(architecture(), host_features())]


def stream_isa(scalable: bool = True) -> VectorIsa | None:
    """The widest instruction set of this processor that loads, stores and adds vectors of integers."""
    found = [
        isa
        for isa, instruction in available(architecture(), host_features() | {"ssse3", "dotprod"})
        if isa.bits and instruction.format == "int8" and instruction.engine == "vector"
    ]
    return next((isa for isa in reversed(found) if scalable or not isa.scalable), None)


def stream_kernels() -> list[StreamKernel]:
    """The stream kernels for this processor: each pattern, and those that store also in step and past the caches."""
    widest, fixed = stream_isa(), stream_isa(scalable=False)
    kernels = [stream_kernel(widest, pattern) for pattern in PATTERNS] if widest else []
    if widest:
        kernels += [stream_kernel(widest, pattern, stepwise=True) for pattern in PATTERNS if pattern != "read"]
    if fixed:
        kernels += [stream_kernel(fixed, pattern, True) for pattern in PATTERNS if pattern != "read"]
    return kernels


def try_kernels() -> dict[str, str]:
    """Run every kernel once and check its result: id -> empty if it may be reported, else why not."""
    results: dict[str, str] = {}
    wanted = list(_trials())
    while len(results) < len(wanted):
        rest = [name for name in wanted if name not in results]
        found, running, ending = _child(rest)
        results |= found
        if running:
            results[running] = ending
        elif not found:  # the process cannot even begin: nothing is proved about the rest
            results |= dict.fromkeys(rest, ending)
    return results


def main(names: Sequence[str], out: TextIO) -> None:
    """What the child process does: run the named kernels in turn, saying before and after each which it is."""
    trials = _trials()
    for name in names:
        print(f"run\t{name}", file=out, flush=True)
        try:
            outcome = trials[name]()
        except (RuntimeError, LookupError) as failure:  # LLVM does not know the instruction
            outcome = f"LLVM: {failure}".splitlines()[0]
        print(f"done\t{name}\t{outcome}", file=out, flush=True)


def _trials() -> dict[str, Callable[[], str]]:
    trials: dict[str, Callable[[], str]] = {CLOCK: verify_clock}
    for kernel in arithmetic_kernels():
        trials[kernel.id] = lambda kernel=kernel: verify_arithmetic(kernel)  # type: ignore[misc]
    for stream in stream_kernels():
        trials[stream.id] = lambda stream=stream: verify_stream(stream)  # type: ignore[misc]
    return trials


def _child(names: Sequence[str]) -> tuple[dict[str, str], str, str]:
    """Outcomes of a child process, the kernel it died in (if it did), and how it ended."""
    program = "import sys; from rooftune.execute.probe.trial import main; main(sys.argv[1:], sys.stdout)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    try:
        child = subprocess.run(
            [sys.executable, "-c", program, *names],
            capture_output=True,
            timeout=_LIMIT_SECONDS,
            env=environment,
        )
        text, ending = child.stdout.decode(), _ending(child.returncode, child.stderr.decode(errors="replace"))
    except subprocess.TimeoutExpired as expired:
        text, ending = (expired.stdout or b"").decode(), f"its first run took more than {_LIMIT_SECONDS:g} s"
    except OSError as failure:
        text, ending = "", f"no process could be started to try it: {failure}"
    found, running = {}, ""
    for line in text.splitlines():
        kind, _, rest = line.partition("\t")
        name, _, outcome = rest.partition("\t")
        if kind == "run":
            running = name
        elif kind == "done":
            found[name], running = outcome, ""
    return found, running, ending


def _ending(code: int, errors: str) -> str:
    if code < 0:
        return f"its first run ended with signal {-code}"
    last = errors.strip().splitlines()[-1:] or [f"exit code {code}"]
    return f"its first run failed: {last[0]}"
