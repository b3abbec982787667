"""MACs of convolutions, matrix products and contractions against PyTorch's own counter, to the last one."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rooftune.ops import TensorType, Work, work_of
from rooftune.quantities import DType

torch = pytest.importorskip("torch")
SMALL = st.integers(1, 3)


def kind(tensor: Any) -> TensorType:
    return TensorType(DType.FLOAT32, tuple(tensor.shape))


def check(op_type: str, attributes: dict[str, Any], inputs: list[Any], run: Callable[..., Any]) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        y = run(*inputs)
    work = work_of("", op_type, attributes, [kind(t) for t in inputs], [kind(y)])
    assert isinstance(work, Work), work
    assert 2 * work.macs == counter.get_total_flops()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_convolutions(data: st.DataObject) -> None:
    batch, group, cin, cout, kh, kw = (data.draw(SMALL) for _ in range(6))
    stride, dilation, pad = data.draw(SMALL), data.draw(SMALL), data.draw(st.integers(0, 2))
    x = torch.ones(batch, group * cin, 8, 9)
    attributes = {"group": group, "strides": [stride] * 2, "dilations": [dilation] * 2}
    functional = torch.nn.functional
    check(
        "Conv",
        {**attributes, "pads": [pad] * 4},
        [x, torch.ones(group * cout, cin, kh, kw)],
        lambda x, w: functional.conv2d(x, w, None, stride, pad, dilation, group),
    )
    check(
        "ConvTranspose",
        attributes,
        [x, torch.ones(group * cin, cout, kh, kw)],
        lambda x, w: functional.conv_transpose2d(x, w, None, stride, 0, 0, group, dilation),
    )


# the counter has no rule for vectors (dot, mv): those are worked out by hand in the cases of MatMul
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((2, 3), (3, 4)),
        ((5, 2, 3), (3, 4)),
        ((5, 2, 3), (5, 3, 4)),
        ((7, 1, 2, 8), (3, 8, 5)),
        ((3,), (3, 4)),
        ((5,), (2, 5, 4)),
    ],
)
def test_matrix_products(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    check("MatMul", {}, [torch.ones(a), torch.ones(b)], torch.matmul)


@pytest.mark.parametrize(("transposed_a", "transposed_b"), list(itertools.product((0, 1), (0, 1))))
def test_gemm(transposed_a: int, transposed_b: int) -> None:
    a = torch.ones((3, 2) if transposed_a else (2, 3))
    b = torch.ones((4, 3) if transposed_b else (3, 4))
    check(
        "Gemm",
        {"transA": transposed_a, "transB": transposed_b},
        [a, b, torch.ones(4)],
        lambda a, b, c: torch.addmm(c, a.T if transposed_a else a, b.T if transposed_b else b),
    )


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk", [(2, 3), (3, 4)]),
        ("bhid,bhjd->bhij", [(2, 3, 4, 5), (2, 3, 6, 5)]),
        ("bsd,dhk->bhsk", [(2, 3, 4), (4, 5, 6)]),
        ("bij,bjk->ik", [(2, 3, 4), (2, 4, 5)]),
        ("...ij,...jk->...ik", [(4, 1, 2, 8), (3, 8, 4)]),
        ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)]),
        ("ij,kl,jk->il", [(2, 3), (4, 5), (3, 4)]),
        ("bn,anm,bm->ba", [(2, 5), (3, 5, 7), (2, 7)]),
        ("ab,bc->c", [(2, 3), (3, 4)]),
        ("ab,cd->", [(2, 3), (4, 5)]),
        ("iij,jk->ik", [(3, 3, 2), (2, 4)]),
        ("a,a,a->", [(4,), (4,), (4,)]),
        ("i,j->ij", [(2,), (3,)]),
        ("ii->", [(3, 3)]),
    ],
)
def test_einsum(equation: str, shapes: list[tuple[int, ...]]) -> None:
    check("Einsum", {"equation": equation}, [torch.ones(s) for s in shapes], lambda *t: torch.einsum(equation, *t))


def test_attention_is_two_matrix_products() -> None:
    q, k, v = torch.ones(2, 4, 5, 8), torch.ones(2, 4, 7, 8), torch.ones(2, 4, 7, 6)
    check("Attention", {}, [q, k, v], lambda q, k, v: torch.softmax(q @ k.transpose(-1, -2), -1) @ v)
