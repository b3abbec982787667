"""Our own compiler as a backend: what every backend must do, on models it compiles and on those it does not."""

from .conformance import BackendConformance


class TestNative(BackendConformance):
    backend_name = "native"
