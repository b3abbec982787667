"""Transposed convolutions on every vector width, against NumPy in double: every input pixel adds to a window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rooftune.compiler.operations import Activation, Transposed
from rooftune.compiler.target import Target

from .running import TARGETS, Floats, lowered, program, run
from .single_nodes import agrees, refusal, single

PLAINLY = Activation()


@dataclass(frozen=True)
class Case:
    """Sizes of a transposed convolution; `cut` rows above, columns left, rows below, columns right (negative: more)."""

    channels: int = 16
    out: int = 16
    size: tuple[int, int] = (4, 5)
    kernel: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (2, 2)
    dilations: tuple[int, int] = (1, 1)
    cut: tuple[int, int, int, int] = (1, 1, 1, 1)
    by_channel: bool = False
    images: int = 1
    bias: bool = True
    activation: Activation = PLAINLY

    @property
    def whole(self) -> tuple[int, int]:
        """The size before anything is cut."""
        parts = zip(self.size, self.kernel, self.strides, self.dilations, strict=True)
        height, width = ((n - 1) * s + (k - 1) * d + 1 for n, k, s, d in parts)
        return height, width

    @property
    def y(self) -> tuple[int, int, int, int]:
        height, width = (w - a - b for w, a, b in zip(self.whole, self.cut[:2], self.cut[2:], strict=True))
        return (self.images, self.out, height, width)

    def operation(self) -> Transposed:
        return Transposed(
            nodes=("transposed",),
            x="x",
            y="y",
            weight="w",
            bias="b" if self.bias else "",
            kernel=self.kernel,
            strides=self.strides,
            pads=self.cut[:2],
            dilations=self.dilations,
            groups=self.channels if self.by_channel else 1,
            activation=self.activation,
        )

    def arrays(self, seed: int) -> dict[str, Floats]:
        random = np.random.default_rng(seed)
        depth = math.prod(self.kernel) * (1 if self.by_channel else self.channels)
        made = {
            "x": random.standard_normal((self.images, self.channels, *self.size)),
            "w": random.standard_normal((self.channels, 1 if self.by_channel else self.out, *self.kernel)),
            "b": random.standard_normal(self.out),
        }
        made["w"] /= math.sqrt(depth)
        return {name: array.astype(np.float32) for name, array in made.items()}

    def reference(self, arrays: dict[str, Floats]) -> Any:
        x, w = arrays["x"].astype(np.float64), arrays["w"].astype(np.float64)
        height, width = self.y[2:]
        top, left, below, right = self.cut
        y = np.zeros((self.images, self.out, self.whole[0] + max(0, -below), self.whole[1] + max(0, -right)))
        for r, q in np.ndindex(*self.kernel):
            added = x * w[:, 0, r, q][:, None, None]
            if not self.by_channel:
                added = np.einsum("nchw,co->nohw", x, w[:, :, r, q])
            down, across = r * self.dilations[0], q * self.dilations[1]
            into = y[:, :, down :: self.strides[0], across :: self.strides[1]]
            into[:, :, : self.size[0], : self.size[1]] += added
        y = y[:, :, top : top + height, left : left + width]
        if self.bias:
            y = y + arrays["b"][:, None, None]
        return np.maximum(y, 0) if self.activation.kind == "relu" else y


def check(case: Case, target: Target, threads: int = 1, seed: int = 0) -> None:
    arrays = case.arrays(seed)
    shapes = {"x": arrays["x"].shape, "y": case.y}
    work = lowered([case.operation()], shapes, {n: arrays[n] for n in ("w", "b")}, ["x"], "y")
    found = run(program(work, target, threads=threads), {"x": arrays["x"]})
    np.testing.assert_allclose(found, case.reference(arrays), rtol=0, atol=1e-5, err_msg=str(case))


CASES = {
    "doubling": Case(channels=32, out=24, kernel=(4, 4)),
    "2x2 without overlap": Case(channels=20, out=5, kernel=(2, 2), cut=(0, 0, 0, 0), size=(3, 17)),
    "3x3 with one more row and column": Case(channels=16, out=48, cut=(1, 1, 0, 0)),
    "stride 1": Case(strides=(1, 1), kernel=(3, 5), cut=(1, 2, 1, 2), size=(5, 19)),
    "gaps": Case(strides=(4, 3), kernel=(2, 1), cut=(0, 0, -2, -1)),
    "far more than the kernel": Case(kernel=(2, 2), cut=(0, 0, -5, -7)),
    "dilated": Case(dilations=(3, 2), strides=(2, 2), kernel=(3, 2), cut=(2, 1, 0, 1)),
    "dilated, stride shares a factor": Case(dilations=(4, 6), strides=(6, 4), kernel=(3, 3), cut=(3, 5, 1, 0)),
    "bilinear, by channel": Case(channels=21, out=21, by_channel=True, kernel=(4, 4), size=(5, 9)),
    "8 times, by channel": Case(
        channels=5, out=5, by_channel=True, kernel=(16, 16), strides=(8, 8), cut=(4, 4, 4, 4), size=(2, 3)
    ),
    "one pixel": Case(channels=100, out=8, size=(1, 1), kernel=(4, 4), strides=(1, 1), cut=(0, 0, 0, 0)),
    "narrower than the stride": Case(size=(2, 1), kernel=(3, 2), strides=(3, 5), cut=(0, 0, 0, 0)),
    "images, activation": Case(images=3, channels=9, out=70, activation=Activation("relu"), bias=False),
}


@pytest.mark.parametrize("isa", list(TARGETS))
@pytest.mark.parametrize("name", list(CASES))
def test_the_same_as_adding_windows(name: str, isa: str) -> None:
    check(CASES[name], TARGETS[isa], threads=1 + len(name) % 2)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    by_channel = draw(st.booleans())
    channels = draw(st.integers(1, 40))
    kernel, strides, dilations = ((draw(st.integers(1, most)), draw(st.integers(1, most))) for most in (5, 4, 4))
    size = (draw(st.integers(1, 6)), draw(st.integers(1, 20)))
    case = Case(
        channels, channels if by_channel else draw(st.integers(1, 40)), size, kernel, strides, dilations, (0, 0, 0, 0)
    )
    front = [draw(st.integers(0, min(w - 1, 6))) for w in case.whole]
    back = [draw(st.integers(-3, w - 1 - a)) for w, a in zip(case.whole, front, strict=True)]
    kind = draw(st.sampled_from(["", "relu"]))
    return Case(
        case.channels,
        case.out,
        size,
        kernel,
        strides,
        dilations,
        (front[0], front[1], back[0], back[1]),
        by_channel,
        images=draw(st.integers(1, 2)),
        bias=draw(st.booleans()),
        activation=Activation(kind),
    )


@given(cases(), st.sampled_from(list(TARGETS)), st.integers(1, 2), st.integers(0, 9))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_random_ones(case: Case, isa: str, threads: int, seed: int) -> None:
    check(case, TARGETS[isa], threads, seed)


@pytest.mark.slow
@given(cases(), st.sampled_from(list(TARGETS)), st.integers(1, 2), st.integers(0, 9))
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_thousand_random_ones(case: Case, isa: str, threads: int, seed: int) -> None:
    check(case, TARGETS[isa], threads, seed)


NODES: dict[str, tuple[tuple[int, ...], tuple[int, ...], bool, dict[str, Any]]] = {
    "nothing said": ((1, 3, 4, 5), (3, 6, 3, 3), True, {}),
    "pads and strides": ((2, 8, 5, 7), (8, 17, 4, 4), True, {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "unequal": ((1, 16, 5, 4), (16, 4, 3, 5), False, {"strides": [3, 2], "pads": [1, 0, 0, 2], "dilations": [1, 2]}),
    "one more": ((1, 5, 6, 6), (5, 7, 3, 3), True, {"strides": [2, 2], "pads": [1] * 4, "output_padding": [1, 1]}),
    "output shape": ((1, 5, 6, 6), (5, 7, 3, 3), True, {"strides": [3, 2], "output_shape": [17, 12]}),
    "output shape, upper": (
        (1, 5, 6, 6),
        (5, 7, 4, 3),
        True,
        {"strides": [2, 2], "output_shape": [11, 12], "auto_pad": "SAME_UPPER"},
    ),
    "same, upper": ((1, 2, 5, 5), (2, 3, 4, 3), True, {"strides": [3, 2], "auto_pad": "SAME_UPPER"}),
    "same, lower": ((1, 2, 5, 5), (2, 3, 4, 3), True, {"strides": [3, 2], "auto_pad": "SAME_LOWER"}),
    "valid": ((1, 2, 5, 5), (2, 3, 4, 3), True, {"strides": [3, 2], "auto_pad": "VALID"}),
    "by channel": ((1, 18, 6, 5), (18, 1, 4, 4), True, {"strides": [2, 2], "pads": [1] * 4, "group": 18}),
    "a signal": ((2, 6, 11), (6, 9, 4), True, {"strides": [2], "pads": [1, 2], "output_padding": [1]}),
    "a signal by channel": ((1, 6, 11), (6, 1, 5), False, {"strides": [3], "group": 6, "dilations": [2]}),
}


@pytest.mark.parametrize("name", list(NODES))
def test_nodes_give_what_onnxruntime_gives(name: str) -> None:
    shape, weight, bias, attributes = NODES[name]
    random = np.random.default_rng(0)
    x, w = (random.standard_normal(size).astype(np.float32) for size in (shape, weight))
    out = attributes.get("group", 1) * weight[1]
    given = [w, random.standard_normal(out).astype(np.float32)] if bias else [w]
    agrees(single("ConvTranspose", x, given, **attributes), x)


def test_what_there_is_no_loop_for_is_said() -> None:
    x, w = np.zeros((1, 4, 3, 3), np.float32), np.zeros((4, 2, 2, 2), np.float32)
    assert "2 groups" in refusal(single("ConvTranspose", x, [w], group=2))
    deep = np.zeros((1, 4, 3, 3, 3), np.float32)
    assert "3 dimensions" in refusal(single("ConvTranspose", deep, [np.zeros((4, 2, 2, 2, 2), np.float32)]))
