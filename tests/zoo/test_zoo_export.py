"""Exported networks: our counts equal PyTorch's to the last one, and the files compute what the modules compute."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rooftune import zoo
from rooftune.analysis.analyze import Analysis, analyze
from rooftune.errors import InputError
from rooftune.graph.load import load
from rooftune.machine.devices import find_machine

torch = pytest.importorskip("torch")

CHEAP = (
    "alexnet",
    "resnet18",
    "squeezenet1_0",
    "squeezenet1_1",
    "mobilenet_v3_small",
    "shufflenet_v2_x0_5",
    "convnext_tiny",
    "repvgg_a0_train",
    "ghostnet",
    "vit_b_16",
)
TEXTBOOK = ("vgg16", "mobilenet_v1")
"""Counted by the test of their conventions."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that goes with the test: the files are large."""
    with tempfile.TemporaryDirectory(prefix="rooftune-zoo-") as home:
        yield Path(home)


def analysed(name: str, folder: Path, *, batch: int = 1, fold_batchnorm: bool = False) -> Analysis:
    path = zoo.export(name, folder / f"{name}.onnx", batch, fold_batchnorm=fold_batchnorm)
    return analyze(load(path), find_machine("nvidia-t4"), threads=1)


def counted_macs(name: str, batch: int = 1) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        zoo.blueprint(name)(*zoo.example_inputs(name, batch, device="meta"))
    flops: int = counter.get_total_flops()
    return flops // 2


def check_counts(name: str, found: Analysis) -> None:
    assert found.totals.macs == counted_macs(name)
    assert found.totals.params == zoo.oracle(name).params
    assert found.totals.coverage == 1.0
    assert sum(node.macs for node in found.nodes) == found.totals.macs


@pytest.mark.parametrize("name", CHEAP)
def test_counts_equal_the_counter_of_pytorch(name: str, folder: Path) -> None:
    check_counts(name, analysed(name, folder))


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in zoo.names() if n not in CHEAP + TEXTBOOK])
def test_counts_of_the_larger_networks(name: str, folder: Path) -> None:
    check_counts(name, analysed(name, folder))


def test_counts_grow_with_the_batch_and_parameters_do_not(folder: Path) -> None:
    found = analysed("squeezenet1_1", folder, batch=3)
    assert found.totals.macs == 3 * counted_macs("squeezenet1_1")
    assert found.totals.params == zoo.oracle("squeezenet1_1").params


def conventions(found: Analysis) -> dict[str, float]:
    return {c.name: c.intensity or 0.0 for c in found.conventions}


def test_vgg16_at_25(folder: Path) -> None:
    """138,357,544 parameters and 15.07 M elements of convolutions and pools, in fp32: 15.47 G / 613.8 MB."""
    found = analysed("vgg16", folder)
    check_counts("vgg16", found)
    by_name = conventions(found)
    assert by_name["textbook, layers"] == pytest.approx(25.2, abs=0.05)
    assert by_name["textbook, every node"] == pytest.approx(23.2, abs=0.05)
    assert by_name["fused"] == pytest.approx(46, abs=0.5)


def test_mobilenet_v1_at_7(folder: Path) -> None:
    """Convolution, normalisation and activation each a node of their own."""
    found = analysed("mobilenet_v1", folder)
    check_counts("mobilenet_v1", found)
    by_name = conventions(found)
    assert by_name["textbook, every node"] == pytest.approx(7.3, abs=0.05)
    assert by_name["textbook, layers"] == pytest.approx(15.3, abs=0.05)
    assert by_name["fused"] == pytest.approx(20, abs=0.5)


def test_mobilenet_v1_with_folded_normalisation(folder: Path) -> None:
    found = analysed("mobilenet_v1", folder, fold_batchnorm=True)
    assert not any(node.op == "BatchNormalization" for node in found.nodes)
    assert found.totals.macs == counted_macs("mobilenet_v1")
    assert conventions(found)["textbook, every node"] == pytest.approx(9.9, abs=0.05)


@pytest.mark.parametrize(
    "name",
    [
        "shufflenet_v2_x0_5",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("mobilenet_v3_small", "swin_tiny", "cspresnet50", "ese_vovnet39b", "ghostnet")
        ),
    ],
)
def test_files_compute_what_the_modules_compute(name: str, folder: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    path = zoo.export(name, folder / "model.onnx", seed=5)
    inputs = zoo.example_inputs(name, seed=6)
    with torch.no_grad():
        expected = zoo.build(name, seed=5)(*inputs).numpy()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {key: tensor.numpy() for key, tensor in zip(zoo.input_names(name), inputs, strict=True)}
    (found,) = session.run(None, feed)
    assert abs(found - expected).max() <= 1e-4 * abs(expected).max()


def test_an_unwritable_folder_is_an_input_error(folder: Path) -> None:
    (folder / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot write"):
        zoo.export("squeezenet1_1", folder / "file" / "model.onnx")
