import pytest

from .conformance import BackendConformance

pytest.importorskip("openvino", reason="the extra is not installed")


class TestOpenVino(BackendConformance):
    backend_name = "openvino"
