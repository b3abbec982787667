"""The com.microsoft operators that ONNX Runtime writes into its optimised models, one per file."""
