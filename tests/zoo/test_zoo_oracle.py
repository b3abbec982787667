"""Every network against what is published of it, before any export."""

from __future__ import annotations

import pytest

from rooftune import zoo
from rooftune.errors import InputError, MissingDependency
from rooftune.zoo.catalog import Oracle

torch = pytest.importorskip("torch")


def counted_macs(name: str) -> int:
    """Multiply-accumulates by PyTorch's own counter, on tensors without memory."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        zoo.blueprint(name)(*zoo.example_inputs(name, device="meta"))
    flops: int = counter.get_total_flops()
    assert flops % 2 == 0
    return flops // 2


@pytest.mark.parametrize("name", zoo.names())
def test_parameters_and_macs_are_the_published_ones(name: str) -> None:
    published = zoo.oracle(name)
    assert sum(p.numel() for p in zoo.blueprint(name).parameters()) == published.params
    assert published.agrees(counted_macs(name)), (name, counted_macs(name), published.gmacs)


@pytest.mark.parametrize(
    ("macs", "agrees"), [(313_500_000, True), (314_500_000, True), (314_600_000, False), (313_400_000, False)]
)
def test_agreement_ends_half_a_digit_away(macs: int, agrees: bool) -> None:
    assert Oracle(1, "0.314", "by hand").agrees(macs) is agrees


def test_every_name_has_a_source() -> None:
    assert all(zoo.oracle(name).source for name in zoo.names())


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="no network called 'resnet5'") as caught:
        zoo.build("resnet5")
    assert "resnet50" in caught.value.remedy


def test_names_and_oracles_need_no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    assert zoo.oracle("vgg16").params == 138_357_544
    with pytest.raises(MissingDependency) as caught:
        zoo.build("vgg16")
    assert caught.value.remedy == "pip install rooftune[torch]"
