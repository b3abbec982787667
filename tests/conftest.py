"""What every test shares: a cache folder of the tests' own, this computer's ceilings, and small models on disk."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

from rooftune.execute.probe import home, probe_host, store_machine, stored_machine
from rooftune.graph.seeded_weights import with_random_weights
from rooftune.machine.spec import Machine

from . import models
from .execute import models as engine_models

LIGHT_MODELS = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def _shared(factory: pytest.TempPathFactory) -> Path:
    """A folder all workers of this run have in common."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def rooftune_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """No test reads or writes what the user's own Rooftune remembers."""
    folder = _shared(tmp_path_factory) / "rooftune-home"
    folder.mkdir(exist_ok=True)
    before = os.environ.get("ROOFTUNE_HOME")
    os.environ["ROOFTUNE_HOME"] = str(folder)
    yield folder
    if before is None:
        del os.environ["ROOFTUNE_HOME"]
    else:
        os.environ["ROOFTUNE_HOME"] = before


@pytest.fixture(scope="session")
def host(rooftune_home: Path) -> Machine:
    """The ceilings of this computer, quickly measured by the first worker that asks and remembered for all."""
    assert home() == rooftune_home
    with (rooftune_home / "probing.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = stored_machine()
        if found is None:
            found = probe_host(quick=True)
            store_machine(found)
        return found


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the session's models lie; nobody writes into it but the fixtures here."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def conv_net(model_folder: Path) -> Path:
    """Convolutions, batch normalisations, a residual sum and a classifier; input `image` 1x3x32x32."""
    return engine_models.convolutions(model_folder / "conv_net.onnx", named=True)


@pytest.fixture(scope="session")
def open_conv_net(model_folder: Path) -> Path:
    """The same with an open batch called N."""
    return engine_models.convolutions(model_folder / "open_conv_net.onnx", batch="N", named=True)


@pytest.fixture(scope="session")
def transformer(model_folder: Path) -> Path:
    """One transformer block in small operators; input `tokens` 1x32x64."""
    return engine_models.attention(model_folder / "transformer.onnx")


@pytest.fixture(scope="session")
def branching(model_folder: Path) -> Path:
    """An If whose branches do different work."""
    return models.branching(model_folder / "branching.onnx")


@pytest.fixture(scope="session")
def custom_operator(model_folder: Path) -> Path:
    """A matrix product behind an operator nobody knows."""
    return models.custom_operator(model_folder / "custom_operator.onnx")


@pytest.fixture(scope="session")
def zero_size(model_folder: Path) -> Path:
    """Tensors without elements among ordinary ones."""
    return models.zero_size(model_folder / "zero_size.onnx")


@pytest.fixture(scope="session")
def squeezenet(model_folder: Path) -> Path:
    """SqueezeNet of the onnx wheel with seeded random weights."""
    return with_random_weights(
        LIGHT_MODELS / "light_squeezenet.onnx", model_folder / "squeezenet.onnx", end_with_logits=True
    )


@pytest.fixture(scope="session")
def resnet50(model_folder: Path) -> Path:
    """ResNet50 of the onnx wheel with seeded random weights."""
    return with_random_weights(
        LIGHT_MODELS / "light_resnet50.onnx", model_folder / "resnet50.onnx", end_with_logits=True
    )
