"""The random weights: repeatable, near those of a trained network in scale, and none without effect."""

from __future__ import annotations

import pytest

from rooftune import zoo

torch = pytest.importorskip("torch")

SMALL = (
    "squeezenet1_1",
    "mobilenet_v1",
    "mobilenet_v3_small",
    "shufflenet_v2_x0_5",
    "resnet18",
    "regnet_y_400mf",
    "repvgg_a0_train",
    "repvgg_a0",
    "cspresnet50",
    "ese_vovnet39b",
    "ghostnet",
)


def states(name: str, seed: int) -> dict[str, object]:
    found: dict[str, object] = zoo.build(name, seed).state_dict()
    return found


def test_a_seed_fixes_every_weight() -> None:
    first, again, other = (
        states("mobilenet_v3_small", 3),
        states("mobilenet_v3_small", 3),
        states("mobilenet_v3_small", 4),
    )
    assert all(torch.equal(first[key], again[key]) for key in first)
    drawn = [key for key in first if not key.endswith("num_batches_tracked")]
    assert not any(torch.equal(first[key], other[key]) for key in drawn)


def test_drawing_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    zoo.build("squeezenet1_1")
    assert torch.equal(torch.rand(3), expected)


def test_normalisation_is_not_trivial() -> None:
    module = zoo.build("mobilenet_v1")
    assert not module.training
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            assert part.running_var.min() >= 0.5 and part.running_var.max() <= 1.5
            assert part.running_mean.std() > 0.03
            assert 0.8 < part.weight.mean() < 1.2 and part.weight.std() > 0.03


@pytest.mark.parametrize("name", SMALL)
def test_outputs_are_finite_and_depend_on_the_input(name: str) -> None:
    module = zoo.build(name)
    with torch.no_grad():
        one, two = (module(*zoo.example_inputs(name, seed=seed)) for seed in (1, 2))
    assert one.isfinite().all()
    assert one.std() > 1e-3 * one.abs().max() > 0
    assert (one - two).abs().max() > 1e-3 * one.abs().max()


def test_all_parts_are_on_the_processor_with_memory() -> None:
    module = zoo.build("swin_tiny")
    assert not any(t.is_meta for t in (*module.parameters(), *module.buffers()))
