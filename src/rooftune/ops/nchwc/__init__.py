"""ONNX Runtime's blocked layout (com.microsoft.nchwc), one operator per file.

Activations are laid out N, C/b, H, W, b with a block of b channels that fills a vector register (8 or 16 floats).
The shapes keep the order N, C, H, W, with C rounded up to the block: the padded channels are computed, read and
written, so counts and bytes include them.
"""
