"""Fusion into standard operators: modules that PyTorch's exporters write out, and random spellings of one formula."""

from __future__ import annotations

import io
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rooftune.graph.load import load_proto
from rooftune.graph.model import Model
from rooftune.graph.text import model_of_text
from rooftune.rewrite.engine import Rewritten, rewrite
from rooftune.rewrite.order import all_steps
from rooftune.rewrite.rule import Rule
from tests.rewrite.running import random_feed, run_model, valid

FUSIONS = (
    "fuse_gelu_erf",
    "fuse_gelu_tanh",
    "fuse_hardswish",
    "fuse_hardsigmoid",
    "fuse_mish",
    "fuse_leakyrelu",
    "fuse_instancenorm",
    "fuse_layernorm",
    "fuse_rmsnorm",
    "fuse_softmax",
    "fold_affine_into_normalization",
)


class GeluErf(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0)))


class GeluTanh(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))))


class FastGelu(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0.5 * x * (1.0 + torch.tanh(x * 0.7978845608 * (1.0 + 0.044715 * x * x)))


class HardSwish(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * nn.functional.relu6(x + 3.0) / 6.0


class HardSigmoid(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.relu6(x + 3.0, inplace=True) / 6.0


class Mish(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.tanh(nn.functional.softplus(x))


class LayerNorm(nn.Module):
    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(width)), nn.Parameter(torch.randn(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean(-1, keepdim=True)
        variance = (x - mean).pow(2).mean(-1, keepdim=True)
        return self.weight * ((x - mean) / torch.sqrt(variance + 1e-6)) + self.bias


class ImageNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(4, 1, 1)), nn.Parameter(torch.randn(1, 4, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.reshape(2, 4, 3, 4)
        mean = x.mean((2, 3), keepdim=True)
        d = x - mean
        return d / torch.sqrt((d * d).mean((2, 3), keepdim=True) + 1e-5) * self.weight + self.bias


class RmsNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


class Softmax(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        e = torch.exp(x - torch.amax(x, dim=1, keepdim=True))
        return e / e.sum(dim=1, keepdim=True)


class Encoder(nn.Module):
    """A small transformer encoder layer with nothing left to the exporter's own operators."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = LayerNorm(), LayerNorm()
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)
        self.wide, self.narrow, self.act = nn.Linear(16, 32), nn.Linear(32, 16), GeluErf()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(self.first(x)).reshape(2, 3, 3, 4, 4).permute(2, 0, 3, 1, 4)
        score = q @ k.transpose(-2, -1) * 0.5
        weight = torch.exp(score - torch.amax(score, dim=-1, keepdim=True))
        mixed = (weight / weight.sum(dim=-1, keepdim=True)) @ v
        x = x + self.out(mixed.transpose(1, 2).reshape(2, 3, 16))
        return x + self.narrow(self.act(self.wide(self.second(x))))


def exported(module: nn.Module, opset: int, *, dynamo: bool) -> Model:
    """A module as one of PyTorch's two exporters writes it."""
    torch.manual_seed(0)
    x = torch.randn(2, 3, 16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            program = torch.onnx.export(module.eval(), (x,), dynamo=True, opset_version=opset, verbose=False)
            assert program is not None
            return load_proto(program.model_proto)
        buffer = io.BytesIO()
        torch.onnx.export(module.eval(), (x,), buffer, dynamo=False, opset_version=opset)
    return load_proto(onnx.load_from_string(buffer.getvalue()))


def fused(model: Model, folder: Path, *names: str) -> Rewritten:
    """The model after all fusions, seen to be valid and to answer the same."""
    found = rewrite(model, [all_steps()[name] for name in names or FUSIONS])
    valid(found.model)
    for seed in (1, 2):
        for name, (before, after) in run_model(model, found.model, random_feed(model, seed), folder).items():
            same(name, before, after, found.exactness.tolerance_for(str(before.dtype)))
    return found


def same(name: str, before: Any, after: Any, tolerance: float) -> None:
    assert before.shape == after.shape and before.dtype == after.dtype, name
    before, after = before.astype(np.float64), after.astype(np.float64)
    assert np.abs(before - after).max() <= tolerance * np.abs(before).max(), name


def counts(found: Rewritten) -> dict[str, int]:
    rules = [a.rule for a in found.journal.applied]
    return {rule: rules.count(rule) for rule in rules}


def since(name: str) -> int:
    step = all_steps()[name]
    assert isinstance(step, Rule)
    return step.since


MODULES: tuple[tuple[type[nn.Module], str, str], ...] = (
    (GeluErf, "fuse_gelu_erf", "Gelu"),
    (GeluTanh, "fuse_gelu_tanh", "Gelu"),
    (FastGelu, "fuse_gelu_tanh", "Gelu"),
    (HardSwish, "fuse_hardswish", "HardSwish"),
    (HardSigmoid, "fuse_hardsigmoid", "HardSigmoid"),
    (Mish, "fuse_mish", "Mish"),
    (LayerNorm, "fuse_layernorm", "LayerNormalization"),
    (ImageNorm, "fuse_instancenorm", "InstanceNormalization"),
    (Softmax, "fuse_softmax", "Softmax"),
)


@pytest.mark.parametrize("opset", [13, 17, 20])
@pytest.mark.parametrize(("kind", "rule", "op"), MODULES)
def test_module_of_torchscript(kind: type[nn.Module], rule: str, op: str, opset: int, tmp_path: Path) -> None:
    found = fused(exported(kind(), opset, dynamo=False), tmp_path)
    kinds = [n.op_type for n in found.model.ir.graph if n.op_type not in ("Constant", "Reshape")]
    if opset >= since(rule):
        assert kinds == [op]
        assert counts(found)[rule] == 1
    else:
        assert op not in kinds


def test_rms_needs_its_operator(tmp_path: Path) -> None:
    found = fused(exported(RmsNorm(), 20, dynamo=False), tmp_path)
    assert not found.journal.applied


@pytest.mark.parametrize("dynamo", [False, True])
def test_encoder(dynamo: bool, tmp_path: Path) -> None:
    found = fused(exported(Encoder(), 20, dynamo=dynamo), tmp_path)
    assert counts(found) == {
        "fuse_layernorm": 2,
        "fold_affine_into_normalization": 4,
        "fuse_softmax": 1,
        "fuse_gelu_erf": 1,
    }


def test_own_operators_of_pytorch_stay(tmp_path: Path) -> None:
    module = nn.Sequential(nn.LayerNorm(16), nn.GELU(), nn.Hardswish(), nn.SiLU(), nn.Hardsigmoid())
    model = exported(module, 20, dynamo=False)
    before = [n.op_type for n in model.ir.graph]
    found = fused(model, tmp_path)
    assert [n.op_type for n in found.model.ir.graph] == before


def test_prelu_with_one_slope(tmp_path: Path) -> None:
    found = fused(exported(nn.PReLU(), 17, dynamo=False), tmp_path)
    assert [n.op_type for n in found.model.ir.graph] == ["LeakyRelu"]
    for before, after in run_model(
        exported(nn.PReLU(), 17, dynamo=False), found.model, random_feed(found.model, 3), tmp_path
    ).values():
        np.testing.assert_array_equal(before, after)


# random spellings of a product, each constant scalar or of rank 1, in float32 or float16


@st.composite
def product(draw: st.DrawFn, factors: list[str], out: str) -> str:
    """Multiplications of some values in a random order, as ONNX text."""
    order = draw(st.permutations(factors))
    lines, last = [], order[0]
    for place, factor in enumerate(order[1:]):
        name = out if place == len(order) - 2 else f"{out}{place}"
        pair = draw(st.permutations([last, factor]))
        lines.append(f"{name} = Mul({pair[0]}, {pair[1]})")
        last = name
    return " ".join(lines)


def number(value: float, dtype: str) -> str:
    """A constant as ONNX's text format wants it: float16 as the integer with the same bits."""
    return str(np.float16(value).view(np.uint16)) if dtype == "float16" else repr(value)


NUMBERS = {
    "one": 1.0, "half": 0.5, "root": 0.70710678, "k": 0.044715, "slope": 0.79788456, "three": 3.0, "sixth": 0.16666667,
}  # fmt: skip
BOUNDS = {"zero": 0.0, "unit": 1.0, "six": 6.0}
FORMS = {"erf": "root", "tanh": "k", "clip": "sixth", "unit clip": "half"}
"""The formulas and the constant of each that is spoilt to see that it matters."""


@settings(max_examples=40, deadline=None)
@given(
    st.data(),
    st.sampled_from(["float", "float16"]),
    st.sampled_from(sorted(FORMS)),
    st.booleans(),
    st.sampled_from(["", "[1]", "[1,1]", "[1,1,1]"]),
)
def test_spelling(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, dtype: str, form: str, spoilt: bool, rank: str
) -> None:
    def plus(out: str, first: str, second: str) -> str:
        pair = data.draw(st.permutations([first, second]))
        return f"{out} = Add({pair[0]}, {pair[1]})"

    def times(out: str, *factors: str) -> str:
        return data.draw(product(list(factors), out))

    if form == "erf":
        lines = [times("a", "x", "root"), "e = Erf(a)", plus("p", "e", "one"), times("y", "x", "p", "half")]
    elif form == "tanh":
        lines = [times("c", "x", "x", "x", "k"), plus("s", "x", "c"), times("a", "s", "slope"), "e = Tanh(a)"]
        lines += [plus("p", "e", "one"), times("y", "x", "p", "half")]
    elif form == "clip":
        lines = [plus("a", "x", "three"), "c = Clip(a, zero, six)", times("y", "x", "c", "sixth")]
    else:
        lines = [times("a", "x", "sixth"), plus("s", "a", "half"), "c = Clip(s, zero, unit)", times("y", "x", "c")]
    numbers = {name: value * (1.1 if spoilt and name == FORMS[form] else 1.0) for name, value in NUMBERS.items()}
    constants = [f"{dtype}{rank} {name} = {{{number(value, dtype)}}}" for name, value in numbers.items()]
    constants += [f"{dtype} {name} = {{{number(value, dtype)}}}" for name, value in BOUNDS.items()]
    shape = "[1,N,5]" if rank == "[1,1,1]" else "[N,5]"
    model = model_of_text(f"({dtype}[N,5] x) => ({dtype}{shape} y) <{', '.join(constants)}> {{ {' '.join(lines)} }}")
    rule = {"erf": "fuse_gelu_erf", "tanh": "fuse_gelu_tanh"}.get(form, "fuse_hardswish")
    found = fused(model, tmp_path_factory.mktemp("spelling"), rule)
    wanted = not spoilt and rank != "[1,1,1]"
    assert (len(list(found.model.ir.graph)) == 1) == wanted


OVER_ROOT = ("q = Sqrt(e) n = Div(d, q)", "q = Sqrt(e) r = Reciprocal(q) n = Mul(r, d)",
             "q = Sqrt(e) r = Div(one, q) n = Mul(d, r)", "r = Pow(e, minus) n = Mul(d, r)")  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 4), min_size=2, max_size=4),
    st.data(),
    st.sampled_from(["float", "float16", "double"]),
    st.sampled_from(["centred", "RMS"]),
    st.sampled_from(OVER_ROOT),
)
def test_normalisation_over_any_axes(
    tmp_path_factory: pytest.TempPathFactory,
    dims: list[int],
    data: st.DataObject,
    dtype: str,
    form: str,
    over_root: str,
) -> None:
    rank = len(dims)
    axes = data.draw(st.lists(st.integers(0, rank - 1), min_size=1, max_size=rank, unique=True))
    written = [a - rank if data.draw(st.booleans()) else a for a in axes]
    affine = data.draw(st.lists(st.booleans(), min_size=rank, max_size=rank))
    constant = [d if keep else 1 for d, keep in zip(dims, affine, strict=True)]
    cut = data.draw(st.integers(0, rank))
    if all(d == 1 for d in constant[:cut]):
        constant = constant[cut:]
    shape, affine_shape = ",".join(map(str, dims)), ",".join(map(str, constant))
    first = "m = ReduceMean(x, axes) d = Sub(x, m)" if form == "centred" else "d = Identity(x)"
    values = {"eps": 0.01, "two": 2.0, "one": 1.0, "minus": -0.5}
    scalars = ", ".join(f"{dtype} {name} = {{{number(v, dtype)}}}" for name, v in values.items())
    text = f"""({dtype}[{shape}] x) => ({dtype}[{shape}] y)
    <int64[{len(axes)}] axes = {{{",".join(map(str, written))}}}, {scalars},
     {dtype}[{affine_shape}] var_s, {dtype}[{affine_shape}] b>
    {{ {first} p = Pow(d, two) v = ReduceMean(p, axes) e = Add(v, eps) {over_root} s = Mul(n, var_s) y = Add(s, b) }}"""
    found = fused(model_of_text(text, opset=23), tmp_path_factory.mktemp("normalisation"))
    kinds = [n.op_type for n in found.model.ir.graph]
    last = sorted(axes) == list(range(rank - len(axes), rank))
    image = form == "centred" and rank == 4 and sorted(axes) == [2, 3]
    if last and not image:
        assert ("LayerNormalization" if form == "centred" else "RMSNormalization") in kinds
    elif image and dtype != "double":
        assert "InstanceNormalization" in kinds
    else:
        assert "ReduceMean" in kinds


def test_what_a_branch_reads_from_outside_stays_outside(tmp_path: Path) -> None:
    model = model_of_text(
        """(float[2,3] x, bool c) => (float[2,3] y)
        <float root = {0.70710678}, float one = {1.0}, float half = {0.5}>
        { a = Mul(x, root) e = Erf(a)
          y = If <
            then_branch = yes () => (float[2,3] t) { p = Add(e, one) q = Mul(x, p) t = Mul(q, half) },
            else_branch = no () => (float[2,3] f)
              { b = Mul(x, root) r = Erf(b) s = Add(r, one) u = Mul(x, s) f = Mul(u, half) }
          > (c) }"""
    )
    found = fused(model, tmp_path)
    assert counts(found) == {"fuse_gelu_erf": 1}
    assert ["outside" in r.reason for r in found.journal.refused] == [True]
