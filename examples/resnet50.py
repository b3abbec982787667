"""Write a ResNet50 of real size, with seeded random weights.

    python examples/resnet50.py OUT.onnx [--seed 0]

The wheel of `onnx` carries ResNet50 without its 102 MB of weights: the file makes them while it runs, all of them
0.02. Such a model answers the same to every picture, so that no comparison of outputs proves anything. Here the
weights are drawn as an untrained network draws them: the work is ResNet50's, the answers mean nothing but differ
from picture to picture. The model ends with the logits: without training they are so large that the softmax after
them would say 1 for one class and 0 for all others, whatever the picture.
"""

from __future__ import annotations

import argparse
import importlib.resources
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from rooftune.errors import InputError, RooftuneError
from rooftune.graph.seeded_weights import with_random_weights

__all__ = ["write_resnet50"]

LIGHT_MODEL = "backend/test/data/light/light_resnet50.onnx"


def write_resnet50(out: Path, seed: int = 0) -> Path:
    """Write the model to `out`, whole or not at all: input float32[1, 3, 224, 224], 25.6 million parameters.

    The same seed gives the same file. Raises `InputError` where `out` cannot be written.
    """
    light = importlib.resources.files("onnx") / LIGHT_MODEL
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with (
            importlib.resources.as_file(light) as path,
            tempfile.TemporaryDirectory(dir=out.parent, prefix=".resnet50-") as scratch,
        ):
            whole = with_random_weights(path, Path(scratch) / out.name, seed, end_with_logits=True)
            whole.replace(out)
            return out
    except OSError as why:
        raise InputError(f"cannot write {out}: {why.strerror or why}", "choose a place that can be written") from why


def main() -> int:
    parser = argparse.ArgumentParser(description="Write a ResNet50 with seeded random weights.")
    parser.add_argument("out", type=Path, metavar="OUT.onnx", help="file to write")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights (default: 0)")
    options = parser.parse_args()
    if options.seed < 0:
        parser.error(f"--seed {options.seed}: give 0 or more")

    started = time.monotonic()
    console = Console(stderr=True)
    try:
        with console.status(f"drawing the weights of ResNet50 with seed {options.seed}"):
            file = write_resnet50(options.out, options.seed)
    except RooftuneError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"wrote {file} ({file.stat().st_size / 1e6:.0f} MB) in {time.monotonic() - started:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
