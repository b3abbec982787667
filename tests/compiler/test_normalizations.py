"""Normalisations and Softmax: kernels against NumPy in double on every vector width, nodes against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from rooftune.compiler.lower import lower
from rooftune.compiler.lowering import Lowered
from rooftune.compiler.machine_code import emit_assembly
from rooftune.compiler.operations import Activation, LocalResponse, Normalization, Pointwise, Softmax
from rooftune.compiler.program import build
from rooftune.compiler.target import Target, host_target, target_for
from rooftune.graph.text import model_of_text

from .running import TARGETS, Floats, lowered
from .single_nodes import agrees, numbers, refusal, run_one, single

Doubles = np.ndarray

pytestmark = pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")


@pytest.fixture(params=list(TARGETS))
def target(request: pytest.FixtureRequest) -> Target:
    return TARGETS[request.param]


def normalized(
    x: Floats, op: Normalization, scale: Floats | None = None, shift: Floats | None = None
) -> tuple[Doubles, float]:
    """The exact result, and by how much the rounding of a mean to fp32 may change it."""
    wide = x.astype(np.float64)
    grouped = wide.reshape(x.shape[0], op.groups, -1) if op.kind == "group" else wide
    axis = -1 if op.kind == "group" else 1
    centred = grouped if op.kind == "rms" else grouped - grouped.mean(axis=axis, keepdims=True)
    gain = 1 / np.sqrt((centred**2).mean(axis=axis, keepdims=True) + op.epsilon)
    found = (centred * gain).reshape(x.shape)
    rounding = float(np.spacing(np.abs(x).max()) * gain.max())
    if scale is not None:
        found, rounding = found * scale[:, None, None], rounding * float(np.abs(scale).max())
    return found if shift is None else found + shift[:, None, None], rounding


def check(op: Normalization, x: Floats, target: Target, threads: int = 1) -> None:
    channels = x.shape[1]
    constants = {"s": numbers(channels, seed=1), "b": numbers(channels, seed=2)}
    found = run_one(op, x, x.shape, target, constants, threads)
    exact, rounding = normalized(x, op, constants["s"] if op.scale else None, constants["b"] if op.shift else None)
    tolerance = 1e-6 * max(1.0, float(np.abs(exact).max())) + 2 * rounding
    np.testing.assert_allclose(found, exact, rtol=0, atol=tolerance)


@pytest.mark.parametrize("kind", ["layer", "rms"])
@pytest.mark.parametrize("shape", [(1, 192, 1, 21), (2, 37, 3, 5), (5, 20, 1, 1), (1, 3, 4, 4)])
def test_pixels(kind: str, shape: tuple[int, int, int, int], target: Target) -> None:
    scales = {"scale": "s", "shift": "b"} if shape[0] != 2 else {"scale": "s"} if kind == "layer" else {}
    check(Normalization((), "x", "y", kind, 1e-5, **scales), numbers(*shape) * 3 + 1, target, threads=3)


@pytest.mark.parametrize(
    ("shape", "groups"),
    [
        ((1, 64, 24, 20), 32),  # several groups in a block, several chunks
        ((2, 24, 9, 7), 3),  # groups over parts of blocks
        ((1, 37, 3, 5), 37),
        ((1, 40, 6, 6), 1),
        ((3, 12, 1, 1), 4),
        ((1, 10, 1, 331), 5),  # a prime number of pixels
    ],
)
def test_groups(shape: tuple[int, int, int, int], groups: int, target: Target) -> None:
    scales = {"scale": "s", "shift": "b"} if shape[1] != 24 else {}
    check(Normalization((), "x", "y", "group", 1e-5, groups=groups, **scales), numbers(*shape) * 2 + 5, target, 3)


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_any_size(data: st.DataObject) -> None:
    groups, each = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 23))
    shape = (data.draw(st.integers(1, 3)), groups * each, data.draw(st.integers(1, 9)), data.draw(st.integers(1, 40)))
    kind = data.draw(st.sampled_from(["layer", "rms", "group"]))
    op = Normalization((), "x", "y", kind, 1e-3, "s", "b", groups)
    isa = data.draw(st.sampled_from(list(TARGETS)))
    check(op, numbers(*shape) + 1, TARGETS[isa], data.draw(st.integers(1, 3)))


@pytest.mark.parametrize("kind", ["layer", "group"])
def test_numbers_far_from_zero_keep_their_differences(kind: str) -> None:
    x = (numbers(1, 32, 16, 16) + 4096).astype(np.float32)
    op = Normalization((), "x", "y", kind, 1e-5, groups=4)
    found = run_one(op, x, x.shape, TARGETS[next(iter(TARGETS))])
    np.testing.assert_allclose(found, normalized(x, op)[0], rtol=0, atol=1e-3)


def test_pixels_that_are_all_the_same_become_nothing(target: Target) -> None:
    x = np.full((1, 24, 3, 3), 0.1, np.float32)
    for kind, groups in (("layer", 1), ("group", 4)):
        found = run_one(Normalization((), "x", "y", kind, 1e-5, groups=groups), x, x.shape, target)
        np.testing.assert_allclose(found, 0, atol=1e-5)


# softmax


def shares(x: Floats, scale: float) -> Doubles:
    wide = x.astype(np.float64) * scale
    power = np.exp(wide - wide.max(axis=1, keepdims=True))
    return power / power.sum(axis=1, keepdims=True)


def large_masked_or_none() -> Floats:
    """Columns: huge, masked after the third, all masked, one infinite, one not a number, ordinary."""
    x = numbers(1, 20, 1, 6)
    x[0, :, 0, 0] *= 1e30
    x[0, 3:, 0, 1] = -np.inf
    x[0, :, 0, 2] = -np.inf
    x[0, 4, 0, 3] = np.inf
    x[0, 5, 0, 4] = np.nan
    return x


@pytest.mark.parametrize(
    ("shape", "scale"),
    [((3, 197, 1, 29), 1.0), ((2, 5, 3, 4), -0.5), ((4, 17, 1, 1), 1.0), ((1, 100, 1, 1), 0.25)],
)
def test_softmax(shape: tuple[int, int, int, int], scale: float, target: Target) -> None:
    x = numbers(*shape) * 10
    found = run_one(Softmax((), "x", "y", scale), x, shape, target, threads=2)
    np.testing.assert_allclose(found, shares(x, scale), rtol=2e-5, atol=1e-30)


def test_softmax_of_numbers_that_are_large_masked_or_none(target: Target) -> None:
    x = large_masked_or_none()
    found = run_one(Softmax((), "x", "y"), x, x.shape, target)[0, :, 0]
    with np.errstate(invalid="ignore"):
        expected = shares(x, 1.0)[0, :, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-30)
    assert (found[3:, 1] == 0).all() and np.isnan(found[:, 2:5]).all() and np.isfinite(found[:, 5]).all()


@pytest.mark.parametrize(
    ("shape", "scale"),
    [((3, 197, 1, 29), 1.0), ((2, 5, 3, 4), -0.5), ((4, 17, 1, 1), 1.0), ((1, 100, 1, 1), 0.25), ((3, 1, 2, 5), 1.0)],
)
def test_logarithms_of_softmax(shape: tuple[int, int, int, int], scale: float, target: Target) -> None:
    x = numbers(*shape) * 10
    found = run_one(Softmax((), "x", "y", scale, logarithm=True), x, shape, target, threads=2)
    exact = scipy.special.log_softmax(x.astype(np.float64) * scale, axis=1)
    np.testing.assert_allclose(found, exact, rtol=1e-6, atol=2e-6)


def test_logarithms_of_numbers_that_are_large_masked_or_none(target: Target) -> None:
    x = large_masked_or_none()
    found = run_one(Softmax((), "x", "y", logarithm=True), x, x.shape, target)[0, :, 0]
    assert np.isfinite(found[:, 0]).all() and found[:, 0].max() == 0
    with np.errstate(invalid="ignore"):
        expected = scipy.special.log_softmax(x.astype(np.float64), axis=1)[0, :, 0]
    assert (found[3:, 1] == -np.inf).all() and np.isnan(found[:, 2:5]).all()
    np.testing.assert_allclose(found[:, [0, 1, 5]], expected[:, [0, 1, 5]], rtol=1e-6, atol=2e-6)


ARM = {
    **{kind: Normalization((), "x", "y", kind, 1e-5, groups=3) for kind in ("layer", "rms", "group")},
    "softmax": Softmax((), "x", "y"),
    "logarithm": Softmax((), "x", "y", logarithm=True),
    "local response": LocalResponse((), "x", "y", 2, 2, 0.1, 0.6, 1.0),
    "sine": Pointwise((), "x", "y", activation=Activation("sin")),
}


@pytest.mark.parametrize("kind", list(ARM))
def test_arm_processors_get_their_own_code(kind: str) -> None:
    target = target_for("neon", threads=4)
    shape = (1, 21, 12, 50)
    made = build(lowered([ARM[kind]], {"x": shape, "y": shape}, {}, ["x"], "y"), target)
    assembly = emit_assembly(made.text(made.pack()[1]), "aarch64-unknown-linux-gnu", target.features)
    assert "fmla\tv" in assembly and not any(name in assembly for name in ("expf", "logf", "sinf", "sqrtf", "fmaf"))


# nodes


@pytest.mark.parametrize("shape", [(2, 7, 37), (1, 4, 5, 20), (3, 33), (2, 3, 4, 5, 6)])
def test_nodes_over_the_last_dimension(shape: tuple[int, ...]) -> None:
    x, last = numbers(*shape), shape[-1]
    scale, bias = numbers(last, seed=1), numbers(last, seed=2)
    agrees(single("LayerNormalization", x, [scale, bias], axis=-1), x)
    agrees(single("RMSNormalization", x, [scale], opset=23, epsilon=1e-3), x)
    agrees(single("Softmax", x), x)
    agrees(single("LogSoftmax", x), x)
    agrees(single("LpNormalization", x), x)


def test_nodes_over_other_dimensions() -> None:
    x = numbers(2, 3, 4, 5)
    agrees(single("LayerNormalization", x, [numbers(4, 5, seed=1), numbers(5, seed=2)], axis=2), x)
    agrees(single("LayerNormalization", x, [numbers(3, 4, 5, seed=1)], axis=1), x)
    for axis in range(4):
        agrees(single("Softmax", x, axis=axis), x)
        agrees(single("LogSoftmax", x, axis=axis), x)
    agrees(single("LpNormalization", x, axis=1), x)
    agrees(single("Softmax", x, opset=11, axis=3), x)
    agrees(single("LogSoftmax", x, opset=11, axis=3), x)


def test_norms_of_nothing_are_no_error() -> None:
    x = numbers(3, 20)
    x[1] = 0
    x[2] *= 1e-12
    agrees(single("LpNormalization", x), x)


@pytest.mark.parametrize("shape", [(2, 12, 5, 7), (1, 24, 9), (2, 6, 2, 3, 4)])
def test_nodes_over_groups(shape: tuple[int, ...]) -> None:
    x, channels = numbers(*shape), shape[1]
    scale, bias = numbers(channels, seed=1), numbers(channels, seed=2)
    for groups in (3, channels):
        agrees(single("GroupNormalization", x, [scale, bias], num_groups=groups, out=shape), x)
    agrees(single("GroupNormalization", x, [scale[:3], bias[:3]], opset=18, num_groups=3, out=shape), x)
    agrees(single("InstanceNormalization", x, [scale, bias]), x)


def kernels(text: str) -> list[str]:
    found = lower(model_of_text(text))
    assert isinstance(found, Lowered), str(found)
    return [type(op).__name__ for op in found.operations]


def test_groups_written_as_reshapes_move_nothing() -> None:
    text = """(float[2,12,4,4] x) => (float[2,12,4,4] y) <float[3] a, float[3] b>
        { s = Constant<value_ints=[2,3,-1]>() t = Constant<value_ints=[2,12,4,4]>()
          r = Reshape(x, s) n = InstanceNormalization(r, a, b) y = Reshape(n, t) }"""
    assert kernels(text) == ["Normalization"]


def test_a_factor_before_softmax_is_taken_in() -> None:
    text = """(float[2,5,40] x) => (float[2,5,40] y)
        { c = Constant<value_float=0.125>() [m] m = Mul(x, c) [y] y = Softmax(m) }"""
    found = lower(model_of_text(text))
    assert isinstance(found, Lowered) and found.operations == [Softmax(("m", "y"), "x", "y", 0.125)]
    logarithm = lower(model_of_text(text.replace("Softmax", "LogSoftmax")))
    assert isinstance(logarithm, Lowered) and logarithm.operations == [Softmax(("m", "y"), "x", "y", 0.125, True)]
    assert kernels(text) == ["Softmax"]
    also = text.replace("y)", "y, float[2,5,40] m)", 1)
    assert kernels(also) == ["Pointwise", "Softmax"]


def test_what_is_refused_says_why() -> None:
    x = numbers(2, 3, 4)
    assert "norm" in refusal(single("LpNormalization", x, p=1))
    for kind in ("Softmax", "LogSoftmax"):
        assert "several dimensions" in refusal(single(kind, x, opset=11, axis=1))
    node = single("LayerNormalization", x, [numbers(4)])
    node.graph.node[0].output.append("m")
    node.graph.output.append(helper.make_tensor_value_info("m", 1, [2, 3, 1]))
    assert "means" in refusal(node)
