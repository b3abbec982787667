"""Powers, differences and quotients against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest

from rooftune.compiler.target import host_target

from .single_nodes import agrees, numbers, refusal, single

pytestmark = pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")


@pytest.mark.parametrize("exponent", [2.0, 0.5, 1.0, -1.0])
def test_powers(exponent: float) -> None:
    x = np.abs(numbers(2, 20, 3, 3)) + 0.5
    agrees(single("Pow", x, [np.float32(exponent).reshape(())]), x)


def test_other_powers_are_left_to_others() -> None:
    assert "power of 3" in refusal(single("Pow", numbers(1, 4), [np.float32(3).reshape(())]))


@pytest.mark.parametrize("kind", ["Sub", "Div", "Max", "Min"])
@pytest.mark.parametrize("shape", [(1,), (20, 1, 1), (2, 20, 3, 1), (3, 3)])
def test_constants(kind: str, shape: tuple[int, ...]) -> None:
    x = numbers(2, 20, 3, 3)
    agrees(single(kind, x, [np.abs(numbers(*shape, seed=1)) + 0.5]), x)
