"""Every model of the ONNX backend suite is analysed; what nobody can state the work of is listed here with its reason."""

from __future__ import annotations

import warnings
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx.backend.test.loader import load_model_tests

import rooftune
from rooftune.graph.load import load_proto
from rooftune.quantities import Unknown

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator")
BATCHES = 8
