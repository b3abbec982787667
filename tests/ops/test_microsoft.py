"""Formulas of the operators that ONNX Runtime puts into its own optimised models, checked on such models.

Every model is optimised at the highest level and written out, then run with all its inner tensors as outputs: the
types are those of real arrays. The multiply-accumulates must be those of the source graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

from rooftune.ops import Operator, TensorType, Work, find, known_operators, work_of
from rooftune.quantities import DType, Unknown

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
LEVELS = ort.GraphOptimizationLevel
Array = np.ndarray[Any, Any]


def session(model: onnx.ModelProto | str, level: Any, written: Path | None = None) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if written is not None:
        options.optimized_model_filepath = str(written)
    source = model if isinstance(model, str) else model.SerializeToString()
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def optimise(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    session(model, LEVELS.ORT_ENABLE_ALL, folder / "optimised.onnx")
    return onnx.load(folder / "optimised.onnx")


def random_inputs(model: onnx.ModelProto) -> dict[str, Array]:
    random = np.random.default_rng(7)
    weights = {w.name for w in model.graph.initializer}
    inputs = {}
    for info in model.graph.input:
        if info.name in weights:
            continue
        tensor = info.type.tensor_type
        shape = [d.dim_value for d in tensor.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        # whole-number inputs are indices into tables of at least two rows
        drawn = random.integers(0, 2, shape) if np.issubdtype(dtype, np.integer) else random.standard_normal(shape)
        inputs[info.name] = drawn.astype(dtype)
    return inputs


def all_arrays(model: onnx.ModelProto) -> dict[str, Array]:
    """Every tensor of a run without further optimisation, weights included."""
    inputs = random_inputs(model)
    open_model = onnx.ModelProto()
    open_model.CopyFrom(model)
    del open_model.graph.output[:]
    names = [name for node in model.graph.node for name in node.output if name]
    open_model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    arrays = session(open_model, LEVELS.ORT_DISABLE_ALL).run(names, inputs)
    weights = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}
    return weights | inputs | dict(zip(names, arrays, strict=True))


def kind(array: Array) -> TensorType:
    return TensorType(DType.parse(array.dtype.name), tuple(array.shape))


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return {k: v.decode() if isinstance(v, bytes) else v for k, v in values.items()}


def count(model: onnx.ModelProto) -> dict[str, Any]:
    """MACs of a model from its real tensors; checks every node's bytes on the way."""
    arrays = all_arrays(model)
    macs = padding = 0
    for node in model.graph.node:
        inputs = [kind(arrays[name]) if name else None for name in node.input]
        outputs = [kind(arrays[name]) if name else None for name in node.output]
        work = work_of(node.domain, node.op_type, attributes(node), inputs, outputs)
        assert isinstance(work, Work), (node.op_type, work)
        op = find(node.domain, node.op_type)
        assert op is not None and work.reads is not None and work.writes is not None
        for counted, name, parameter in zip(work.reads, node.input, (*op.inputs, *[""] * len(node.input))):
            assert not isinstance(counted, Unknown)
            real = arrays[name].nbytes if name else 0
            assert counted <= real if parameter in op.reads_part else counted == real, (node.op_type, name)
        assert list(work.writes) == [arrays[name].nbytes if name else 0 for name in node.output], node.op_type
        macs, padding = macs + work.macs, padding + work.padding_macs
    return {"macs": macs, "padding": padding, "ops": Counter((n.domain, n.op_type) for n in model.graph.node)}


def test_resnet50_keeps_its_macs(tmp_path: Path) -> None:
    source = onnx.load(LIGHT / "light_resnet50.onnx")
    optimised = count(optimise(source, tmp_path))
    original = count(source)
    assert {"com.microsoft.nchwc"} <= {domain for domain, _ in optimised["ops"]}
    assert optimised["macs"] == original["macs"]
    assert optimised["padding"] == original["padding"]


def test_blocked_layout_counts_the_padded_channels(tmp_path: Path) -> None:
    """SqueezeNet ends in 1000 filters of 512 channels on a 13×13 map, which no block of 16 divides."""
    source = onnx.load(LIGHT / "light_squeezenet.onnx")
    model = optimise(source, tmp_path)
    widest = max((w.dims[0] for w in model.graph.initializer if len(w.dims) == 4 and w.dims[1] == 512), default=1000)
    assert widest in (1000, 1008)
    assert count(model)["macs"] - count(source)["macs"] == (widest - 1000) * 512 * 13 * 13


