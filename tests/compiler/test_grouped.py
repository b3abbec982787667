"""Grouped convolutions on every schedule and vector width, against NumPy in double."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rooftune.compiler.choose import Schedule, candidates
from rooftune.compiler.maps import Map
from rooftune.compiler.operations import Activation, Convolution
from rooftune.compiler.target import Target

from .running import TARGETS, Floats, lowered, program, run
from .single_nodes import agrees, single

OPERATION = Convolution(
    nodes=("conv",),
    x="x",
    y="y",
    weight="w",
    bias="b",
    kernel=(3, 3),
    strides=(1, 1),
    pads=(1, 1, 1, 1),
    dilations=(1, 1),
    groups=1,
)


@dataclass(frozen=True)
class Case:
    """`groups` groups of `ins` input and `outs` output channels."""

    groups: int
    ins: int
    outs: int
    size: tuple[int, int] = (5, 9)
    images: int = 1
    op: Convolution = OPERATION

    @property
    def operation(self) -> Convolution:
        return replace(self.op, groups=self.groups)

    @property
    def x(self) -> tuple[int, int, int, int]:
        return (self.images, self.groups * self.ins, *self.size)

    @property
    def y(self) -> tuple[int, int, int, int]:
        op = self.op
        ends = zip(self.size, op.pads[:2], op.pads[2:], op.kernel, op.dilations, op.strides, strict=True)
        height, width = ((s + a + b - (k - 1) * d - 1) // t + 1 for s, a, b, k, d, t in ends)
        return (self.images, self.groups * self.outs, height, width)

    def arrays(self, seed: int) -> dict[str, Floats]:
        random = np.random.default_rng(seed)
        depth = self.ins * math.prod(self.op.kernel)
        made = {
            "x": random.standard_normal(self.x),
            "w": random.standard_normal((self.groups * self.outs, self.ins, *self.op.kernel)) / math.sqrt(depth),
            "b": random.standard_normal(self.groups * self.outs),
            "r": random.standard_normal(self.y),
        }
        return {name: array.astype(np.float32) for name, array in made.items()}

    def schedules(self, target: Target) -> list[Schedule]:
        maps = Map(*self.x, target.lanes), Map(*self.y, target.lanes)
        return list(candidates(self.operation, *maps, target))

    def reference(self, arrays: dict[str, Floats]) -> Any:
        op, (_, _, height, width) = self.op, self.y
        top, left, bottom, right = op.pads
        x = np.pad(arrays["x"].astype(np.float64), ((0, 0), (0, 0), (top, bottom), (left, right)))
        x = x.reshape(self.images, self.groups, self.ins, *x.shape[2:])
        w = arrays["w"].astype(np.float64).reshape(self.groups, self.outs, self.ins, *op.kernel)
        y = np.zeros((self.images, self.groups, self.outs, height, width))
        for r, q in np.ndindex(*op.kernel):
            part = x[..., r * op.dilations[0] :: op.strides[0], q * op.dilations[1] :: op.strides[1]]
            y += np.einsum("nghwc,goc->ngohw", np.moveaxis(part[..., :height, :width], 2, -1), w[..., r, q])
        y = y.reshape(self.y)
        if op.bias:
            y += arrays["b"][:, None, None]
        if op.residual:
            y += arrays["r"]
        return np.maximum(y, 0) if op.activation.kind == "relu" else y


def check(case: Case, target: Target, schedule: Schedule | None, threads: int = 1, seed: int = 0) -> None:
    arrays = case.arrays(seed)
    inputs = ["x", "r"] if case.op.residual else ["x"]
    shapes = {name: arrays[name].shape for name in inputs} | {"y": case.y}
    work = lowered([case.operation], shapes, {n: arrays[n] for n in ("w", "b")}, inputs, "y")
    found = run(program(work, target, schedule, threads), {name: arrays[name] for name in inputs})
    np.testing.assert_allclose(found, case.reference(arrays), rtol=0, atol=1e-5, err_msg=f"{case} {schedule}")


CASES = {
    "ResNeXt, 4 channels": Case(12, 4, 4),
    "ResNeXt, 8 channels": Case(5, 8, 8, images=2),
    "ResNeXt, 16 channels": Case(3, 16, 16),
    "ResNeXt, 32 channels": Case(2, 32, 32),
    "64 channels": Case(2, 64, 64, size=(3, 7)),
    "RegNet, 24 channels": Case(4, 24, 24),
    "ShuffleNet, 1x1": Case(3, 20, 40, op=replace(OPERATION, kernel=(1, 1), pads=(0, 0, 0, 0))),
    "58 channels": Case(2, 29, 29),
    "3 channels": Case(32, 3, 3),
    "12 channels": Case(5, 12, 12),
    "5 channels": Case(7, 5, 5),
    "13 to 3": Case(5, 13, 3),
    "two kernels for every channel": Case(40, 1, 2),
    "three kernels for every channel": Case(11, 1, 3),
    "five kernels for every channel": Case(9, 1, 5),
    "one kernel for two channels": Case(20, 2, 1),
    "strided": Case(8, 4, 4, size=(9, 20), op=replace(OPERATION, strides=(2, 2))),
    "strided, dilated": Case(
        4, 8, 8, size=(9, 23), op=replace(OPERATION, strides=(2, 3), dilations=(2, 2), pads=(2, 1, 0, 3))
    ),
    "sum and activation": Case(6, 4, 4, op=replace(OPERATION, residual="r", activation=Activation("relu"))),
    "sum and activation, 24 channels": Case(
        2, 24, 24, op=replace(OPERATION, residual="r", activation=Activation("relu"), bias="")
    ),
}


def _turns(which: int) -> list[tuple[str, str]]:
    """Cases and vector widths; each case leaves one of three widths to the sweep."""
    pairs = [(c, w) for c in range(len(CASES)) for w in range(len(TARGETS)) if ((c + w) % 3 == 0) == (which == 1)]
    return [(list(CASES)[c], list(TARGETS)[w]) for c, w in pairs]


@pytest.mark.parametrize(("name", "isa"), [*_turns(0), *(pytest.param(*t, marks=pytest.mark.slow) for t in _turns(1))])
def test_every_schedule_gives_the_same(name: str, isa: str) -> None:
    schedules = CASES[name].schedules(TARGETS[isa])
    assert schedules
    for number, schedule in enumerate(schedules):
        check(CASES[name], TARGETS[isa], schedule, threads=1 + number % 2)


@pytest.mark.parametrize("name", list(CASES))
def test_the_size_of_its_weights_is_known_before(name: str) -> None:
    case, target = CASES[name], next(iter(TARGETS.values()))
    x, y, arrays = Map(*case.x, target.lanes), Map(*case.y, target.lanes), case.arrays(0)
    for schedule in case.schedules(target):
        made = schedule.weights(case.operation, arrays["w"], arrays["b"], x, y)
        assert sum(part.size for part in made.values()) == schedule.weight_floats(case.operation, x, y)


@pytest.mark.parametrize("isa", list(TARGETS))
@pytest.mark.parametrize("channels", [4, 12, 24])
def test_what_is_no_number_stays_in_its_group(channels: int, isa: str) -> None:
    case, target = Case(4, channels, channels), TARGETS[isa]
    arrays = case.arrays(0)
    arrays["x"][0, channels + 1] = np.nan
    arrays["x"][0, 2 * channels] = np.inf
    work = lowered([case.operation], {"x": case.x, "y": case.y}, {n: arrays[n] for n in ("w", "b")}, ["x"], "y")
    for schedule in case.schedules(target):
        found = run(program(work, target, schedule), {"x": arrays["x"]})[0].reshape(4, -1)
        assert np.isfinite(found[[0, 3]]).all() and not np.isfinite(found[[1, 2]]).any(), schedule


@st.composite
def cases(draw: st.DrawFn) -> Case:
    kernel, strides, dilations = ((draw(st.integers(1, most)), draw(st.integers(1, most))) for most in (4, 2, 2))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = [draw(st.integers(0, r - 1)) for r in (*reach, *reach)]
    op = replace(
        OPERATION,
        kernel=kernel,
        strides=strides,
        dilations=dilations,
        pads=(pads[0], pads[1], pads[2], pads[3]),
        bias=draw(st.sampled_from(["", "b"])),
        residual=draw(st.sampled_from(["", "r"])),
        activation=Activation(draw(st.sampled_from(["", "relu"]))),
    )
    groups, ins, outs = draw(st.integers(2, 20)), draw(st.integers(1, 20)), draw(st.integers(1, 20))
    size = reach[0] + draw(st.integers(0, 4)), reach[1] + draw(st.integers(0, 20))
    return Case(groups, ins, outs, size, draw(st.integers(1, 2)), op)


def _any_schedule(case: Case, isa: str, pick: int, threads: int) -> None:
    schedules = case.schedules(TARGETS[isa])
    check(case, TARGETS[isa], schedules[pick % len(schedules)], threads, seed=pick)


@given(cases(), st.sampled_from(list(TARGETS)), st.integers(0, 9), st.integers(1, 2))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_random_ones(case: Case, isa: str, pick: int, threads: int) -> None:
    _any_schedule(case, isa, pick, threads)


@pytest.mark.slow
@given(cases(), st.sampled_from(list(TARGETS)), st.integers(0, 9), st.integers(1, 2))
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_thousand_random_ones(case: Case, isa: str, pick: int, threads: int) -> None:
    _any_schedule(case, isa, pick, threads)


@pytest.mark.parametrize(
    ("groups", "weight"), [(4, (8, 2, 3, 3)), (2, (6, 4, 1, 1)), (8, (24, 1, 3, 3)), (2, (4, 4, 3))]
)
def test_nodes_give_what_onnxruntime_gives(groups: int, weight: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((2, groups * weight[1], *(7, 9)[: len(weight) - 2])).astype(np.float32)
    w, bias = random.standard_normal(weight).astype(np.float32), random.standard_normal(weight[0]).astype(np.float32)
    agrees(single("Conv", x, [w, bias], group=groups, pads=[1] * (2 * len(weight) - 4)), x)
