"""scikit-learn's handwritten digits as the network takes them, in a fixed split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

__all__ = ["CLASSES", "SCALE", "SIDE", "Split", "load_split", "upscale"]

CLASSES = 10
SCALE = 4
"""Each pixel of the 8×8 originals becomes a square of this many pixels a side."""

SIDE = 8 * SCALE

TEST_COUNT = 360
CALIBRATION_COUNT = 200
SPLIT_SEED = 20


@dataclass(frozen=True)
class Split:
    """Images as float32[n, 1, 32, 32] in 0 … 1, labels as int64[n], and the rows of the dataset they come from.

    `calibration_rows` are some of `train_rows`; `test_rows` share no row with either.
    """

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    train_rows: npt.NDArray[np.int64]
    calibration_rows: npt.NDArray[np.int64]
    test_rows: npt.NDArray[np.int64]


def upscale(pixels: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Raw digits, float[n, 64] with grey levels 0 … 16, as float32[n, 1, 32, 32] in 0 … 1 (nearest neighbour)."""
    small = (pixels / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    return small.repeat(SCALE, axis=2).repeat(SCALE, axis=3)


def load_split() -> Split:
    """All 1,797 digits and the split: 360 for the test, the rest for training, 200 of those for calibration."""
    pixels, labels = load_digits(return_X_y=True)
    # RandomState's stream is frozen by NumPy's compatibility policy: the split is the same with every version
    rows = np.random.RandomState(SPLIT_SEED).permutation(len(pixels)).astype(np.int64)
    train = rows[TEST_COUNT:]
    return Split(upscale(pixels), labels.astype(np.int64), train, train[:CALIBRATION_COUNT], rows[:TEST_COUNT])
