"""Files of ncnn from an ONNX file, by pnnx in a process with bounded memory and time.

The same ONNX file that the other engines read is converted: for the networks raced here pnnx makes the same layers of
it as of TorchScript.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["ConversionFailed", "convert"]

SECONDS = 600
BYTES = 12 << 30


class ConversionFailed(Exception):
    """pnnx did not write a network; the message is one line."""


def convert(model: Path, folder: Path) -> Path:
    """Write `folder/NAME.param` with its `.bin` in fp32, and return the first; files that are there are taken as such.

    Raises ConversionFailed with the last words of pnnx.
    """
    parameters = folder / f"{model.stem}.param"
    if parameters.exists():
        return parameters
    # pnnx writes much beside what is asked for, in the current folder and beside the model
    with tempfile.TemporaryDirectory(dir=folder, prefix=".pnnx-") as scratch:
        made = Path(scratch) / parameters.name
        asked = {
            f"{kind}{end}": f"{scratch}/{kind}.{end}" for kind in ("pnnx", "ncnn") for end in ("param", "bin", "py")
        }
        asked |= {"pnnxonnx": f"{scratch}/pnnx.onnx", "ncnnparam": str(made), "ncnnbin": str(made.with_suffix(".bin"))}
        link = Path(scratch) / "model.onnx"
        link.symlink_to(model.absolute())
        words = [str(link), "fp16=0", *(f"{name}={value}" for name, value in asked.items())]
        _limited(words, Path(scratch))
        if not made.exists():
            raise ConversionFailed("pnnx wrote nothing")
        made.with_suffix(".bin").replace(parameters.with_suffix(".bin"))
        made.replace(parameters)
    return parameters


def _limited(words: list[str], folder: Path) -> None:
    """Run pnnx; this file is the child's program, which bounds itself before it becomes pnnx."""
    program = [sys.executable, __file__, *words]
    try:
        ended = subprocess.run(program, cwd=folder, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise ConversionFailed(f"pnnx took longer than {SECONDS} s") from None
    if ended.returncode:
        lines = [line for line in (ended.stderr or ended.stdout).decode(errors="replace").splitlines() if line.strip()]
        how = f"signal {-ended.returncode}" if ended.returncode < 0 else f"code {ended.returncode}"
        raise ConversionFailed(f"pnnx ended with {how}: {lines[-1].strip() if lines else 'no words'}"[:200])


def _become_pnnx(words: list[str]) -> None:
    # the package itself is not imported: it would import torch
    found = importlib.util.find_spec("pnnx")
    if found is None or not found.submodule_search_locations:
        sys.exit("pnnx is not installed")
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    program = str(Path(found.submodule_search_locations[0]) / "pnnx")
    os.execv(program, [program, *words])


if __name__ == "__main__":
    _become_pnnx(sys.argv[1:])