class Graph:
    """A small model under construction; weights are drawn from a fixed seed."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.random = np.random.default_rng(3)

    def add(self, op: str, *inputs: str, outputs: int = 1, **attrs: Any) -> Any:
        names = [f"{op.lower()}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attrs))
        return names[0] if outputs == 1 else names

    def weight(self, *shape: int) -> str:
        return self.constant(self.random.standard_normal(shape).astype(np.float32) * 0.1)

    def constant(self, value: Any) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def model(self, inputs: dict[str, tuple[int, list[int]]], output: str, opset: int = 17) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "made",
            [helper.make_tensor_value_info(n, t, s) for n, (t, s) in inputs.items()],
            [onnx.ValueInfoProto(name=output)],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        return onnx.shape_inference.infer_shapes(model)


BATCH, TOKENS, HIDDEN, HEADS = 2, 8, 32, 4


def linear(g: Graph, x: str, inputs: int, outputs: int) -> str:
    return str(g.add("Add", g.weight(outputs), g.add("MatMul", x, g.weight(inputs, outputs))))


def split_heads(g: Graph, x: str, perm: list[int]) -> str:
    shaped = g.add("Reshape", x, g.constant(np.array([0, 0, HEADS, HIDDEN // HEADS], np.int64)))
    return str(g.add("Transpose", shaped, perm=perm))


def encoder_block() -> onnx.ModelProto:
    """A transformer block as exporters write it: attention, residuals, layer norms, exact Gelu."""
    g = Graph()
    x = "x"
    q = split_heads(g, linear(g, x, HIDDEN, HIDDEN), [0, 2, 1, 3])
    k = split_heads(g, linear(g, x, HIDDEN, HIDDEN), [0, 2, 3, 1])
    v = split_heads(g, linear(g, x, HIDDEN, HIDDEN), [0, 2, 1, 3])
    scores = g.add("Div", g.add("MatMul", q, k), g.constant(np.float32(np.sqrt(HIDDEN / HEADS))))
    mixed = g.add("MatMul", g.add("Softmax", scores, axis=-1), v)
    merged = g.add(
        "Reshape", g.add("Transpose", mixed, perm=[0, 2, 1, 3]), g.constant(np.array([0, 0, HIDDEN], np.int64))
    )
    attended = g.add("Add", x, linear(g, merged, HIDDEN, HIDDEN))
    y = g.add("LayerNormalization", attended, g.weight(HIDDEN), g.weight(HIDDEN), axis=-1)
    wide = linear(g, y, HIDDEN, 4 * HIDDEN)
    erf = g.add("Erf", g.add("Div", wide, g.constant(np.float32(np.sqrt(2)))))
    gelu = g.add("Mul", g.add("Mul", wide, g.add("Add", erf, g.constant(np.float32(1)))), g.constant(np.float32(0.5)))
    out = g.add("Add", linear(g, gelu, 4 * HIDDEN, HIDDEN), y)
    last = g.add("LayerNormalization", out, g.weight(HIDDEN), g.weight(HIDDEN), axis=-1)
    return g.model({"x": (TensorProto.FLOAT, [BATCH, TOKENS, HIDDEN])}, last)


def rms_block() -> onnx.ModelProto:
    """RMS normalisation written out, a residual, SiLU and a scaled product with a transposed matrix."""
    g = Graph()
    total = g.add("Add", "x", "r")
    square = g.add("Pow", total, g.constant(np.float32(2)))
    mean = g.add("ReduceMean", square, axes=[-1], keepdims=1)
    root = g.add("Sqrt", g.add("Add", mean, g.constant(np.float32(1e-6))))
    normal = g.add("Mul", g.weight(HIDDEN), g.add("Div", total, root))
    wide = g.add("MatMul", normal, g.weight(HIDDEN, 64))
    silu = g.add("Mul", wide, g.add("Sigmoid", wide))
    turned = g.add("Transpose", silu, perm=[0, 2, 1])
    out = g.add("Mul", g.add("MatMul", silu, turned), g.constant(np.float32(0.25)))
    shape = [BATCH, TOKENS, HIDDEN]
    return g.model({"x": (TensorProto.FLOAT, shape), "r": (TensorProto.FLOAT, shape)}, out)


def residual_network() -> onnx.ModelProto:
    """Convolutions with a residual, Clip and pools, in sizes that fill blocks of 16 channels."""
    g = Graph()
    x = g.add("Relu", g.add("Conv", "x", g.weight(16, 3, 3, 3), g.weight(16), pads=[1, 1, 1, 1]))
    y = g.add("Conv", x, g.weight(16, 16, 3, 3), g.weight(16), pads=[1, 1, 1, 1])
    z = g.add("Relu", g.add("Add", y, x))
    pooled = g.add("MaxPool", z, kernel_shape=[2, 2], strides=[2, 2])
    deep = g.add("Conv", pooled, g.weight(16, 1, 3, 3), pads=[1, 1, 1, 1], group=16)
    six = g.add("Clip", deep, g.constant(np.float32(0)), g.constant(np.float32(6)))
    mean = g.add("GlobalAveragePool", g.add("AveragePool", six, kernel_shape=[2, 2], strides=[1, 1]))
    flat = g.add("Flatten", mean)
    out = g.add("Relu", g.add("Gemm", flat, g.weight(10, 16), g.weight(10), transB=1))
    return g.model({"x": (TensorProto.FLOAT, [1, 3, 12, 12])}, out)


def grouped_network() -> onnx.ModelProto:
    """Groups of six channels fit no block: convolutions stay plain, with activation and residual fused."""
    g = Graph()
    x = g.add("LeakyRelu", g.add("Conv", "x", g.weight(12, 3, 3, 3), g.weight(12), pads=[1, 1, 1, 1], group=2))
    y = g.add("Conv", x, g.weight(12, 6, 3, 3), g.weight(12), pads=[1, 1, 1, 1], group=2)
    out = g.add("Relu", g.add("Add", y, x))
    return g.model({"x": (TensorProto.FLOAT, [1, 6, 8, 8])}, out)


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (encoder_block, {"SkipLayerNormalization", "Gelu", "FusedMatMul"}),
        (rms_block, {"SimplifiedLayerNormalization", "QuickGelu", "FusedMatMul"}),
        (grouped_network, {"FusedConv"}),
        (residual_network, {"Conv", "MaxPool", "AveragePool", "FusedGemm", "ReorderOutput"}),
    ],
)
def test_fused_operators_keep_their_macs(
    build: Callable[[], onnx.ModelProto], expected: set[str], tmp_path: Path
) -> None:
    source = build()
    optimised = count(optimise(source, tmp_path))
    assert expected <= {op for _, op in optimised["ops"]}, optimised["ops"]
    assert optimised["macs"] == count(source)["macs"]


class Draws(CalibrationDataReader):
    """Three random samples for the calibration of the quantiser."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.samples = iter([random_inputs(model)] * 3)

    def get_next(self) -> dict[str, Array] | None:
        return next(self.samples, None)


