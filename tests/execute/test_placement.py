from rooftune.execute.placement import choose_cpus

_PAIRS = {0: "0-1", 1: "0-1", 2: "2-3", 3: "2-3"}


def test_cores_are_used_before_their_second_thread() -> None:
    assert choose_cpus(2, [0, 1, 2, 3], _PAIRS) == (0, 2)
    assert choose_cpus(3, [0, 1, 2, 3], _PAIRS) == (0, 1, 2)


def test_only_usable_cpus_count() -> None:
    assert choose_cpus(2, [1, 3], _PAIRS) == (1, 3)
    assert choose_cpus(4, [1, 3], _PAIRS) == (1, 3)
    assert choose_cpus(1, [5, 9], {}) == (5,)
