"""Every kernel for convolutions, on every schedule and every vector width of this processor, against NumPy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rooftune.compiler.choose import Schedule, candidates
from rooftune.compiler.emit.toom_cook import matrices
from rooftune.compiler.kernels.winograd import Winograd
from rooftune.compiler.maps import Map
from rooftune.compiler.operations import Activation, Convolution
from rooftune.compiler.target import Target

from .running import TARGETS, lowered, program, run

Wide = NDArray[np.float64]
PLAINLY = Activation()


@dataclass(frozen=True)
class Shape:
    """A convolution's sizes; `groups` is 1 or the number of channels."""

    images: int = 1
    channels: int = 16
    out: int = 16
    height: int = 8
    width: int = 8
    kernel: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (1, 1, 1, 1)
    dilations: tuple[int, int] = (1, 1)
    groups: int = 1
    residual: bool = False
    activation: Activation = PLAINLY
    bias: bool = True

    @property
    def result(self) -> tuple[int, int, int, int]:
        sizes = [
            (size + a + b - (k - 1) * d - 1) // s + 1
            for size, a, b, k, d, s in zip(
                (self.height, self.width), self.pads[:2], self.pads[2:], self.kernel, self.dilations, self.strides
            )
        ]
        return (self.images, self.out, *sizes)  # type: ignore[return-value]

    def operation(self) -> Convolution:
        return Convolution(
            nodes=("conv",),
            x="x",
            y="y",
            weight="w",
            bias="b" if self.bias else "",
            kernel=self.kernel,
            strides=self.strides,
            pads=self.pads,
            dilations=self.dilations,
            groups=self.groups,
            residual="r" if self.residual else "",
            activation=self.activation,
        )

    def arrays(self, seed: int) -> dict[str, Any]:
        random = np.random.default_rng(seed)
        depth = self.channels // self.groups
        scale = math.sqrt(depth * math.prod(self.kernel))
        made = {
            "x": random.standard_normal((self.images, self.channels, self.height, self.width)),
            "w": random.standard_normal((self.out, depth, *self.kernel)) / scale,
            "b": random.standard_normal(self.out),
            "r": random.standard_normal(self.result),
        }
        return {name: array.astype(np.float32) for name, array in made.items()}


def reference(shape: Shape, arrays: dict[str, Any]) -> Wide:
    """The convolution in double precision, window by window."""
    top, left, bottom, right = shape.pads
    x = np.pad(arrays["x"].astype(np.float64), ((0, 0), (0, 0), (top, bottom), (left, right)))
    w = arrays["w"].astype(np.float64)
    images, out, height, width = shape.result
    y = np.zeros((images, out, height, width))
    for r in range(shape.kernel[0]):
        for q in range(shape.kernel[1]):
            down, across = r * shape.dilations[0], q * shape.dilations[1]
            part = x[:, :, down :: shape.strides[0], across :: shape.strides[1]][:, :, :height, :width]
            if shape.groups == 1:
                y += np.einsum("nchw,oc->nohw", part, w[:, :, r, q], optimize=True)
            else:
                y += part * w[:, 0, r, q][None, :, None, None]
    if shape.bias:
        y += arrays["b"][None, :, None, None]
    if shape.residual:
        y += arrays["r"]
    return activated(y, shape.activation)


def activated(y: Wide, activation: Activation) -> Wide:
    kind, low, high = activation.kind, activation.low, activation.high
    if kind == "relu":
        return np.maximum(y, 0)
    if kind == "clip":
        return np.clip(y, low, high)
    if kind == "leaky":
        return np.where(y < 0, low * y, y)
    if kind == "hardswish":
        return y * np.clip(y / 6 + 0.5, 0, 1)
    if kind == "hardsigmoid":
        return np.clip(low * y + high, 0, 1)
    return y


def check(shape: Shape, target: Target, schedule: Schedule | None, threads: int = 1, seed: int = 0) -> float:
    """The largest error over the largest result; weights and inputs are such that results are of about 1, and a few
    that happen to cancel are no measure."""
    arrays = shape.arrays(seed)
    inputs = ["x", "r"] if shape.residual else ["x"]
    shapes = {name: arrays[name].shape for name in inputs} | {"y": shape.result}
    work = lowered([shape.operation()], shapes, {n: arrays[n] for n in ("w", "b")}, inputs, "y")
    found = run(program(work, target, schedule, threads), {name: arrays[name] for name in inputs})
    expected = reference(shape, arrays)
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / max(0.3, np.abs(expected).max()))


def all_schedules(shape: Shape, target: Target) -> list[Schedule]:
    x = Map(shape.images, shape.channels, shape.height, shape.width, target.lanes)
    y = Map(*shape.result, target.lanes)
    return list(candidates(shape.operation(), x, y, target))


def tolerance(schedule: Schedule | None) -> float:
    return {2: 3e-6, 4: 8e-6, 6: 4e-5}[schedule.tile] if isinstance(schedule, Winograd) else 5e-6