@pytest.mark.parametrize(
    ("activations", "expected"),
    [
        (
            QuantType.QUInt8,
            {"QLinearConv", "QLinearAdd", "QLinearAveragePool", "QLinearGlobalAveragePool", "NhwcMaxPool", "QGemm"},
        ),
        # with signed activations the engine leaves some operators between their conversions, depending on the machine
        (QuantType.QInt8, {"QGemm"}),
    ],
)
def test_statically_quantised_networks_keep_their_macs(activations: Any, expected: set[str], tmp_path: Path) -> None:
    source = residual_network()
    onnx.save(source, tmp_path / "source.onnx")
    quantize_static(
        tmp_path / "source.onnx",
        tmp_path / "qdq.onnx",
        Draws(source),
        quant_format=QuantFormat.QDQ,
        activation_type=activations,
        weight_type=QuantType.QInt8,
    )
    optimised = count(optimise(onnx.load(tmp_path / "qdq.onnx"), tmp_path))
    assert expected <= {op for _, op in optimised["ops"]}, optimised["ops"]
    original = count(source)
    assert (optimised["macs"], optimised["padding"]) == (original["macs"], original["padding"])


def test_dynamically_quantised_products_keep_their_macs(tmp_path: Path) -> None:
    source = encoder_block()
    onnx.save(source, tmp_path / "source.onnx")
    quantize_dynamic(tmp_path / "source.onnx", tmp_path / "dynamic.onnx", weight_type=QuantType.QInt8)
    optimised = count(optimise(onnx.load(tmp_path / "dynamic.onnx"), tmp_path))
    assert {"DynamicQuantizeMatMul", "MatMulIntegerToFloat"} & {op for _, op in optimised["ops"]}, optimised["ops"]
    assert optimised["macs"] == count(source)["macs"]


