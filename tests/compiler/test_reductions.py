"""Reductions: kernels against NumPy in double on every vector width, nodes against ONNX Runtime; values joined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from rooftune.compiler.kernels.pointwise import JOINS
from rooftune.compiler.kernels.reduction import KINDS
from rooftune.compiler.lower import lower
from rooftune.compiler.lowering import Lowered
from rooftune.compiler.operations import Pointwise, Reduction
from rooftune.compiler.target import Target, host_target
from rooftune.graph.text import model_of_text

from .running import TARGETS, Floats, lowered, program, run
from .single_nodes import agrees, numbers, refusal, run_each, single

pytestmark = pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")

Reduce = Callable[..., Any]

EXACT: dict[str, Reduce] = {
    "l1": lambda x, **over: np.abs(x).sum(**over),
    "l2": lambda x, **over: np.sqrt((x * x).sum(**over)),
    "logsumexp": scipy.special.logsumexp,
    "max": np.max,
    "mean": np.mean,
    "min": np.min,
    "prod": np.prod,
    "sum": np.sum,
    "sumsquare": lambda x, **over: (x * x).sum(**over),
}


@pytest.fixture(params=list(TARGETS))
def target(request: pytest.FixtureRequest) -> Target:
    return TARGETS[request.param]


def reduced(kinds: Sequence[str], over: str, x: Floats, target: Target, threads: int = 1) -> list[Floats]:
    images, channels, height, width = x.shape
    shape = (images, channels, 1, 1) if over == "pixels" else (images, 1, height, width)
    return run_each([Reduction((), "x", kind, kind, over) for kind in kinds], x, shape, target, threads=threads)


def exact(kind: str, over: str, x: Floats) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.asarray(EXACT[kind](x.astype(np.float64), axis=(2, 3) if over == "pixels" else (1,), keepdims=True))


def test_every_kind_is_compared() -> None:
    assert EXACT.keys() == KINDS


@pytest.mark.parametrize("over", ["pixels", "channels"])
def test_kinds(over: str, target: Target) -> None:
    random = numbers(2, 37, 5, 9) if over == "channels" else numbers(1, 21, 20, 24)  # with several chunks
    x = (np.sign(random) * np.exp(random / 10)).astype(np.float32)
    kinds = sorted(KINDS)
    for kind, found in zip(kinds, reduced(kinds, over, x, target, threads=3), strict=True):
        many = np.sqrt(x.size / found.size)
        tolerance = 1e-6 * many if kind == "sum" else 0
        rounding = 1e-6 * many if kind == "prod" else 2e-6
        np.testing.assert_allclose(found, exact(kind, over, x), rtol=rounding, atol=tolerance + 1e-6, err_msg=kind)


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_any_size(data: st.DataObject) -> None:
    sizes = [data.draw(st.integers(1, most)) for most in (3, 70, 12, 40)]
    over, x = data.draw(st.sampled_from(["pixels", "channels"])), numbers(*sizes) * 5
    kinds, target = ["max", "mean", "logsumexp"], TARGETS[data.draw(st.sampled_from(list(TARGETS)))]
    for kind, found in zip(kinds, reduced(kinds, over, x, target, data.draw(st.integers(1, 4))), strict=True):
        np.testing.assert_allclose(found, exact(kind, over, x), rtol=1e-5, atol=2e-6, err_msg=kind)


@pytest.mark.parametrize("over", ["pixels", "channels"])
def test_infinities_and_what_is_no_number(over: str, target: Target) -> None:
    x = numbers(1, 20, 20, 20)
    x[0, 3, 5, 7] = np.nan
    x[0, 4, 6] = -np.inf
    x[0, 5, 7, 7] = np.inf
    x[0, 6] = -np.inf
    x[0, :, 9, 9] = -np.inf
    x[0, 7] *= 1e4
    kinds = ["max", "min", "sum", "logsumexp"]
    for kind, found in zip(kinds, reduced(kinds, over, x, target, 2), strict=True):
        np.testing.assert_allclose(found, exact(kind, over, x), rtol=2e-5, atol=1e-4, err_msg=kind)


OPERATORS = [f"Reduce{kind}" for kind in "Sum Mean Max Min L1 L2 SumSquare LogSumExp Prod LogSum".split()]


@pytest.mark.parametrize("operator", OPERATORS)
def test_nodes(operator: str) -> None:
    cases: list[tuple[tuple[int, ...], list[int], int]] = [
        ((2, 5, 4, 6), [2, 3], 0),
        ((2, 5, 20), [-1], 1),
        ((3, 17), [-1], 0),
    ]
    for shape, axes, keeps in cases:
        x = np.abs(numbers(*shape)) + np.float32(0.2)
        agrees(single(operator, x, [np.int64(axes)], opset=18, keepdims=keeps), x)


@pytest.mark.parametrize("shape", [(2, 5, 4, 6), (1, 1, 2, 3, 4), (2, 3, 20)])
def test_nodes_over_any_dimensions(shape: tuple[int, ...]) -> None:
    x, rank = numbers(*shape), len(shape)
    for keeps, axes in enumerate(([0], [0, rank - 1], [rank - 2], [1], list(range(rank)))):
        agrees(single("ReduceSum", x, [np.int64(axes)], keepdims=keeps % 2), x)
    agrees(single("ReduceMax", x, opset=17, axes=[-1, 0]), x)
    agrees(single("ReduceMean", x), x)


def test_other_ways_to_say_it() -> None:
    x = numbers(2, 20, 5, 6)
    agrees(single("GlobalMaxPool", x), x)
    agrees(single("GlobalAveragePool", x), x)
    agrees(single("GlobalMaxPool", x[:, :, 0]), x[:, :, 0])
    agrees(single("ReduceMean", x, opset=17, axes=[2, 3], keepdims=0), x)
    assert "not known" in refusal(single("ReduceSum", x, noop_with_empty_axes=1))
    assert "single numbers" in refusal(single("ReduceL2", x[:1], [np.int64([0])]))


def test_nothing_moves_where_pixels_or_channels_are_reduced() -> None:
    for text in (
        "(float[2,20,5,6] x) => (float[2,20,1,1] y) { a = Constant<value_ints=[2,3]>() y = ReduceSum(x, a) }",
        "(float[2,7,20] x) => (float[2,7,1] y) { a = Constant<value_ints=[-1]>() y = ReduceMax(x, a) }",
        "(float[2,7,20] x) => (float[2,20] y) { a = Constant<value_ints=[1]>() y = ReduceMean<keepdims=0>(x, a) }",
    ):
        found = lower(model_of_text(text))
        assert isinstance(found, Lowered) and [type(op) for op in found.operations] == [Reduction], text


# two values joined

JOINED: dict[str, Callable[[Floats, Floats], Any]] = {
    "add": np.add,
    "div": np.divide,
    "max": np.maximum,
    "min": np.minimum,
    "mul": np.multiply,
    "rdiv": lambda a, b: b / a,
    "rsub": lambda a, b: b - a,
    "sub": np.subtract,
}


def test_every_join_is_compared() -> None:
    assert JOINED.keys() == JOINS


@pytest.mark.parametrize("kind", sorted(JOINS))
def test_joined_values(kind: str, target: Target) -> None:
    x, other = numbers(1, 20, 3, 4), numbers(1, 20, 3, 4, seed=1)
    x[0, 0, 0], other[0, 0, 1] = np.nan, np.nan
    x[0, 1, 0], other[0, 1, 0] = np.inf, [-np.inf, np.inf, np.nan, 0]
    work = lowered(
        [Pointwise((), "x", "y", kind, "o")], {"x": x.shape, "o": x.shape, "y": x.shape}, {}, ["x", "o"], "y"
    )
    with np.errstate(all="ignore"):
        expected = JOINED[kind](x, other)
    np.testing.assert_array_equal(run(program(work, target), {"x": x, "o": other}), expected)
