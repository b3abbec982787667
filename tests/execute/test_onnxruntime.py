from .conformance import BackendConformance


class TestOnnxRuntime(BackendConformance):
    backend_name = "onnxruntime"
