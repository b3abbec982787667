import numpy as np
import pytest

from rooftune.execute.statistics import median_interval, ratio_interval


def test_the_interval_holds_the_true_median_about_as_often_as_it_says() -> None:
    stream = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        interval = median_interval(stream.lognormal(0.0, 0.2, 25).tolist())
        held += interval.low <= 1.0 <= interval.high
    assert 180 <= held <= 199


def test_what_slows_both_cancels() -> None:
    weather = np.random.default_rng(1).uniform(1, 10, 30)
    ratio = ratio_interval((2 * weather).tolist(), weather.tolist())
    assert ratio.median == pytest.approx(2) and ratio.high - ratio.low < 1e-9
    assert ratio.excludes(1.0) and ratio.within(1.9, 2.1)


def test_pairs_and_samples_are_needed() -> None:
    with pytest.raises(ValueError):
        ratio_interval([1.0], [1.0, 2.0])
    with pytest.raises(ValueError):
        median_interval([])
