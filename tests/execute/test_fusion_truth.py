"""The groups written down as data are the kernels the engines really run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from rooftune.analysis.analyze import analyze
from rooftune.execute.backend import find_backend
from rooftune.execute.inputs import random_inputs
from rooftune.execute.worker import Worker
from rooftune.graph.load import load
from rooftune.graph.model import Model
from rooftune.graph.seeded_weights import with_random_weights
from rooftune.machine.devices import find_machine
from rooftune.pipeline.samples import input_specs

ROOT = Path(__file__).parents[2]
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
BACKENDS = ("onnxruntime", "openvino")


def planned(model: Model, backend: str) -> tuple[set[frozenset[str]], set[str]]:
    """Groups of the analysis, and the nodes that are free: views and what is computed from constants."""
    found = analyze(model, find_machine("raspberry-pi-5"), threads=1, backend=backend)
    groups = {frozenset(g.nodes) for g in found.groups if g.kind == "compute"}
    free = {n.name for n in found.nodes} - {n for g in groups for n in g}
    return groups, free


def ran(path: Path, model: Model, backend: str, free: set[str]) -> set[frozenset[str]]:
    """Source nodes of every kernel of a profile, layout changes left out."""
    with Worker(find_backend(backend).default(1), path) as worker:
        worker.feed(random_inputs(input_specs(model)))
        profile = worker.profile(2)
    sets = {frozenset(k.source_nodes) - free for k in profile.kernels if k.how != "layout"}
    return sets - {frozenset()}


def digits(folder: Path) -> Path:
    path = folder / "digits.onnx"
    model = onnx.load(ROOT / "examples" / "digits" / "digits.onnx")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    del model.graph.value_info[:]
    onnx.save(model, path)
    return path


def encoder(folder: Path) -> Path:
    """Self-attention and a feed-forward layer, as exporters write them."""
    text = """<ir_version: 9, opset_import: ["" : 17]>
    block (float[1,32,64] x) => (float[1,32,64] y)
    <float[64,64] wq, float[64,64] wk, float[64,64] wv, float[64,64] wo, float[64,256] w1, float[256,64] w2,
     float[64] bq, float[64] b1, float[256] b2, int64[4] heads = {1, 32, 4, 16}, int64[3] flat = {1, 32, 64},
     float scale = {0.25}>
    {
      q0 = MatMul (x, wq)
      q1 = Add (q0, bq)
      q2 = Reshape (q1, heads)
      q = Transpose <perm = [0, 2, 1, 3]> (q2)
      k0 = MatMul (x, wk)
      k1 = Reshape (k0, heads)
      k = Transpose <perm = [0, 2, 3, 1]> (k1)
      v0 = MatMul (x, wv)
      v1 = Reshape (v0, heads)
      v = Transpose <perm = [0, 2, 1, 3]> (v1)
      s0 = MatMul (q, k)
      s1 = Mul (s0, scale)
      s = Softmax <axis = -1> (s1)
      a0 = MatMul (s, v)
      a1 = Transpose <perm = [0, 2, 1, 3]> (a0)
      a2 = Reshape (a1, flat)
      a = MatMul (a2, wo)
      f0 = MatMul (a, w1)
      f1 = Add (f0, b2)
      f2 = Relu (f1)
      y = MatMul (f2, w2)
    }"""
    model = onnx.parser.parse_model(text)
    generator = np.random.default_rng(0)
    known = {t.name for t in model.graph.initializer} | {o for n in model.graph.node for o in n.output}
    for info in [v for v in model.graph.value_info if v.name not in known]:
        dims = [d.dim_value for d in info.type.tensor_type.shape.dim]
        drawn = generator.standard_normal(dims).astype(np.float32) / 8
        model.graph.initializer.append(onnx.numpy_helper.from_array(drawn, info.name))
        model.graph.value_info.remove(info)
    onnx.save(model, folder / "encoder.onnx")
    return folder / "encoder.onnx"


def squeezenet(folder: Path) -> Path:
    return with_random_weights(LIGHT / "light_squeezenet.onnx", folder / "squeezenet.onnx", end_with_logits=True)


def shufflenet(folder: Path) -> Path:
    return with_random_weights(LIGHT / "light_shufflenet.onnx", folder / "shufflenet.onnx", end_with_logits=True)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("make", [digits, encoder, squeezenet, shufflenet], ids=lambda f: f.__name__)
def test_planned_groups_are_the_kernels_that_ran(make: object, backend: str, tmp_path: Path) -> None:
    path = make(tmp_path)  # type: ignore[operator]
    model = load(path)
    groups, free = planned(model, backend)
    kernels = ran(path, model, backend, free)
    assert groups - kernels == set(), f"{len(groups & kernels)} of {len(groups)} groups are kernels"
    assert kernels - groups == set()
