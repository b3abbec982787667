"""The light networks of the field and their classic baselines, to build, export and hold counts against."""

from __future__ import annotations

from rooftune.zoo.catalog import Oracle, blueprint, build, example_inputs, input_names, names, oracle
from rooftune.zoo.export import export

__all__ = ["Oracle", "blueprint", "build", "example_inputs", "export", "input_names", "names", "oracle"]