PLAIN = {
    "3x3": Shape(channels=32, out=48, height=9, width=11),
    "first layer": Shape(channels=3, out=16, height=17, width=19, kernel=(7, 7), strides=(2, 2), pads=(3, 3, 3, 3)),
    "1x1": Shape(channels=40, out=24, height=7, width=7, kernel=(1, 1), pads=(0, 0, 0, 0)),
    "odd channels": Shape(channels=29, out=58, height=5, width=6, images=2),
    "strided, unequal pads": Shape(height=10, width=13, strides=(2, 3), pads=(0, 1, 2, 1), kernel=(3, 5)),
    "dilated": Shape(height=12, width=12, dilations=(2, 3), pads=(2, 3, 2, 3)),
    "dilated further than it is high": Shape(images=2, height=3, width=17, dilations=(4, 2), pads=(4, 1, 5, 2)),
    "depthwise": Shape(channels=40, out=40, groups=40, height=9, width=9),
    "depthwise 5x5, strided": Shape(
        channels=16, out=16, groups=16, height=11, width=8, kernel=(5, 5), strides=(2, 2), pads=(2, 2, 2, 2)
    ),
    "residual and activation": Shape(channels=16, out=32, residual=True, activation=Activation("relu")),
    "one pixel": Shape(channels=64, out=10, height=1, width=1, kernel=(1, 1), pads=(0, 0, 0, 0), bias=False),
    "leaky": Shape(activation=Activation("leaky", 0.1)),
    "clip": Shape(activation=Activation("clip", -0.5, 0.7)),
    "hard swish": Shape(activation=Activation("hardswish")),
    "hard sigmoid": Shape(activation=Activation("hardsigmoid", 0.2, 0.5)),
}


@pytest.mark.parametrize("isa", list(TARGETS))
@pytest.mark.parametrize("name", list(PLAIN))
def test_every_schedule_gives_the_same(name: str, isa: str) -> None:
    shape, target = PLAIN[name], TARGETS[isa]
    schedules = all_schedules(shape, target)
    assert schedules
    for schedule in schedules:
        assert check(shape, target, schedule) <= tolerance(schedule), schedule


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_share_the_work(threads: int) -> None:
    target = next(iter(TARGETS.values()))
    for shape in (PLAIN["3x3"], PLAIN["depthwise"], PLAIN["residual and activation"], PLAIN["one pixel"]):
        for schedule in all_schedules(shape, target):
            assert check(shape, target, schedule, threads) <= tolerance(schedule), (shape, schedule)


@pytest.mark.parametrize("tile", [2, 4, 6])
def test_the_transforms_are_a_convolution(tile: int) -> None:
    out, weight, data = matrices(tile)
    random = np.random.default_rng(tile)
    d, g = random.standard_normal(tile + 2), random.standard_normal(3)
    expected = [float(d[i : i + 3] @ g) for i in range(tile)]
    np.testing.assert_allclose(out @ ((weight @ g) * (data @ d)), expected, rtol=1e-12, atol=1e-12)


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    depthwise = draw(st.booleans()) and draw(st.booleans())
    channels = draw(st.integers(1, 40))
    kernel = (draw(st.integers(1, 5)), draw(st.integers(1, 5))) if draw(st.booleans()) else (3, 3)
    dilations = (draw(st.integers(1, 3)), draw(st.integers(1, 3))) if draw(st.booleans()) else (1, 1)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    pads = tuple(draw(st.integers(0, r - 1 if r > 1 else 1)) for r in (*reach, *reach))
    least = [max(1, r - a - b) for r, a, b in zip(reach, pads[:2], pads[2:])]
    kind = draw(st.sampled_from(["", "relu", "clip", "leaky", "hardswish"]))
    return Shape(
        images=draw(st.integers(1, 2)),
        channels=channels,
        out=channels if depthwise else draw(st.integers(1, 40)),
        height=draw(st.integers(least[0], least[0] + 12)),
        width=draw(st.integers(least[1], least[1] + 18)),
        kernel=kernel,
        strides=(draw(st.integers(1, 3)), draw(st.integers(1, 3))) if draw(st.booleans()) else (1, 1),
        pads=pads,  # type: ignore[arg-type]
        dilations=dilations,
        groups=channels if depthwise else 1,
        residual=draw(st.booleans()),
        activation=Activation(kind, 0.1, 0.8),
        bias=draw(st.booleans()),
    )


def _any_case(shape: Shape, isa: str, pick: int, threads: int) -> None:
    schedules = all_schedules(shape, TARGETS[isa])
    schedule = schedules[pick % len(schedules)]
    assert check(shape, TARGETS[isa], schedule, threads, seed=pick) <= tolerance(schedule), (shape, schedule)


_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]


@given(shapes(), st.sampled_from(list(TARGETS)), st.integers(0, 50), st.integers(1, 2))
@settings(max_examples=60, deadline=None, suppress_health_check=_QUIET)
def test_random_convolutions(shape: Shape, isa: str, pick: int, threads: int) -> None:
    _any_case(shape, isa, pick, threads)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@given(shapes(), st.sampled_from(list(TARGETS)), st.integers(0, 50), st.integers(1, 2))
@settings(max_examples=5000, deadline=None, suppress_health_check=_QUIET)
def test_five_thousand_random_convolutions(shape: Shape, isa: str, pick: int, threads: int) -> None:
    _any_case(shape, isa, pick, threads)
