"""Verification: right runs pass, wrong ones fail, and what proves nothing is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rooftune.verdicts import Exactness
from rooftune.verify import NUDGES, nudge, roundings, verify

EXACT, CLOSE, ROUGH = Exactness.BITWISE, Exactness.REASSOCIATES, Exactness.APPROXIMATES


def runs(*arrays: Any) -> list[dict[str, np.ndarray[Any, Any]]]:
    """One run per array, of a single output `y`."""
    return [{"y": np.asarray(a)} for a in arrays]


def varied(shape: tuple[int, ...] = (4, 5), seed: int = 0, count: int = 3) -> list[dict[str, np.ndarray[Any, Any]]]:
    random = np.random.default_rng(seed)
    return [{"y": random.standard_normal(shape).astype(np.float32)} for _ in range(count)]


@pytest.mark.parametrize("exactness", Exactness)
def test_the_tolerance_is_what_is_declared(exactness: Exactness) -> None:
    reference = varied()
    scale = max(float(np.abs(r["y"]).max()) for r in reference)
    for factor, passes in ((0.5, True), (2.0, False)):
        shift = exactness.tolerance * factor * scale
        found = [{"y": r["y"].astype(np.float64) + shift} for r in reference]
        result = verify(reference, found, exactness)
        assert result.passed is (passes or exactness is EXACT)
        assert result.tolerance == exactness.tolerance
        assert result.max_relative_error == pytest.approx(exactness.tolerance * factor, rel=1.0, abs=1e-12)


def test_bitwise_means_every_bit() -> None:
    reference = varied()
    found = [{"y": r["y"].copy()} for r in reference]
    assert verify(reference, found, EXACT).passed
    found[2]["y"][3, 4] = np.nextafter(found[2]["y"][3, 4], np.float32(np.inf))
    result = verify(reference, found, EXACT)
    assert not result.passed
    assert "above the tolerance" in result.reason


NOTHING_PROVEN = {
    "zeros": (runs(*np.zeros((3, 8))), "is constant"),
    "a constant": (runs(*np.full((3, 8), 2.5)), "is constant"),
    "the same for every input": (runs(*[np.arange(8.0)] * 3), "does not change with the input"),
    "saturated": (runs(*[np.r_[np.ones(5000), i / 2] for i in range(3)]), "saturated"),
    "empty": (runs(*np.zeros((3, 0, 4))), "is empty"),
    "not a number": (runs(*np.full((3, 8), np.nan)), "is constant"),
    "one complex number": (runs(np.full(8, 2 + 1e-3j) * 0), "is constant"),
    "one bfloat16": (runs(*np.full((3, 8), 2.5, ml_dtypes.bfloat16)), "is constant"),
    "one text": (runs(*[["a", "a"]] * 3), "is constant"),
    "one truth value": (runs(*np.ones((3, 8), bool)), "is constant"),
}


@pytest.mark.parametrize("what", NOTHING_PROVEN)
def test_outputs_that_prove_nothing_are_refused(what: str) -> None:
    reference, reason = NOTHING_PROVEN[what]
    result = verify(reference, reference, CLOSE)
    assert not result.passed
    assert "nothing could be proven" in result.reason
    assert reason in result.reason


def test_one_output_that_proves_something_is_enough_but_all_must_agree() -> None:
    random = np.random.default_rng(0)
    reference = [{"y": random.standard_normal(9), "constant": np.ones(4)} for _ in range(3)]
    assert verify(reference, reference, CLOSE).passed
    found = [{"y": r["y"], "constant": np.ones(4) * 1.5} for r in reference]
    result = verify(reference, found, CLOSE)
    assert not result.passed
    assert "output constant" in result.reason


def test_a_model_without_inputs_cannot_vary() -> None:
    same = runs(np.arange(8.0), np.arange(8.0))
    assert verify(same, same, CLOSE, inputs_vary=False).passed
    assert not verify(same, same, CLOSE, inputs_vary=True).passed


def test_a_single_input_set_is_judged_by_its_spread() -> None:
    assert verify(runs(np.arange(8.0)), runs(np.arange(8.0)), CLOSE).passed


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_must_stand_in_the_same_places(odd: float) -> None:
    reference = varied()
    for run in reference:
        run["y"][0, 0] = odd
    assert verify(reference, [{"y": r["y"].copy()} for r in reference], CLOSE).passed
    for place, value in (((0, 0), 1.0), ((1, 1), odd), ((0, 0), -odd if np.isinf(odd) else np.inf)):
        found = [{"y": r["y"].copy()} for r in reference]
        found[1]["y"][place] = value
        result = verify(reference, found, ROUGH)
        assert not result.passed
        assert "infinite or not a number in other places" in result.reason


def test_another_shape_or_a_missing_output_fails() -> None:
    reference = varied((4, 5))
    other = [{"y": r["y"].reshape(5, 4)} for r in reference]
    assert "shape [5, 4] instead of [4, 5]" in verify(reference, other, ROUGH).reason
    assert "is missing" in verify(reference, [{"z": r["y"]} for r in reference], ROUGH).reason


def test_no_runs_prove_nothing() -> None:
    assert not verify([], [], CLOSE).passed
    assert not verify(varied(), varied()[:2], CLOSE).passed


def test_a_zero_reference_allows_no_difference() -> None:
    reference = [{"y": np.zeros(4), "z": np.arange(4.0) + i} for i in range(3)]
    found = [{"y": np.full(4, 1e-30), "z": r["z"]} for r in reference]
    assert not verify(reference, found, ROUGH).passed


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.bool_])
def test_whole_numbers_are_compared_as_such(dtype: type) -> None:
    random = np.random.default_rng(1)
    reference = [{"y": random.integers(0, 2, 50).astype(dtype)} for _ in range(3)]
    found = [{"y": r["y"].copy()} for r in reference]
    assert verify(reference, found, CLOSE).passed
    found[0]["y"][7] = 1 - found[0]["y"][7]
    assert not verify(reference, found, CLOSE).passed


def test_large_whole_numbers_keep_their_last_digit() -> None:
    reference = [{"y": np.array([2**62 + i, 5, -(2**62)], np.int64)} for i in range(3)]
    found = [{"y": r["y"] + np.array([1, 0, 0])} for r in reference]
    assert verify(reference, reference, EXACT).passed
    assert not verify(reference, found, EXACT).passed


def test_strings_must_be_equal() -> None:
    reference = runs(["a", "b"], ["c", "d"])
    assert verify(reference, reference, CLOSE).passed
    assert "other strings" in verify(reference, runs(["a", "b"], ["c", "e"]), CLOSE).reason


def test_complex_numbers_are_compared_by_magnitude() -> None:
    random = np.random.default_rng(2)
    reference = [{"y": random.standard_normal(6) + 1j * random.standard_normal(6)} for _ in range(2)]
    assert verify(reference, reference, CLOSE).passed
    assert not verify(reference, [{"y": r["y"].conj()} for r in reference], CLOSE).passed


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16, ml_dtypes.float8_e4m3fn])
def test_small_floats_are_compared(dtype: type) -> None:
    reference = [{"y": r["y"].astype(dtype)} for r in varied()]
    assert verify(reference, reference, CLOSE).passed
    found = [{"y": (r["y"].astype(np.float32) * 1.5).astype(dtype)} for r in reference]
    assert not verify(reference, found, ROUGH).passed


finite = hnp.arrays(
    np.float32,
    hnp.array_shapes(max_dims=3, max_side=6),
    elements=st.floats(-1e6, 1e6, width=32, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-6),
)


def has_spread(array: np.ndarray[Any, Any]) -> bool:
    return array.size > 1 and float(array.max()) > float(array.min())


@given(finite.filter(has_spread), st.sampled_from(Exactness))
def test_a_run_agrees_with_itself(array: np.ndarray[Any, Any], exactness: Exactness) -> None:
    result = verify(runs(array), runs(array.copy()), exactness)
    assert result.passed
    assert result.max_relative_error == 0


@given(finite.filter(has_spread), st.data())
def test_one_number_off_by_more_than_the_tolerance_fails(array: np.ndarray[Any, Any], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, array.size - 1))
    scale = float(np.abs(array).max())
    for exactness in (CLOSE, ROUGH):
        found = array.astype(np.float64)
        found.flat[place] += 1.5 * exactness.tolerance * scale
        result = verify(runs(array), runs(found), exactness)
        assert not result.passed
        assert result.max_relative_error == pytest.approx(1.5 * exactness.tolerance, rel=1e-3)


@given(finite.filter(has_spread), st.floats(0.01, 0.9))
def test_less_than_the_tolerance_passes(array: np.ndarray[Any, Any], share: float) -> None:
    scale = float(np.abs(array).max())
    found = array.astype(np.float64) + share * CLOSE.tolerance * scale
    assert verify(runs(array), runs(found), CLOSE).passed


def test_a_run_without_values_proves_nothing() -> None:
    found = verify([{}, {}], [{}, {}], Exactness.REASSOCIATES)
    assert not found.passed
    assert "no values to compare" in found.reason


def test_half_precision_is_allowed_what_it_cannot_hold() -> None:
    one = np.linspace(-1, 1, 64).astype(np.float16)
    other = np.nextafter(one, np.float16(2))
    assert verify([{"y": one}], [{"y": other}], Exactness.REASSOCIATES).passed
    assert not verify([{"y": one}], [{"y": other}], Exactness.BITWISE).passed
    assert not verify([{"y": one}], [{"y": one + np.float16(0.01)}], Exactness.REASSOCIATES).passed


def test_some_roundings_of_the_reference_itself_are_allowed_and_no_more() -> None:
    one = np.linspace(-1, 1, 64)
    rounding = {"y": 1e-5}
    assert verify([{"y": one}], [{"y": one + 6e-5}], Exactness.REASSOCIATES, rounding=rounding).passed
    assert not verify([{"y": one}], [{"y": one + 6e-5}], Exactness.REASSOCIATES).passed
    assert not verify([{"y": one}], [{"y": one + 1.2e-4}], Exactness.REASSOCIATES, rounding=rounding).passed
    assert not verify([{"y": one}], [{"y": one + 2e-3}], Exactness.REASSOCIATES, rounding={"y": 0.5}).passed
    assert not verify([{"y": one}], [{"y": one + 1e-9}], Exactness.BITWISE, rounding=rounding).passed


def test_nudging_changes_last_bits_of_floating_point_numbers_only() -> None:
    given = {"x": np.float32([1, -2, 3]), "i": np.int64([1, 2])}
    found = nudge(given)
    assert (found["x"] != given["x"]).all() and np.allclose(found["x"], given["x"], rtol=2e-7)
    assert (found["i"] == given["i"]).all()


def test_a_rounding_is_measured_once_where_it_does_not_matter_and_often_where_it_does() -> None:
    samples = [{"x": np.linspace(0.5, 1, 64, dtype=np.float32)}, {"x": np.linspace(1, 2, 64, dtype=np.float32)}]
    for worth, times in ((1.0, 1), (1e3, NUDGES)):
        calls: list[int] = []

        def run(feed: Mapping[str, Any], worth: float = worth, calls: list[int] = calls) -> dict[str, Any]:
            calls.append(1)
            return {"y": np.sin(worth * feed["x"].astype(np.float64)), "n": np.arange(3)}

        found = roundings(run, samples, [run(s) for s in samples])
        assert len(calls) == 2 + 2 * times
        assert 1e-8 * worth < found["y"] < 1e-6 * worth
        assert found["n"] == 0


def test_what_cannot_be_compared_has_no_rounding() -> None:
    random = np.random.default_rng(0)

    def run(feed: Mapping[str, Any]) -> dict[str, Any]:
        return {"y": np.zeros(random.integers(1, 100))}

    assert roundings(run, [{"x": np.float32([1])}], [{"y": np.zeros(101)}]) == {"y": 0.0}
