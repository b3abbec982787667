"""Copies are byte-exact and atomic; shared weights are found; sources and generated weights work."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from models import convolution, model, saved, value, weight
from rooftune.errors import InputError
from rooftune.graph.identity import distinct_weights, weights_of
from rooftune.graph.load import load
from rooftune.graph.save import copy_model, save_graph
from rooftune.graph.seeded_weights import with_random_weights
from rooftune.ops.types import TensorType

LIGHT = sorted(glob.glob(str(Path(onnx.__file__).parent / "backend/test/data/light/*.onnx")))  # noqa: PTH207


def run(path: Path, feeds: dict[str, Any], output: str | None = None) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 2, 3
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    return session.run([output] if output else None, feeds)[0]


def test_copy_is_byte_exact(tmp_path: Path) -> None:
    path = saved(convolution(), tmp_path)
    copy = copy_model(load(path), tmp_path / "out")
    assert copy.read_bytes() == path.read_bytes()
    assert [f.name for f in (tmp_path / "out").iterdir()] == ["model.onnx"]
    assert copy_model(load(copy), tmp_path / "out") == copy, "onto itself"
    assert copy.read_bytes() == path.read_bytes()


def test_copy_takes_external_data_along(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "m.onnx"
    onnx.save(convolution(1), path, save_as_external_data=True, location="w.data", size_threshold=0)
    copy = copy_model(load(path), tmp_path / "out")
    assert (tmp_path / "out" / "w.data").read_bytes() == (tmp_path / "in" / "w.data").read_bytes()
    assert load(copy).graph.initializers["w"].const_value.tobytes() == convolution().graph.initializer[0].raw_data
    (tmp_path / "in" / "w.data").unlink()
    with pytest.raises(InputError, match="missing"):
        copy_model(load(path), tmp_path / "other")


def test_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(InputError, match="cannot write"):
        copy_model(load(saved(convolution(), tmp_path)), tmp_path / "file" / "out")


def test_saved_graph_runs_the_same(tmp_path: Path) -> None:
    path = saved(convolution(1), tmp_path)
    again = save_graph(load(path).ir, tmp_path / "again.onnx")
    data = {"x": np.random.default_rng(0).standard_normal((1, 3, 8, 8), np.float32)}
    np.testing.assert_array_equal(run(path, data), run(again, data))


def test_shared_weights(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", [a, w], [b]) for a, w, b in (("x", "u", "p"), ("p", "v", "q"), ("q", "u", "y"))]
    proto = model(nodes, [value("x", [1, 32])], [value("y", None)], [weight("u", (32, 32)), weight("v", (32, 32))])
    found = load(saved(proto, tmp_path))
    assert len(distinct_weights(found.graph)) == 2
    (tmp_path / "w.bin").write_bytes(bytes(8192))
    for tensor in proto.graph.initializer:
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="w.bin")
    found = load(saved(proto, tmp_path))
    assert len(list(weights_of(found.graph))) == 2
    assert len(distinct_weights(found.graph)) == 1, "both are the first 4096 bytes of one file"


SMALL = ("squeezenet", "shufflenet", "densenet", "inception_v1")


def light_models() -> list[Any]:
    """The small ones in every run, those of tens and hundreds of megabytes with the slow tests."""
    small = [any(name in path for name in SMALL) for path in LIGHT]
    return [pytest.param(p, id=Path(p).stem, marks=() if s else pytest.mark.slow) for p, s in zip(LIGHT, small)]


@pytest.mark.parametrize("light", light_models())
def test_random_weights(light: str, tmp_path: Path) -> None:
    path = with_random_weights(light, tmp_path / "m.onnx", seed=3)
    proto = onnx.load(path)
    assert not any(n.op_type == "ConstantOfShape" for n in proto.graph.node)
    last = proto.graph.node[-1]
    before = last.input[0] if last.op_type == "Softmax" else last.output[0]
    if last.op_type == "Softmax":
        proto.graph.output.append(helper.make_empty_tensor_value_info(before))
        path.write_bytes(proto.SerializeToString())
    wanted = {n: [int(d) for d in t.dims] for n, t in load(light).inputs.items()}  # type: ignore[union-attr]
    rng = np.random.default_rng(0)
    noise = {n: rng.standard_normal(d).astype(np.float32) for n, d in wanted.items()}
    ramp = {n: np.linspace(-3, 3, d[-1], dtype=np.float32) * np.ones(d, np.float32) for n, d in wanted.items()}
    feeds = [noise, ramp]
    first, second = (run(path, f, before) for f in feeds)
    assert np.isfinite(first).all()
    spread = first.std()
    assert spread > 0.05 * np.abs(first).max()
    assert np.abs(first - second).max() > 0.01 * np.abs(first).max(), "the output follows the input"
    path.unlink()


def test_random_weights_are_seeded(tmp_path: Path) -> None:
    light = next(p for p in LIGHT if "squeezenet" in p)
    files = [with_random_weights(light, tmp_path / f"{i}.onnx", seed) for i, seed in enumerate((1, 1, 2))]
    assert files[0].read_bytes() == files[1].read_bytes() != files[2].read_bytes()


def test_torch_module(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from rooftune.graph.sources.torch import from_torch

    net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(288, 5))
    data = torch.randn(2, 3, 8, 8)
    found = from_torch(net, (data,), folder=tmp_path)
    assert [str(t) for t in found.outputs.values()] == ["float32[2,5]"]
    assert found.path is not None
    ours = run(found.path, {next(iter(found.inputs)): data.numpy()})
    np.testing.assert_allclose(ours, net(data).detach().numpy(), atol=1e-5)
    program = torch.export.export(net, (data,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    (kind,) = from_torch(program).outputs.values()
    assert isinstance(kind, TensorType)
    assert not isinstance(kind.shape[0], int)
    assert kind.shape[1] == 5
    with pytest.raises(InputError, match=r"expected a torch.nn.Module"):
        from_torch(3)
