"""Constant parts of a graph, computed by the engine results are judged by."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from rooftune.execute.backends.onnxruntime import reference_candidate, session_options

__all__ = ["evaluate_constants"]


def evaluate_constants(model: ir.Model) -> dict[str, NDArray[Any]]:
    """Outputs of a model without inputs in ONNX Runtime with every optimisation off."""
    import onnxruntime

    content = ir.to_proto(model).SerializeToString()
    session = onnxruntime.InferenceSession(
        content, session_options(reference_candidate()), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {}), strict=True))
