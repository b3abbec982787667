"""Each case is a source graph, what an engine made of it, and who computes what."""

from __future__ import annotations

from rooftune.execute.attribution import Attribution, EngineNode, SourceGraph, SourceNode, attribute


def source(*lines: str, constants: str = "") -> SourceGraph:
    """`out = Type(a, b)` per node; nodes are called by their type and output."""
    nodes = []
    for line in lines:
        output, _, call = line.partition(" = ")
        type_, _, inputs = call.rstrip(")").partition("(")
        names = tuple(i.strip() for i in inputs.split(",") if i.strip())
        nodes.append(SourceNode(f"{type_}:{output}", type_, names, (output,), label=""))
    return SourceGraph(nodes, frozenset(constants.split()))


def engine(*lines: str, closed: bool = False) -> list[EngineNode]:
    """`key: out = Type(a, b) < hint` per kernel."""
    kernels = []
    for line in lines:
        key, _, rest = line.partition(": ")
        rest, _, hints = rest.partition(" < ")
        output, _, call = rest.partition(" = ")
        type_, _, inputs = call.rstrip(")").partition("(")
        names = tuple(i.strip() for i in inputs.split(",") if i.strip())
        kernels.append(EngineNode(key, type_, names, (output,), tuple(hints.split()), closed))
    return kernels


def nodes(found: dict[str, Attribution]) -> dict[str, str]:
    return {key: " ".join(a.nodes) for key, a in found.items()}


RESIDUAL = source(
    "c1 = Conv(x, w1)", "n1 = BatchNormalization(c1, s)", "r1 = Relu(n1)",
    "c2 = Conv(r1, w2)", "a = Add(c2, r1)", "r2 = Relu(a)", "p = MaxPool(r2)",
    constants="w1 w2 s",
)  # fmt: skip


def test_blocked_kernels_named_after_their_first_tensor_own_what_was_fused_behind() -> None:
    found = attribute(
        RESIDUAL,
        engine(
            "in: t0 = ReorderInput(x)", "k1: t1 = Conv(t0, v1) < c1_nchwc c1",
            "k2: t2 = Conv(t1, v2, t1) < c2_nchwc c2",
            "k3: t3 = MaxPool(t2) < p_nchwc p", "out: p = ReorderOutput(t3)",
        ),
    )  # fmt: skip
    assert nodes(found) == {
        "in": "Conv:c1 BatchNormalization:n1 Relu:r1",
        "k1": "Conv:c1 BatchNormalization:n1 Relu:r1",
        "k2": "Conv:c2 Add:a Relu:r2",
        "k3": "MaxPool:p",
        "out": "MaxPool:p",
    }
    assert found["in"].how == found["out"].how == "layout" and found["k2"].how == "name"


def test_fused_kernels_own_what_lies_between_their_tensors() -> None:
    found = attribute(
        RESIDUAL, engine("k1: r1 = FusedConv(x, w1)", "k2: r2 = FusedConv(r1, w2)", "k3: p = MaxPool(r2)")
    )
    assert nodes(found) == {
        "k1": "Conv:c1 BatchNormalization:n1 Relu:r1",
        "k2": "Conv:c2 Add:a Relu:r2",
        "k3": "MaxPool:p",
    }


def test_layers_an_engine_lists_end_with_the_last_one_named() -> None:
    found = attribute(
        RESIDUAL,
        engine("k1: @1 = Convolution(@x) < Mul_17 n1 r1", "k2: @2 = Convolution(@1) < a r2", "k3: @3 = Pooling(@2) < p",
               closed=True),
    )  # fmt: skip
    assert nodes(found) == {
        "k1": "Conv:c1 BatchNormalization:n1 Relu:r1",
        "k2": "Conv:c2 Add:a Relu:r2",
        "k3": "MaxPool:p",
    }