NO_KERNEL = {
    "BiasAdd", "BiasSoftmax", "BiasSplitGelu", "ComplexMul", "FusedMatMulActivation", "GroupNorm", "NhwcConv",
    "NhwcFusedConv", "QLinearReduceMean", "SkipGroupNorm",
}  # fmt: skip
"""Operators that ONNX Runtime runs on other processors only."""

NOT_ON_CPU = {("MoE", 1), ("MultiHeadAttention", 1)}
"""Cases whose form (a third layer, packed queries) the CPU kernel refuses."""

DECISIVE: dict[tuple[str, int], dict[int, Any]] = {
    ("ConvTransposeWithDynamicPads", 0): {2: [0, 0, 0, 0]},
    ("ConvTransposeWithDynamicPads", 1): {2: [1, 1, 1, 1]},
    ("CropAndResize", 0): {3: [2, 3]},
    ("CropAndResize", 1): {3: [2, 2]},
    ("GroupQueryAttention", 0): {5: [7], 6: 8},
    ("GroupQueryAttention", 1): {5: [2], 6: 3},
    ("Pad", 0): {1: [1, 1, 1, 1]},
    ("Unique", 1): {0: [5, 5, 6, 7, 5, 6, 7, 7]},
}
"""Input values that decide the shape of the result, per case and position."""


def closed_cases() -> list[Any]:
    """The worked cases of the com.microsoft operators that can be run here: all shapes are numbers."""
    found = []
    for op in known_operators():
        if op.domain != "com.microsoft" or op.name in NO_KERNEL:
            continue
        for i, case in enumerate(op.cases):
            tensors = [t for t in (*case.inputs, *case.outputs) if isinstance(t, TensorType)]
            closed = all(isinstance(d, int) for t in tensors for d in t.shape)
            if closed and not isinstance(case.flops, Unknown) and (op.name, i) not in NOT_ON_CPU:
                found.append(pytest.param(op, i, id=f"{op.name}-{i}"))
    return found


def drawn(t: TensorType, random: np.random.Generator) -> Array:
    dtype = np.dtype(t.dtype.text)
    if dtype.kind == "f":
        return np.asarray(0.1 + random.random(t.shape)).astype(dtype)
    return np.asarray(random.integers(0, 2, t.shape)).astype(dtype)


@pytest.mark.parametrize(("op", "index"), closed_cases())
def test_the_worked_cases_run(op: Operator, index: int) -> None:
    """ONNX Runtime accepts the node of a case and answers in the types the case states."""
    case, random = op.cases[index], np.random.default_rng(11)
    inputs = {n: np.asarray(drawn(t, random)) for n, t in enumerate(case.inputs) if isinstance(t, TensorType)}
    for n, values in DECISIVE.get((op.name, index), {}).items():
        inputs[n] = np.asarray(values, inputs[n].dtype)
    outputs = {n: t for n, t in enumerate(case.outputs) if isinstance(t, TensorType)}
    node = helper.make_node(
        op.name,
        [f"i{n}" if n in inputs else "" for n in range(len(case.inputs))],
        [f"o{n}" if n in outputs else "" for n in range(len(case.outputs))],
        domain=op.domain,
        **case.attributes,
    )
    graph = helper.make_graph(
        [node],
        "case",
        [
            helper.make_tensor_value_info(f"i{n}", helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
            for n, a in inputs.items()
        ],
        [onnx.ValueInfoProto(name=f"o{n}") for n in outputs],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(op.domain, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    made = session(model, LEVELS.ORT_DISABLE_ALL).run(
        [f"o{n}" for n in outputs], {f"i{n}": a for n, a in inputs.items()}
    )
    for array, expected in zip(made, outputs.values(), strict=True):
        assert (array.shape, array.dtype.name) == (expected.shape, expected.dtype.text)
