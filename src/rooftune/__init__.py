"""Rooftune makes a trained model run as fast as its machine allows, and shows the proof.

import rooftune

analysis = rooftune.analyze("model.onnx", batch=1)     # where every operator stands under the roof
outcome = rooftune.optimize("model.onnx", "out")       # the fastest verified way to run it here
run = rooftune.load("out")                             # {"input": array} -> {"output": array}
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rooftune.analysis.analyze import Analysis as Analysis
    from rooftune.deploy.deployment import Running as Running
    from rooftune.deploy.deployment import load as load
    from rooftune.errors import ConstraintNotMet as ConstraintNotMet
    from rooftune.errors import InputError as InputError
    from rooftune.errors import MissingDependency as MissingDependency
    from rooftune.errors import RooftuneError as RooftuneError
    from rooftune.pipeline.analyze import analyze as analyze
    from rooftune.pipeline.compare import compare as compare
    from rooftune.pipeline.optimize import Outcome as Outcome
    from rooftune.pipeline.optimize import optimize as optimize
    from rooftune.pipeline.profile import profile as profile
    from rooftune.pipeline.rewrite import RewriteOutcome as RewriteOutcome
    from rooftune.pipeline.rewrite import rewrite_graph as rewrite_graph
    from rooftune.quantities import Unknown as Unknown
    from rooftune.records import Record as Record

__version__ = "0.1.0"

# Imported when first asked for, so that `import rooftune` costs nothing.
_WHERE = {
    "Analysis": "rooftune.analysis.analyze",
    "ConstraintNotMet": "rooftune.errors",
    "InputError": "rooftune.errors",
    "MissingDependency": "rooftune.errors",
    "Outcome": "rooftune.pipeline.optimize",
    "Record": "rooftune.records",
    "RewriteOutcome": "rooftune.pipeline.rewrite",
    "RooftuneError": "rooftune.errors",
    "Running": "rooftune.deploy.deployment",
    "Unknown": "rooftune.quantities",
    "analyze": "rooftune.pipeline.analyze",
    "compare": "rooftune.pipeline.compare",
    "load": "rooftune.deploy.deployment",
    "optimize": "rooftune.pipeline.optimize",
    "profile": "rooftune.pipeline.profile",
    "rewrite_graph": "rooftune.pipeline.rewrite",
}

__all__ = [*sorted(_WHERE), "__version__"]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'rooftune' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
