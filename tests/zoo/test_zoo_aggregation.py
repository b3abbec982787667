"""CSPResNet50, VoVNet-39 and GhostNet, which join channels: the figures others print, and what goes into each join."""

from __future__ import annotations

from typing import Any

import pytest

from rooftune import zoo

torch = pytest.importorskip("torch")


def counted(name: str, size: int) -> tuple[int, int]:
    """Multiply-accumulates by PyTorch's own counter, and elements that are normalised, of one image of this size."""
    from torch.utils.flop_counter import FlopCounterMode

    module = zoo.blueprint(name)
    elements: list[int] = []
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.register_forward_hook(lambda part, inputs, output: elements.append(output.numel()))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.empty(1, 3, size, size, device="meta"))
    return counter.get_total_flops() // 2, sum(elements)


@pytest.mark.parametrize(
    ("name", "size", "printed"), [("cspresnet50", 256, 4.54), ("ese_vovnet39b", 224, 7.09), ("ghostnet", 224, 0.15)]
)
def test_timm_prints_normalisations_too(name: str, size: int, printed: float) -> None:
    """Its counter takes a normalisation for two multiply-accumulates per element."""
    macs, normalised = counted(name, size)
    assert round((macs + 2 * normalised) / 1e9, 2) == printed


def test_the_authors_of_cspnet_print_less_by_their_narrower_first_blocks() -> None:
    """21.57 M weights, and 8.97 G at two per multiply-accumulate and 256×256, where the first blocks see 64×64.

    Half of an expansion from 64 to 128 channels is saved, and half of the 1×1 convolution from 128 to 64 behind it.
    """
    saved = 64 * 64 + 64 * 64
    weights = sum(p.numel() for p in zoo.blueprint("cspresnet50").parameters() if p.dim() > 1)
    macs, _ = counted("cspresnet50", 256)
    assert round((weights - saved) / 1e6, 2) == 21.57
    assert round(2 * (macs - saved * 64 * 64) / 1e9, 2) == 8.97


@pytest.mark.parametrize("name", ["cspresnet50", "ese_vovnet39b", "ghostnet"])
def test_a_late_bias_is_seen_in_the_output(name: str) -> None:
    """Were the signal to grow along the network, a wrong bias near its end would hide in the rounding."""
    module, (image,) = built(name, seed=3), zoo.example_inputs(name)
    *_, last = (part for part in module.modules() if isinstance(part, torch.nn.BatchNorm2d))
    with torch.no_grad():
        before = module(image)
        last.bias.neg_()
        after = module(image)
    assert (after - before).abs().max() > 1e-3 * before.abs().max()


def normalised(x: Any, norm: Any) -> Any:
    """Batch normalisation in double precision, by its formula."""
    shape = (1, -1, 1, 1)
    gain = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    shift = norm.bias.double() - norm.running_mean.double() * gain
    return x * gain.reshape(shape) + shift.reshape(shape)


def convolved(x: Any, layer: Any, padding: int = 0, groups: int = 1) -> Any:
    """A convolution of stride 1 and its normalisation, in double precision."""
    conv, norm = layer[0], layer[1]
    return normalised(torch.nn.functional.conv2d(x, conv.weight.double(), padding=padding, groups=groups), norm)


def built(name: str, seed: int) -> Any:
    return zoo.build(name, seed)


def plane(channels: int, size: int = 5) -> Any:
    return torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize("linear", [False, True])
def test_a_ghost_is_made_from_one_channel_each(linear: bool) -> None:
    """The first block of the network expands by a ghost with activations and projects by one without."""
    ghost, x = built("ghostnet", seed=4)[1].body[-1 if linear else 0], plane(16)
    activation = torch.nn.Identity() if linear else torch.nn.ReLU()
    with torch.no_grad():
        primary = activation(convolved(x.double(), ghost.primary))
        cheap = activation(convolved(primary, ghost.cheap, padding=1, groups=8))
        expected = torch.cat((primary, cheap), 1)
        assert (ghost(x) - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_the_first_half_of_a_cross_stage_passes_its_blocks_by() -> None:
    stage, x = built("cspresnet50", seed=4)[2], plane(64)
    leaky = torch.nn.functional.leaky_relu
    with torch.no_grad():
        passed, y = convolved(x.double(), stage.expansion).split(128, dim=1)
        *bottlenecks, mix = stage.blocks
        for bottleneck in bottlenecks:
            narrow, wide, *last = bottleneck.body
            inner = leaky(convolved(leaky(convolved(y, narrow)), wide, 1))
            y = leaky(y + convolved(inner, last))
        joined = torch.cat((passed, leaky(convolved(y, mix))), 1)
        expected = leaky(convolved(joined, stage.transition))
        assert (stage(x) - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_an_aggregation_joins_its_input_and_every_link() -> None:
    """The second block of a stage, which has the shortcut and the gate as well."""
    *_, block = (part for part in built("ese_vovnet39b", seed=4).modules() if hasattr(part, "chain"))
    x = plane(1024)
    with torch.no_grad():
        links = [x.double()]
        for layer in block.chain:
            links.append(torch.relu(convolved(links[-1], layer, 1)))
        mixed = torch.relu(convolved(torch.cat(links, 1), block.mix))
        dense = block.excitation.gate[1]
        score = mixed.mean((2, 3)) @ dense.weight[:, :, 0, 0].double().T + dense.bias.double()
        gate = ((score + 3) / 6).clamp(0, 1)
        expected = x + mixed * gate[:, :, None, None]
        assert (block(x) - expected).abs().max() <= 1e-5 * expected.abs().max()
        assert ((gate > 0) & (gate < 1)).any()
