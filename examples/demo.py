"""What `make demo` runs: optimise the trained digits network and a ResNet50 of real size, and show the reports.

    python examples/demo.py [--out demo-out] [--digits-budget 30s] [--resnet50-budget 60s]

Both go through the same command a user types. Ends with the exit code of the last step that failed, 0 if none did.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

import rooftune

EXAMPLES = Path(__file__).resolve().parent
DIGITS = EXAMPLES / "digits" / "digits.onnx"
TEST = EXAMPLES / "digits" / "test.npz"

INPUT_NAME = "images"
OUTPUT_NAME = "logits"


def run(*arguments: str) -> int:
    """Run a Python command that writes straight to this terminal; returns its exit code."""
    print(f"\n$ {' '.join(['python', *arguments])}", flush=True)
    return subprocess.run([sys.executable, *arguments], check=False).returncode


def correct_share(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    """Share of rows whose largest logit is that of their label."""
    return float((logits.argmax(axis=1) == labels).mean())


def show_digits_accuracy(folder: Path) -> None:
    """Print the test accuracy of the original digits model and of the deployed one."""
    with np.load(TEST) as arrays:
        images, labels = arrays[INPUT_NAME], arrays["labels"]
    session = ort.InferenceSession(DIGITS, providers=["CPUExecutionProvider"])
    original = correct_share(session.run([OUTPUT_NAME], {INPUT_NAME: images})[0], labels)
    # the model was optimised for a batch of one, so it gets the images one by one
    with rooftune.load(folder) as model:
        logits = np.concatenate([model({INPUT_NAME: image[None]})[OUTPUT_NAME] for image in images])
    deployed = correct_share(logits, labels)
    print(f"\ntest accuracy on {len(labels)} digits: original {original:.2%}, deployed {deployed:.2%}")


def demonstrate(out: Path, digits_budget: str, resnet50_budget: str) -> Sequence[int]:
    """Run every step, the later ones also when an earlier one failed; returns the exit codes in order."""
    digits, resnet50, weights = out / "digits", out / "resnet50", out / "resnet50.onnx"
    codes = [
        run("-m", "rooftune", "optimize", str(DIGITS), "--batch", "1", "--budget", digits_budget, "-o", str(digits))
    ]
    reports = []
    if codes[-1] == 0:
        show_digits_accuracy(digits)
        reports.append(digits / "report.html")
    codes.append(run(str(EXAMPLES / "resnet50.py"), str(weights)))
    if codes[-1] == 0:
        codes.append(run("-m", "rooftune", "optimize", str(weights), "--budget", resnet50_budget, "-o", str(resnet50)))
        if codes[-1] == 0:
            reports.append(resnet50 / "report.html")
    if reports:
        print("\nOpen the reports in a browser:")
    for report in reports:
        print(f"  {report.resolve().as_uri()}")
    return codes


def main() -> int:
    parser = argparse.ArgumentParser(description="Optimise the digits network and ResNet50, and show the reports.")
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="working folder (default: demo-out)")
    parser.add_argument("--digits-budget", default="30s", metavar="TIME", help="for the digits network (default: 30s)")
    parser.add_argument("--resnet50-budget", default="60s", metavar="TIME", help="for ResNet50 (default: 60s)")
    options = parser.parse_args()
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as why:
        parser.error(f"--out {options.out} cannot be made: {why.strerror}; give a folder that can be written")
    codes = demonstrate(options.out, options.digits_budget, options.resnet50_budget)
    return next((code for code in reversed(codes) if code != 0), 0)


if __name__ == "__main__":
    sys.exit(main())
