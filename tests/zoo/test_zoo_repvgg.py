"""RepVGG's two forms: merging the branches by hand changes no result, and leaves one convolution per block."""

from __future__ import annotations

import pytest

from rooftune import zoo

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def trained() -> object:
    return zoo.build("repvgg_a0_train", seed=3)


def parts(module: object, kind: type) -> list[object]:
    return [p for p in module.modules() if isinstance(p, kind)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_merged_form_computes_the_same(trained: object, seed: int) -> None:
    from rooftune.zoo.repvgg import merge_branches

    (image,) = zoo.example_inputs("repvgg_a0", seed=seed)
    with torch.no_grad():
        expected, found = trained(image), merge_branches(trained)(image)  # type: ignore[operator, arg-type]
    assert (found - expected).abs().max() <= 2e-6 * expected.abs().max()


def test_a_late_bias_is_seen_in_the_output(trained: object) -> None:
    """Were the signal to grow along the network, a wrong bias near its end would hide in the rounding."""
    (image,) = zoo.example_inputs("repvgg_a0")
    last = parts(trained, torch.nn.BatchNorm2d)[-1]
    with torch.no_grad():
        before = trained(image)  # type: ignore[operator]
        last.bias.neg_()  # type: ignore[attr-defined]
        after = trained(image)  # type: ignore[operator]
        last.bias.neg_()  # type: ignore[attr-defined]
    assert (after - before).abs().max() > 1e-3 * before.abs().max()


def test_merged_and_built_have_the_same_parts(trained: object) -> None:
    from rooftune.zoo.repvgg import merge_branches

    merged, built = merge_branches(trained), zoo.blueprint("repvgg_a0")  # type: ignore[arg-type]
    shapes = [[tuple(p.shape) for p in m.parameters()] for m in (merged, built)]
    assert shapes[0] == shapes[1]
    assert len(parts(merged, torch.nn.Conv2d)) == 22 and not parts(merged, torch.nn.BatchNorm2d)
    assert len(parts(trained, torch.nn.Conv2d)) == 44 and len(parts(trained, torch.nn.BatchNorm2d)) == 61


def test_the_published_count_includes_the_normalisations() -> None:
    """timm prints 1.52 GMAC; its counter takes a normalisation for two operations per element."""
    from torch.utils.flop_counter import FlopCounterMode

    module = zoo.blueprint("repvgg_a0_train")
    elements = 0

    def count(part: object, inputs: object, output: object) -> None:
        nonlocal elements
        elements += output.numel()  # type: ignore[attr-defined]

    for norm in parts(module, torch.nn.BatchNorm2d):
        norm.register_forward_hook(count)  # type: ignore[attr-defined]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*zoo.example_inputs("repvgg_a0_train", device="meta"))
    assert round((counter.get_total_flops() / 2 + 2 * elements) / 1e9, 2) == 1.52
