import pytest

from rooftune.execute.profile import Kernel, Profile, assemble_profile


def assembled(model_seconds: float, profiled_seconds: float) -> Profile:
    kernels = [Kernel("a", "Conv", 0.003, ("c1",), "tensors"), Kernel("b", "Odd", 0.001, ("c2",), "neighbour")]
    return assemble_profile(
        backend="b", settings={"s": 1}, threads=2, kernels=kernels, model_seconds=model_seconds,
        profiled_seconds=profiled_seconds, runs=3,
    )  # fmt: skip


def test_what_no_kernel_accounts_for_is_the_residual() -> None:
    profile = assembled(0.005, 0.006)
    assert profile.scale == 1 and profile.residual_seconds == pytest.approx(0.001)
    assert profile.attributed_share == pytest.approx(0.75), "a guess is not an attribution"


def test_kernels_slowed_by_profiling_keep_their_share() -> None:
    profile = assembled(0.002, 0.005)
    assert profile.kernel_seconds == pytest.approx(0.002 * 0.004 / 0.005)
    assert profile.residual_seconds == pytest.approx(0.002 * 0.2)


def test_it_survives_the_record() -> None:
    profile = assembled(0.005, 0.006)
    assert Profile.from_json(profile.to_json()) == profile
