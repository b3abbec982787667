"""Functions of vectors against NumPy and SciPy in double, over all magnitudes, on every vector width."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.special
from numpy.typing import NDArray

from rooftune.compiler.emit import mathematics as m
from rooftune.compiler.emit.activation import ACTIVATIONS, activate
from rooftune.compiler.emit.function import Function, Value
from rooftune.compiler.emit.work import begin
from rooftune.compiler.operations import Activation

from .running import TARGETS, apply_kernel

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Emit = Callable[[Function, Value], Value]

TINY = float(np.finfo(np.float32).tiny)
INF, NAN = float("inf"), float("nan")


def apply(emit: Emit, x: Floats, isa: str) -> Floats:
    """A function of vectors on every number of an array."""
    target = TARGETS[isa]
    code, at = begin("test", ["x", "y"], target)
    count = -(-x.size // target.lanes) * target.lanes
    with code.loop(0, count, target.lanes) as place:
        code.store(emit(code, code.load(at["x"], place)), at["y"], place)
    padded, found = np.zeros(count, np.float32), np.zeros(count, np.float32)
    padded[: x.size] = x
    assert "call" not in apply_kernel(code, target, padded, found).assembly
    return found[: x.size]


def every_magnitude(step: int = 9973) -> Floats:
    """Numbers all over fp32: subnormal ones, both zeros and infinities among them, but all of them numbers."""
    x = np.arange(0, 1 << 32, step, np.uint64).astype(np.uint32).view(np.float32)
    extra = np.array([0.0, -0.0, INF, -INF, 1.0, -1.0, TINY, -TINY, 1e-45, 3.4e38, -3.4e38], np.float32)
    return np.concatenate([x[~np.isnan(x)], extra])


def ulps(found: Floats, exact: Doubles) -> Doubles:
    """Distance in units in the last place of the exact result; infinite where only one of both is."""
    with np.errstate(all="ignore"):
        rounded = exact.astype(np.float32)
        unit = np.where(np.isfinite(rounded), np.spacing(np.abs(rounded)), np.float32(2.0**104)).astype(np.float64)
        limit = 2.0**128
        distance = np.abs(np.clip(found.astype(np.float64), -limit, limit) - np.clip(exact, -limit, limit))
    return distance / unit


FUNCTIONS: dict[str, tuple[Emit, Callable[[Doubles], Doubles], float, tuple[float, float]]] = {
    "exponential": (m.exponential, np.exp, m.EXPONENTIAL_ERROR, (-INF, INF)),
    "exp2": (m.exp2, np.exp2, m.EXP2_ERROR, (-126, 126.4)),
    "expm1": (m.expm1, np.expm1, m.EXPM1_ERROR, (-INF, 0)),
    "logarithm": (m.logarithm, np.log, m.LOGARITHM_ERROR, (0, INF)),
    "log1p": (m.log1p, np.log1p, m.LOG1P_ERROR, (0, 1)),
    "tanh": (m.tanh, np.tanh, m.TANH_ERROR, (-INF, INF)),
}


def arguments(low: float, high: float) -> Floats:
    """Numbers of all magnitudes in a range, and closer ones where the functions bend."""
    close = np.linspace(max(low, -130), min(high, 130), 200_003, dtype=np.float32)
    near = np.linspace(max(low, -1.5), min(high, 1.5), 100_003, dtype=np.float32)
    x = np.concatenate([every_magnitude(), close, near])
    return x[(x >= np.float32(low)) & (x <= np.float32(high))]


@pytest.mark.parametrize("name", list(FUNCTIONS))
@pytest.mark.parametrize("isa", list(TARGETS))
def test_functions_are_as_exact_as_they_say(name: str, isa: str) -> None:
    emit, exact, error, (low, high) = FUNCTIONS[name]
    x = arguments(low, high)
    with np.errstate(all="ignore"):
        expected = exact(x.astype(np.float64))
    found = ulps(apply(emit, x, isa), expected)
    worst = int(np.argmax(found))
    assert found[worst] <= error, (float(x[worst]), float(found[worst]))


@pytest.mark.parametrize("isa", list(TARGETS))
@pytest.mark.parametrize("factor", [1.0, 0.5**0.5])
def test_the_error_function_is_as_exact_as_it_says(isa: str, factor: float) -> None:
    x = arguments(-INF, INF)
    exact = scipy.special.erf(x.astype(np.float64) * factor)
    found = apply(lambda code, v: m.erf(code, v, factor), x, isa)
    assert np.abs(found - exact).max() <= m.ERF_ERROR
    plain = np.abs(exact) > TINY
    assert (np.abs(found - exact)[plain] / np.abs(exact[plain])).max() <= m.ERF_ERROR
    assert (found[np.abs(x) > 5.5] == np.sign(x[np.abs(x) > 5.5])).all()


@pytest.mark.parametrize("isa", list(TARGETS))
def test_the_gate_of_gelu_is_as_exact_as_it_says(isa: str) -> None:
    x = arguments(-INF, INF)
    with np.errstate(over="ignore"):
        wide = x.astype(np.float64)
        exact = np.tanh(np.sqrt(2 / np.pi) * (wide + 0.044715 * wide**3))
    found = apply(m.gelu_gate, x, isa)
    assert np.abs(found - exact).max() <= m.GELU_GATE_ERROR
    assert (found[np.abs(x) > 5.1] == np.sign(x[np.abs(x) > 5.1])).all()


@pytest.mark.parametrize("isa", list(TARGETS))
def test_waves_are_as_exact_as_they_say(isa: str) -> None:
    x = arguments(-1e5, 1e5)
    near = (np.arange(-63_000, 63_000) * (np.pi / 2)).astype(np.float32)  # beside zeros and the largest numbers
    x = np.concatenate([x, near, np.linspace(-1e5, 1e5, 200_003, dtype=np.float32)])
    for emit, exact in ((m.sine, np.sin), (m.cosine, np.cos)):
        found = np.abs(apply(emit, x, isa) - exact(x.astype(np.float64)))
        worst = int(np.argmax(found))
        assert found[worst] <= m.SINE_ERROR, (emit.__name__, float(x[worst]), float(found[worst]))


@pytest.mark.parametrize("isa", list(TARGETS))
def test_waves_stay_between_their_ends(isa: str) -> None:
    x = every_magnitude()
    for emit in (m.sine, m.cosine):
        found = apply(emit, x, isa)
        assert np.isnan(found[np.isinf(x)]).all()
        assert (np.abs(found[np.isfinite(x)]) <= 1).all()
    small = np.float32([0, 1e-45, -1e-45, TINY, -1e-20, 1e-4])
    np.testing.assert_allclose(apply(m.sine, small, isa), small, rtol=1e-6, atol=TINY)
    assert (apply(m.cosine, small[:5], isa) == 1).all()


@pytest.mark.parametrize("isa", list(TARGETS))
def test_roots_of_nothing_and_ends_of_the_range(isa: str) -> None:
    x = np.array([-INF, INF, 0.0, -0.0, -1.0, -1e-45, -3e38], np.float32)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(apply(m.logarithm, x, isa), np.log(x))
    np.testing.assert_array_equal(apply(m.exponential, x[:4], isa), [0, INF, 1, 1])
    assert (apply(m.exponential, np.float32([89, 1e30, 3.4e38]), isa) == INF).all()
    assert (apply(m.exponential, np.float32([-104, -1e30, -3.4e38]), isa) == 0).all()
    assert (apply(m.exp2, np.float32([-126.5, -1000, -1e30, -INF]), isa) == 0).all()


NOT_NUMBERS = np.array([0x7FC00000, 0x7FC00001, 0xFFC12345, 0x7F800001, 0xFFFFFFFF], np.uint32).view(np.float32)


@pytest.mark.parametrize("isa", list(TARGETS))
def test_what_is_not_a_number_stays_so(isa: str) -> None:
    emits = (m.exponential, m.exp2, m.expm1, m.logarithm, m.log1p, m.tanh, m.erf, m.gelu_gate, m.sine, m.cosine)
    for emit in emits:
        assert np.isnan(apply(emit, NOT_NUMBERS, isa)).all(), emit.__name__
    for kind in ACTIVATIONS - {"shrink", "thresholdedrelu"}:
        how = Activation(kind, 2.0, 2.5)
        assert np.isnan(apply(lambda code, v, how=how: activate(code, v, how), NOT_NUMBERS, isa)).all(), kind


def _gelu_tanh(x: Doubles) -> Doubles:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


ALPHA, GAMMA = 1.673, 1.051

REFERENCES: dict[str, tuple[Activation, Callable[[Doubles], Doubles]]] = {
    "abs": (Activation("abs"), np.abs),
    "ceil": (Activation("ceil"), np.ceil),
    "celu": (Activation("celu", 0.7), lambda x: np.where(x < 0, 0.7 * np.expm1(x / 0.7), x)),
    "clip": (Activation("clip", -0.5, 2.0), lambda x: np.clip(x, -0.5, 2.0)),
    "cos": (Activation("cos"), np.cos),
    "elu": (Activation("elu", 0.7), lambda x: np.where(x < 0, 0.7 * np.expm1(x), x)),
    "erf": (Activation("erf"), scipy.special.erf),
    "exp": (Activation("exp"), np.exp),
    "floor": (Activation("floor"), np.floor),
    "gelu": (Activation("gelu"), lambda x: x * scipy.special.ndtr(x)),
    "gelu_tanh": (Activation("gelu_tanh"), _gelu_tanh),
    "hardsigmoid": (Activation("hardsigmoid", 0.2, 0.5), lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
    "hardswish": (Activation("hardswish"), lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "leaky": (Activation("leaky", 0.1), lambda x: np.where(x < 0, 0.1 * x, x)),
    "log": (Activation("log"), np.log),
    "mish": (Activation("mish"), lambda x: x * np.tanh(np.logaddexp(0, x))),
    "neg": (Activation("neg"), np.negative),
    "power": (Activation("power", 5), lambda x: x**5),
    "reciprocal": (Activation("reciprocal"), np.reciprocal),
    "relu": (Activation("relu"), lambda x: np.maximum(x, 0)),
    "round": (Activation("round"), np.rint),
    "selu": (Activation("selu", ALPHA, GAMMA), lambda x: GAMMA * np.where(x < 0, ALPHA * np.expm1(x), x)),
    "shrink": (Activation("shrink", 0.5, 0.25), lambda x: np.where(np.abs(x) > 0.5, x - 0.25 * np.sign(x), 0)),
    "sigmoid": (Activation("sigmoid"), scipy.special.expit),
    "sign": (Activation("sign"), np.sign),
    "silu": (Activation("silu", 1.7), lambda x: x * scipy.special.expit(1.7 * x)),
    "sin": (Activation("sin"), np.sin),
    "softplus": (Activation("softplus"), lambda x: np.logaddexp(0, x)),
    "softsign": (Activation("softsign"), lambda x: x / (1 + np.abs(x))),
    "sqrt": (Activation("sqrt"), np.sqrt),
    "tanh": (Activation("tanh"), np.tanh),
    "thresholdedrelu": (Activation("thresholdedrelu", 0.3), lambda x: np.where(x > 0.3, x, 0)),
    "times": (Activation("times", 0.3), lambda x: x * np.float64(np.float32(0.3))),
}


def test_every_activation_is_compared() -> None:
    assert REFERENCES.keys() == ACTIVATIONS - {""}


@pytest.mark.parametrize("kind", list(REFERENCES))
@pytest.mark.parametrize("isa", list(TARGETS))
def test_activations(kind: str, isa: str) -> None:
    how, exact = REFERENCES[kind]
    x = np.concatenate([np.linspace(-110, 110, 60_001, dtype=np.float32), every_magnitude(99_991)])
    if kind in ("log", "sqrt"):
        x = x[x >= 0]
    x = x[np.abs(x) <= 1e5] if kind in ("cos", "sin") else x[np.isfinite(x)]
    found = apply(lambda code, v: activate(code, v, how), x, isa)
    with np.errstate(all="ignore"):
        expected = exact(x.astype(np.float64)).astype(np.float32)
    plain = np.isfinite(expected)
    np.testing.assert_array_equal(found[~plain], expected[~plain])
    # errors of gates are absolute, and times x; results that are no normal numbers may be 0
    found, expected, x = found[plain], expected[plain], x[plain]
    size = np.maximum(np.abs(expected), np.minimum(np.abs(x), 10) * 0.2)
    assert (np.abs(found - expected) <= 1e-6 * size + TINY).all()


def test_gates_are_closed_far_out() -> None:
    x = np.float32([-3e38, -1e30, -1e4, -200])
    for isa in TARGETS:
        for kind in ("gelu", "gelu_tanh", "silu", "mish", "sigmoid", "softplus"):
            found = apply(lambda code, v, kind=kind: activate(code, v, Activation(kind, 1.0)), x, isa)
            assert (found == 0).all(), kind


def test_signs_of_zeros_and_halves_are_kept() -> None:
    x = np.float32([0.5, 1.5, 2.5, -0.5, -1.5, -0.0, -0.3, 8388609.0, -8388607.5, 1e20, -INF])
    for isa in TARGETS:
        for kind, exact in (("round", np.rint), ("floor", np.floor), ("ceil", np.ceil)):
            found = apply(lambda code, v, kind=kind: activate(code, v, Activation(kind)), x, isa)
            np.testing.assert_array_equal(found.view(np.uint32), exact(x).view(np.uint32), kind)
