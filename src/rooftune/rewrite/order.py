"""Which rules and sweeps there are, and in which order they speak."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from rooftune.errors import InputError
from rooftune.rewrite import rules as folder
from rooftune.rewrite.rule import Rule
from rooftune.rewrite.sweep import Sweep

__all__ = ["ORDER", "Step", "all_steps", "choose_steps", "default_steps"]

Step = Rule | Sweep

ORDER: tuple[str, ...] = (
    # sweeps over whole graphs
    "lift_constants",
    "inline_decided_if",
    "fold_shapes",
    "fold_constants",
    "merge_duplicate_initialisers",
    "eliminate_common_subexpressions",
    "remove_dead_nodes",
    "merge_slices_into_split",
    "push_transpose_down",
    "route_channels",
    "move_view_before_split",
    # what does nothing
    "remove_noop_identity",
    "remove_noop_dropout",
    "replace_castlike_by_cast",
    "replace_sequence_by_split",
    "remove_noop_cast",
    "remove_noop_reshape",
    "remove_noop_transpose",
    "remove_noop_slice",
    "remove_noop_pad",
    "remove_noop_expand",
    "remove_noop_concat",
    "remove_noop_split",
    "remove_noop_tile",
    "remove_noop_resize",
    "remove_noop_reduction",
    "remove_neutral_operand",
    "remove_repeated_operator",
    "remove_decided_where",
    # what undoes or continues what stands before it
    "merge_casts",
    "merge_squeeze_unsqueeze",
    "simplify_reshape_target",
    "merge_reshapes",
    "merge_transposes",
    "merge_views_around_transpose",
    "turn_transpose_into_reshape",
    "merge_concats",
    "merge_pads",
    "remove_split_concat_pair",
    # spelled-out operators, before arithmetic changes their spelling
    "fuse_softmax",
    "fuse_layernorm",
    "fuse_rmsnorm",
    "fuse_instancenorm",
    "fuse_gelu_erf",
    "fuse_gelu_tanh",
    "fuse_hardswish",
    "fuse_hardsigmoid",
    "fuse_mish",
    "fuse_leakyrelu",
    # into the weights next to it
    "fold_batchnorm_into_conv",
    "fold_scale_into_conv",
    "fold_shift_into_conv",
    "fold_batchnorm_before_conv",
    "fold_scale_before_conv",
    "fold_shift_before_conv",
    "fold_affine_into_batchnorm",
    "fold_affine_into_normalization",
    "fold_batchnorm_into_gemm",
    "fold_scale_into_gemm",
    "fold_shift_into_gemm",
    "fold_transpose_into_gemm",
    "fold_scale_into_matmul",
    "merge_matmul_scales",
    "fuse_matmul_add_into_gemm",
    "fold_pad_into_conv",
    "fold_pad_into_pool",
    "move_scale_before_relu",
    # parallel branches become one convolution
    "merge_parallel_convs",
    "merge_identity_into_conv",
    "merge_batchnorm_into_conv_sum",
    "merge_scale_into_conv_sum",
    "merge_average_pool_into_conv_sum",
    # arithmetic
    "replace_min_max_by_clip",
    "replace_max_by_relu",
    "merge_clips",
    "replace_div_by_reciprocal",
    "fold_reciprocal",
    "fold_negation",
    "replace_pow_by_mul",
    "replace_sub_by_add",
    "replace_div_by_mul",
    "replace_sum_by_add",
    "merge_consecutive_muls",
    "merge_consecutive_adds",
    "factor_common_operand",
    # channel shuffles that no routing took away
    "remove_channel_shuffle",
    # quantised graphs
    "remove_redundant_qdq",
    "remove_relu_before_quantize",
    "remove_relu_after_dequantize",
    "move_shape_ops_to_integers",
    "move_concat_to_integers",
    "move_split_to_integers",
    # what pays only on some machines and shapes
    "merge_pointwise_convs",
    "merge_concatenated_convs",
    "merge_unlike_convs",
    "merge_consecutive_gemms",
    "merge_consecutive_matmuls",
    "reassociate_matmul",
    "split_conv_over_concat",
)
"""The default rewrites. At one node the first that applies wins; sweeps run before the rules of a round."""


@cache
def all_steps() -> dict[str, Step]:
    """Every rule and sweep by name: those of `ORDER` first, then those that are only used when asked for."""
    found: dict[str, Step] = {}
    for module in pkgutil.iter_modules(folder.__path__):
        loaded = importlib.import_module(f"{folder.__name__}.{module.name}")
        for kind in vars(loaded).values():
            if isinstance(kind, type) and issubclass(kind, Rule | Sweep) and kind.__module__ == loaded.__name__:
                step = kind()
                found[step.name] = step
    ordered = {name: found.pop(name) for name in ORDER}
    return {**ordered, **found}


def default_steps() -> tuple[Step, ...]:
    """What `rewrite` does when nothing else is said."""
    return tuple(all_steps()[name] for name in ORDER)


def choose_steps(only: tuple[str, ...] = (), skip: tuple[str, ...] = ()) -> tuple[Step, ...]:
    """The rules named in `only` (default: the default ones) without those in `skip`; InputError for unknown names."""
    known = all_steps()
    unknown = next((name for name in (*only, *skip) if name not in known), None)
    if unknown is not None:
        raise InputError(f"there is no rule {unknown!r}", "`rooftune rules` lists them")
    names = [name for name in known if name in only] if only else [s.name for s in default_steps()]
    return tuple(known[name] for name in names if name not in skip)
