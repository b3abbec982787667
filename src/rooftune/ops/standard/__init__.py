"""The default ONNX domain (ai.onnx), one operator per file."""
