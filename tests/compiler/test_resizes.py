"""Resizes: kernels against NumPy in double on every vector width, nodes against ONNX Runtime in all modes."""

from __future__ import annotations

import numpy as np
import pytest

from rooftune.compiler.operations import Resize
from rooftune.compiler.target import Target, host_target

from .running import TARGETS, Floats
from .single_nodes import agrees, numbers, refusal, run_one, single

pytestmark = pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")


@pytest.fixture(params=list(TARGETS))
def target(request: pytest.FixtureRequest) -> Target:
    return TARGETS[request.param]


def mixed(x: np.ndarray, axis: int, places: np.ndarray) -> np.ndarray:
    before = np.floor(places).astype(int)
    share = (places - before).reshape((-1,) + (1,) * (3 - axis))
    after = np.minimum(before + 1, x.shape[axis] - 1)
    return x.take(before, axis) * (1 - share) + x.take(after, axis) * share


@pytest.mark.parametrize("kind", ["nearest", "linear"])
@pytest.mark.parametrize("sizes", [((5, 7), (9, 11)), ((6, 4), (2, 1)), ((1, 9), (1, 30))])
def test_places(kind: str, sizes: tuple[tuple[int, int], tuple[int, int]], target: Target) -> None:
    random = np.random.default_rng(0)
    (height, width), (rows, columns) = sizes
    down, along = random.uniform(0, height - 1, rows), random.uniform(0, width - 1, columns)
    down[-1], along[0] = height - 1, 0
    if kind == "nearest":
        down, along = np.rint(down), np.rint(along)
    x = numbers(2, 19, height, width)
    op = Resize((), "x", "y", kind, tuple(down), tuple(along))
    found = run_one(op, x, (2, 19, rows, columns), target, threads=3)
    expected = mixed(mixed(x.astype(np.float64), 2, down), 3, along)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 if kind == "linear" else 0)


def test_infinities_stay_where_they_are(target: Target) -> None:
    x = numbers(1, 3, 4, 4)
    x[0, 0, 1, 1], x[0, 1] = np.nan, -np.inf
    op = Resize((), "x", "y", "linear", (0.0, 1.0, 2.5, 3.0), (0.0, 0.5, 2.0, 3.0))
    found = run_one(op, x, x.shape, target)
    assert np.argwhere(np.isnan(found)).tolist() == [[0, 0, 1, 1]]
    assert (found[0, 1] == -np.inf).all() and np.isfinite(found[0, 2]).all()


MODES = [
    "half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric", "tf_half_pixel_for_nn",
]  # fmt: skip
ROUNDINGS = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]


def scales(*factors: float) -> list[np.ndarray | None]:
    return [None, np.float32(factors)]


def sizes(*wanted: int) -> list[np.ndarray | None]:
    return [None, None, np.int64(wanted)]


X: Floats = numbers(2, 5, 6, 7)


@pytest.mark.parametrize("mode", MODES)
def test_nearest_nodes(mode: str) -> None:
    for number, given in enumerate([scales(1, 1, 2, 2), scales(1, 1, 1.5, 0.7), sizes(2, 5, 3, 20), sizes(2, 5, 1, 1)]):
        for rounding in ROUNDINGS[number % 2 :: 2]:
            model = single(
                "Resize", X, given, opset=19, coordinate_transformation_mode=mode, nearest_mode=rounding, mode="nearest"
            )
            agrees(model, X, 0)


@pytest.mark.parametrize("mode", MODES)
def test_linear_nodes(mode: str) -> None:
    for given in (scales(1, 1, 2, 2), scales(1, 1, 1.5, 0.7), sizes(2, 5, 3, 20), sizes(2, 5, 1, 1)):
        agrees(single("Resize", X, given, opset=19, coordinate_transformation_mode=mode, mode="linear"), X)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_other_ways_to_say_it(mode: str) -> None:
    for policy in ("stretch", "not_larger", "not_smaller"):
        given = sizes(9, 20)
        agrees(single("Resize", X, given, opset=19, axes=[2, 3], keep_aspect_ratio_policy=policy, mode=mode), X)
    rows = np.ascontiguousarray(X[:, :, 0])
    agrees(single("Resize", rows, scales(1, 1, 2.5), opset=19, mode=mode), rows)
    last = np.ascontiguousarray(X.transpose(0, 2, 3, 1))
    agrees(single("Resize", last, scales(1, 2, 2, 1), opset=19, mode=mode), last)
    for factors in ([1, 1, 2, 2], [1, 1, 1.5, 2.5], [1, 1, 0.5, 0.7]):
        agrees(single("Resize", X, [np.float32(factors)], opset=10, mode=mode), X)
    agrees(single("Upsample", X, [np.float32([1, 1, 2, 3])], opset=9, mode=mode, out=(2, 5, 12, 21)), X)


def test_what_is_refused_says_why() -> None:
    assert "cubic" in refusal(single("Resize", X, scales(1, 1, 2, 2), opset=19, mode="cubic"))
    smooth = single("Resize", X, scales(1, 1, 0.5, 0.5), opset=19, mode="linear", antialias=1)
    assert "smooths" in refusal(smooth)
    assert "other dimensions" in refusal(single("Resize", X, scales(1, 2, 2, 2), opset=19, mode="nearest"))
    crop = [np.float32([0, 0, 0, 0, 1, 1, 1, 1]), np.float32([1, 1, 2, 2])]
    mode = "tf_crop_and_resize"
    assert mode in refusal(single("Resize", X, crop, opset=19, coordinate_transformation_mode=mode, mode="linear"))
