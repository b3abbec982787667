"""EmbedLayerNormalization: word, position and segment rows looked up, added and normalised."""

from rooftune.ops.case import Case
from rooftune.ops.normalisation import standardise
from rooftune.ops.operator import operator
from rooftune.ops.picks import picked_bytes
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import product


@operator("EmbedLayerNormalization", domain="com.microsoft")
class EmbedLayerNormalization:
    reads_part = ("word_embedding", "position_embedding", "segment_embedding")

    def work(
        self,
        input_ids: TensorType,
        segment_ids: TensorType | None,
        word_embedding: TensorType,
        position_embedding: TensorType,
        segment_embedding: TensorType | None,
        gamma: TensorType,
        beta: TensorType,
        mask: TensorType | None = None,
        position_ids: TensorType | None = None,
        *,
        output: TensorType,
        mask_index: TensorType | None = None,
        embedding_sum: TensorType | None = None,
    ) -> Work:
        n = output.elements
        # two or three rows added; normalised; gamma and beta; the mask is summed to a length
        sums = (1 if segment_embedding is None else 2) * n + n + (0 if mask is None else mask.elements)
        # positions repeat over the batch unless they are given
        positions = input_ids.shape[1] if position_ids is None else position_ids.elements
        rows = (
            picked_bytes(word_embedding, n),
            picked_bytes(position_embedding, positions * output.shape[-1]),
            0 if segment_embedding is None else picked_bytes(segment_embedding, n),
        )
        around = [0 if v is None else v.bytes for v in (input_ids, segment_ids, gamma, beta, mask, position_ids)]
        return Work(
            elementwise=tally({"add": sums, "mul": n}, standardise(n, product(output.shape[:-1]))),
            reads=(*around[:2], *rows, *around[2:]),
            format=output.dtype,
        )

    cases = (
        # 2·3 tokens of 4 numbers, n = 24: 48 to add three rows; 6 rows normalised: 72 + 6 adds, 48 products,
        # 18 divisions, 6 roots; gamma, beta; a mask of 6. The segment table has only 2 rows to read.
        Case("int32[2,3], int32[2,3], float32[100,4], float32[16,4], float32[2,4], float32[4], float32[4], int32[2,3] "
             "-> float32[2,3,4], int32[2]", flops=48 + 150 + 48 + 6,
             elementwise={"add": 48 + 78 + 24 + 6, "mul": 48 + 24, "div": 18, "sqrt": 6},
             bytes_read=24 + 24 + 96 + 48 + 32 + 16 + 16 + 24, bytes_written=96 + 8),
        # no segments: 8 numbers in 2 rows
        Case("int32[1,2], -, float32[50,4], float32[8,4], -, float32[4], float32[4] -> float32[1,2,4], int32[1]",
             flops=8 + 50 + 16, bytes_read=8 + 32 + 32 + 16 + 16, bytes_written=32 + 4),
    )