def test_quantised_kernels_take_the_dequantisers_in_front() -> None:
    qdq = source(
        "q0 = QuantizeLinear(x, s)", "d0 = DequantizeLinear(q0, s)", "wd = DequantizeLinear(wq, s)",
        "c = Conv(d0, wd)", "r = Relu(c)", "q1 = QuantizeLinear(r, s)", "y = DequantizeLinear(q1, s)",
        constants="wq s",
    )  # fmt: skip
    found = attribute(
        qdq, engine("a: q0 = QuantizeLinear(x, s)", "b: q1 = QLinearConv(q0, wq)", "c: y = DequantizeLinear(q1)")
    )
    assert nodes(found) == {
        "a": "QuantizeLinear:q0",
        "b": "DequantizeLinear:d0 Conv:c Relu:r QuantizeLinear:q1",
        "c": "DequantizeLinear:y",
    }


def test_an_engines_own_transposes_are_looked_through() -> None:
    qdq = source("c = Conv(x, w)", "q = QuantizeLinear(c, s)", "y = Neg(q)", constants="w s")
    found = attribute(
        qdq, engine("t1: x2 = Transpose(x)", "k: q2 = QLinearConv(x2, w)", "t2: q = Transpose(q2)", "n: y = Neg(q)")
    )
    assert nodes(found)["k"] == "Conv:c QuantizeLinear:q" and found["k"].how == "tensors"
    assert found["t1"].how == found["t2"].how == "layout"


def test_a_transpose_the_model_asks_for_is_its_own() -> None:
    found = attribute(
        source("t = Transpose(x)", "y = MatMul(t, w)", constants="w"),
        engine("a: t = Transpose(x)", "b: y = MatMul(t, w)"),
    )
    assert nodes(found) == {"a": "Transpose:t", "b": "MatMul:y"}


def test_weights_tell_who_works_between_reshapes() -> None:
    found = attribute(
        source("m = MatMul(x, w)", "b = Add(m, v)", "y = Reshape(b, s)", constants="w v s"),
        engine("r1: g = Reshape(x, s1)", "k: h = Gemm(g, w, v)", "r2: y = Reshape(h, s2)"),
    )
    assert nodes(found)["k"] == "MatMul:m Add:b" and nodes(found)["r2"] == "Reshape:y"


def test_a_renamed_kernel_is_known_by_its_place() -> None:
    found = attribute(
        source("a = Neg(x)", "h = HardSigmoid(a)", "y = Exp(h)"),
        engine("k1: a = Neg(x)", "k2: t = HardSigmoid(a)", "k3: y = Exp(t)"),
    )
    assert nodes(found) == {"k1": "Neg:a", "k2": "HardSigmoid:h", "k3": "Exp:y"}
    assert found["k2"].how == "tensors"


def test_one_operator_run_as_several_kernels() -> None:
    found = attribute(
        source("a = Neg(x)", "l = LayerNormalization(a, s)", "y = Exp(l)", constants="s"),
        engine("k1: a = Neg(x)", "k2: t = MVN(a)", "k3: l = Multiply(t)", "k4: y = Exp(l)"),
    )
    assert nodes(found)["k2"] == nodes(found)["k3"] == "LayerNormalization:l"
    assert found["k2"].how == "tensors"


def test_a_guess_is_called_one() -> None:
    found = attribute(
        source("a = Neg(x)", "b = Abs(x)", "y = Exp(a)", "z = Log(b)"),
        engine("k1: y = NegExp(x)", "k2: z = AbsLog(u)", "k3: u = Mystery(y)"),
    )
    assert found["k3"].how == "neighbour" and found["k3"].nodes


def test_constants_belong_to_nobody_unless_they_are_computed() -> None:
    graph = source("f = DequantizeLinear(w, s)", "y = Mul(x, f)", constants="w s")
    assert nodes(attribute(graph, engine("k: y = Mul(x, c)"))) == {"k": "Mul:y"}
    computed = attribute(graph, engine("d: f = DequantizeLinear(w, s)", "k: y = Mul(x, f)"))
    assert nodes(computed) == {"d": "DequantizeLinear:f", "k": "Mul:y"}


def test_nothing_in_common() -> None:
    assert attribute(source("y = Neg(x)"), engine("k: t = Other(u)")) == {"k": Attribution()}
