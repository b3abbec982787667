"""`deployment.toml`: what is written is read back, and what somebody else wrote is not trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

import rooftune
from rooftune.compiler.target import host_target
from rooftune.deploy.deployment import Deployment, read_deployment, write_deployment
from rooftune.errors import InputError, MissingDependency
from rooftune.execute.open_sizes import OpenSizesModel
from rooftune.graph.save import save_graph
from rooftune.graph.text import model_of_text

from .. import models

RIGHT: dict[str, Any] = {
    "schema": 1,
    "model": "model.onnx",
    "backend": "onnxruntime",
    "precision": "fp32",
    "threads": 1,
    "instances": 1,
    "concurrency": 1,
    "label": "all",
    "settings": {"optimisation": "all", "intra_op_threads": 1},
    "input_shapes": {},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a model to which a deployment can be added."""
    made = tmp_path / "run"
    made.mkdir()
    (made / "model.onnx").write_bytes(models.dense().SerializeToString())
    return made


def deploy(folder: Path, **changes: Any) -> Path:
    values = {k: v for k, v in {**RIGHT, **changes}.items() if v is not None}
    (folder / "deployment.toml").write_text(tomli_w.dumps(values))
    return folder


settings = st.dictionaries(st.text(min_size=1), st.booleans() | st.integers(-(2**60), 2**60) | st.text())


@given(
    settings, st.integers(1, 64), st.integers(1, 8), st.text(), st.dictionaries(st.text(), st.lists(st.integers(0, 9)))
)
def test_a_deployment_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    settings: dict[str, Any],
    threads: int,
    concurrency: int,
    label: str,
    shapes: dict[str, list[int]],
) -> None:
    folder = tmp_path_factory.getbasetemp() / "round-trip"
    folder.mkdir(exist_ok=True)
    (folder / "model.onnx").touch()
    written = Deployment("onnxruntime", settings, threads, concurrency, label, input_shapes=shapes)
    write_deployment(written, folder)
    assert read_deployment(folder) == written
    assert written.candidate.threads == threads


def test_the_folder_is_loaded_as_it_says(folder: Path) -> None:
    x = np.random.default_rng(0).standard_normal((2, 16)).astype(np.float32)
    with rooftune.load(deploy(folder)) as run:
        assert list(run.inputs) == ["x"]
        assert list(run.outputs) == ["y"]
        y = run({"x": x})["y"]
    assert y.shape == (2, 12)
    assert (y >= 0).all()
    assert np.ptp(y) > 0


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a model above the folder": ({"model": "../model.onnx"}, "outside its folder"),
    "a model at an absolute path": ({"model": "/etc/passwd"}, "outside its folder"),
    "the folder itself as the model": ({"model": "."}, "outside its folder"),
    "a model that is not there": ({"model": "other.onnx"}, "has no other.onnx"),
    "no backend": ({"backend": None}, "lacks or garbles 'backend'"),
    "a backend nobody knows": ({"backend": "nobody"}, "no backend is called 'nobody'"),
    "settings that are no table": ({"settings": 3}, "lacks or garbles"),
    "settings of another backend": ({"settings": {"NUM_STREAMS": "1"}}, "cannot load"),
    "no threads": ({"threads": 0}, "threads is 0"),
    "too many threads": ({"threads": 10**9}, "threads is 1000000000"),
    "too many requests": ({"concurrency": 10**9}, "concurrency is 1000000000"),
    "threads in words": ({"threads": "two"}, "lacks or garbles"),
    "shapes that are no table": ({"input_shapes": [1]}, "lacks or garbles"),
    "shapes that are no numbers": ({"input_shapes": {"x": ["wide"]}}, "lacks or garbles"),
    "another schema": ({"schema": 2}, "schema 2"),
    "no schema": ({"schema": None}, "schema None"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_values_are_refused(what: str, folder: Path) -> None:
    changes, cause = WRONG[what]
    with pytest.raises(InputError, match=cause) as refused:
        rooftune.load(deploy(folder, **changes))
    assert refused.value.remedy
    assert "\n" not in str(refused.value)


def test_a_model_behind_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "model.onnx").rename(tmp_path / "elsewhere.onnx")
    (folder / "model.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(InputError, match="outside its folder"):
        rooftune.load(deploy(folder))


def test_a_model_that_is_none_is_refused(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"no model")
    with pytest.raises(InputError, match="onnxruntime cannot load"):
        rooftune.load(deploy(folder))


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (None, "has no deployment.toml"),
        (b"this is = [no toml", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"", "schema None"),
        (b"#" * (2 << 20), "larger than"),
    ],
)
def test_files_that_are_no_deployment_are_refused(data: bytes | None, cause: str, folder: Path) -> None:
    if data is not None:
        (folder / "deployment.toml").write_bytes(data)
    with pytest.raises(InputError, match=cause):
        rooftune.load(folder)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no deployment\.toml"):
        rooftune.load(tmp_path / "nowhere")


def test_an_engine_that_is_not_there_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependency, match=r"pip install rooftune\[openvino\]"):
        rooftune.load(deploy(folder, backend="openvino"))


def test_what_was_not_verified_is_loaded_with_a_warning(folder: Path) -> None:
    with pytest.warns(UserWarning, match="not verified"):
        rooftune.load(deploy(folder, verified=False)).close()


@pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")
def test_a_compiled_model_takes_what_its_open_sizes_allow(folder: Path) -> None:
    """What it was made for is compiled at once; others are answered, and compiled when they come again."""
    model = model_of_text("(float[N,4,6,6] x) => (float[N,4,5,5] y) { a = Relu(x) y = MaxPool<kernel_shape=[2,2]>(a) }")
    save_graph(model.ir, folder / "model.onnx")
    x = np.random.default_rng(0).standard_normal((5, 4, 6, 6)).astype(np.float32)
    windows = np.maximum(x, 0)
    expected = np.max([windows[..., i : i + 5, j : j + 5] for i in (0, 1) for j in (0, 1)], axis=0)
    native = {"backend": "native", "settings": {"winograd": True, "tune_seconds": 0.0}}
    with rooftune.load(deploy(folder, **native, input_shapes={"x": [2, 4, 6, 6]})) as run:
        inner = run._model
        assert isinstance(inner, OpenSizesModel)
        assert list(inner.compiled) == [(("x", (2, 4, 6, 6)),)]
        for count in (2, 5, 1, 5, 5):
            np.testing.assert_array_equal(run({"x": x[:count]})["y"], expected[:count])
        assert inner.settle() and len(inner.compiled) == 2
        np.testing.assert_array_equal(run({"x": x})["y"], expected)
        with pytest.raises(InputError, match="expected"):
            run({"x": x[:, :3]})
