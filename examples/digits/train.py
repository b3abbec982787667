"""Train the digits network and write what the example folder holds.

    python examples/digits/train.py [--epochs 24] [--out FOLDER]

Writes digits.onnx, calibration.npz and test.npz, all of them or none. Needs PyTorch and scikit-learn.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from images import CLASSES, SCALE, SIDE, Split, load_split
from network import SmallMobileNet
from torch import Tensor, nn

from rooftune.graph.save import save_graph

INPUT_NAME = "images"
OUTPUT_NAME = "logits"
OPSET = 20

SEED = 0
THREADS = 1
"""Fixed, because the order of a parallel sum depends on it; the network is too small to gain from more."""

BATCH = 64
PEAK_LEARNING_RATE = 4e-3
WEIGHT_DECAY = 1e-2

STACK_TRACE = "pkg.torch.onnx.stack_trace"
"""Node metadata of the exporter that holds paths of the machine it ran on."""


def make_deterministic() -> None:
    """Seed PyTorch and allow only operators whose result does not change from run to run."""
    torch.manual_seed(SEED)
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    # nothing here reads memory it has not written; filling it first takes a third of the time
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def shift_randomly(images: Tensor) -> Tensor:
    """Move each image by up to one pixel of the 8×8 original in both directions; the margin is black."""
    padded = nn.functional.pad(images, (SCALE,) * 4)
    moves = torch.randint(0, 2 * SCALE + 1, (len(images), 2)).tolist()
    return torch.stack([p[:, y : y + SIDE, x : x + SIDE] for p, (y, x) in zip(padded, moves, strict=True)])


def train(network: nn.Module, images: Tensor, labels: Tensor, epochs: int) -> None:
    """Fit the network in place: AdamW under a one-cycle learning rate, the last epoch's weights kept.

    The test images have no say in it, neither for stopping nor for choosing.
    """
    steps = len(images) // BATCH
    optimizer = torch.optim.AdamW(network.parameters(), lr=PEAK_LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=PEAK_LEARNING_RATE, epochs=epochs, steps_per_epoch=steps
    )
    for epoch in range(epochs):
        network.train()
        total = 0.0
        # the last, incomplete batch is left out; the rows in it change with every epoch
        for rows in torch.randperm(len(images))[: steps * BATCH].split(BATCH):
            loss = nn.functional.cross_entropy(network(shift_randomly(images[rows])), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1:2d} of {epochs}  loss {total / steps:.4f}", flush=True)


@torch.no_grad()
def accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Share of images whose largest logit is that of their label."""
    network.eval()
    return float((network(images).argmax(1) == labels).float().mean())


def export(network: nn.Module, path: Path) -> None:
    """Write the network as ONNX, weights inline, the batch dimension open under the name N."""
    network.eval()
    program = torch.onnx.export(
        network,
        (torch.zeros(2, 1, SIDE, SIDE),),
        input_names=[INPUT_NAME],
        output_names=[OUTPUT_NAME],
        opset_version=OPSET,
        dynamic_shapes=({0: torch.export.Dim("N")},),
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # always so with dynamo=True
    for node in program.model.graph:
        node.metadata_props.pop(STACK_TRACE, None)
    save_graph(program.model, path)


def write_artefacts(network: nn.Module, split: Split, out: Path) -> list[Path]:
    """Write the three files into a folder beside their places first, so that none is ever half there."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".training-") as scratch:
        folder = Path(scratch)
        export(network, folder / "digits.onnx")
        # the key is INPUT_NAME, so that the arrays can be fed as they are
        np.savez_compressed(folder / "calibration.npz", images=split.images[split.calibration_rows])
        test = split.test_rows
        np.savez_compressed(folder / "test.npz", images=split.images[test], labels=split.labels[test])
        return [file.replace(out / file.name) for file in sorted(folder.iterdir())]


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the digits network and export it.")
    parser.add_argument("--epochs", type=int, default=24, help="passes over the training images (default: 24)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write (default: this one)")
    options = parser.parse_args()
    if options.epochs < 1:
        parser.error(f"--epochs {options.epochs}: give 1 or more")

    started = time.monotonic()
    make_deterministic()
    split = load_split()
    images, labels = torch.from_numpy(split.images), torch.from_numpy(split.labels)
    # depthwise convolutions train twice as fast with the channels innermost; the exported model does not know of it
    network = SmallMobileNet(CLASSES).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    count = sum(p.numel() for p in network.parameters())
    print(f"{count:,} parameters, {len(split.train_rows)} training images, {len(split.test_rows)} test images")

    train(network, images[split.train_rows], labels[split.train_rows], options.epochs)
    reached = accuracy(network, images[split.test_rows], labels[split.test_rows])
    print(f"test accuracy {reached:.2%} after {time.monotonic() - started:.0f} s")

    for file in write_artefacts(network, split, options.out):
        print(f"wrote {file} ({file.stat().st_size / 1024:.0f} KiB)")


if __name__ == "__main__":
    main()
