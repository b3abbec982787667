"""Margins, tiles and blocks of pixels against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest

from rooftune.compiler.target import host_target

from .single_nodes import agrees, numbers, refusal, single

pytestmark = pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")


def check(kind: str, shape: tuple[int, ...], *given: np.ndarray, **attributes: object) -> None:
    x = numbers(*shape)
    agrees(single(kind, x, given, **attributes), x)


def ints(*values: int) -> np.ndarray:
    return np.asarray(values, np.int64)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect"])
@pytest.mark.parametrize(
    ("shape", "pads"),
    [
        ((2, 20, 5, 7), (0, 0, 1, 2, 0, 0, 3, 0)),
        ((1, 3, 4, 4), (0, 0, 0, 3, 0, 0, 0, 1)),
        ((1, 5, 9), (0, 0, 2, 0, 0, 3)),
        ((1, 9, 5), (0, 2, 0, 0, 3, 0)),
        ((2, 8, 6, 6), (0, 0, -1, -2, 0, 0, -1, 0)),
    ],
)
def test_margins(mode: str, shape: tuple[int, ...], pads: tuple[int, ...]) -> None:
    check("Pad", shape, ints(*pads), mode=mode)


def test_what_margins_hold() -> None:
    check("Pad", (1, 17, 3, 3), ints(0, 0, 1, 1, 0, 0, 1, 1), np.full((), -2.5, np.float32))


def test_what_is_not_padded_says_why() -> None:
    x = numbers(1, 3, 4, 4)
    assert "rows and columns" in refusal(single("Pad", x, [ints(1, 0, 0, 0, 0, 0, 0, 0)]))
    check("Pad", (1, 3, 4, 4), ints(0, 1, 0, 0, 0, 0, 0, 0))
    assert "cuts as well" in refusal(single("Pad", x, [ints(0, 0, -1, 0, 0, 0, 1, 0)]))


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_to_space(mode: str) -> None:
    check("DepthToSpace", (2, 36, 3, 5), blocksize=3, mode=mode)


def test_space_to_depth() -> None:
    check("SpaceToDepth", (2, 5, 4, 6), blocksize=2)


@pytest.mark.parametrize("times", [(1, 2, 1, 3), (2, 1, 2, 1), (1, 1, 1, 1)])
def test_tiles(times: tuple[int, ...]) -> None:
    check("Tile", (2, 5, 3, 4), ints(*times))
