"""Running a model before and after its rewriting, both with all optimisation off."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
from numpy.typing import NDArray

from rooftune.graph.model import Model
from rooftune.graph.save import save_graph
from rooftune.ops import TensorType

Array = NDArray[Any]


def plain_session(content: bytes | str) -> onnxruntime.InferenceSession:
    """A session that runs the graph as it is written."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def evaluate(model: ir.Model) -> dict[str, Array]:
    """What a model without inputs computes."""
    session = plain_session(ir.to_proto(model).SerializeToString())
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, {}), strict=True))


def random_feed(model: Model, seed: int) -> dict[str, Array]:
    """Random values for every input; open dimensions are 2."""
    random = np.random.default_rng(seed)
    feed: dict[str, Array] = {}
    for name, kind in model.inputs.items():
        assert isinstance(kind, TensorType) and kind.dims is not None
        shape = [d if isinstance(d, int) else 2 for d in kind.dims]
        dtype = np.dtype(ml_dtypes.bfloat16 if kind.dtype.text == "bfloat16" else kind.dtype.text)
        values = random.standard_normal(shape) if dtype.kind == "f" else random.integers(0, 2, shape)
        feed[name] = np.asarray(values).astype(dtype)
    return feed


def run_model(before: Model, after: Model, feed: Mapping[str, Array], folder: Path) -> dict[str, tuple[Array, Array]]:
    """Outputs of both by name."""
    answers = []
    for label, model in (("before", before), ("after", after)):
        path = save_graph(model.ir, folder / f"{label}.onnx")
        answers.append(plain_session(str(path)).run(list(model.outputs), dict(feed)))
    return {name: (a, b) for name, a, b in zip(before.outputs, *answers, strict=True)}


def valid(model: Model) -> None:
    """ONNX's own checker has nothing to say."""
    onnx.checker.check_model(ir.to_proto(model.ir), full_check=True)
