"""TfIdfVectorizer: how often each n-gram of a dictionary occurs in a sequence."""

from collections.abc import Sequence

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import larger


@operator("TfIdfVectorizer", since=9)
class TfIdfVectorizer:
    max_gram_length: int
    max_skip_count: int
    min_gram_length: int
    mode: str
    weights: Sequence[float] = ()

    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # an upper bound: every n-gram with every skip is looked up in a hash table and found, which compares its
        # tokens and counts it; hashing is no arithmetic here
        rows, length = (1, x.shape[0]) if x.rank == 1 else x.shape
        found = compared = 0
        for n in range(self.min_gram_length, self.max_gram_length + 1):
            # single tokens have no gaps, so skipping changes nothing for them
            for skip in range(self.max_skip_count + 1 if n > 1 else 1):
                places = larger(0, length - (n - 1) * (skip + 1))
                found = found + places
                compared = compared + n * places
        counts = {"compare": rows * compared, "add": rows * found}
        if self.mode == "IDF":
            counts["compare"] = counts["compare"] + y.elements  # counts become one
        if self.mode != "TF" and self.weights:
            counts["mul"] = y.elements
        return Work(elementwise=counts)

    cases = (
        # per row 6 single tokens, 5 pairs, 4 pairs with a gap: 15 found, 6 + 18 tokens compared
        Case("int32[2,6] -> float32[2,7]",
             {"mode": "TF", "min_gram_length": 1, "max_gram_length": 2, "max_skip_count": 1}, flops=2 * (24 + 15),
             elementwise={"compare": 48, "add": 30}, bytes_read=48, bytes_written=56),
        # four pairs, then a weight for each of three counts
        Case("int64[5] -> float32[3]",
             {"mode": "TFIDF", "min_gram_length": 2, "max_gram_length": 2, "max_skip_count": 0,
              "weights": [1.0, 2.0, 3.0]},
             flops=8 + 4 + 3, bytes_read=40, bytes_written=12),
    )
