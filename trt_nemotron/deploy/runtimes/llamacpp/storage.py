"""Which storage type a tensor gets in the GGUF that we write, as one pure rule.

The converter writes by it and the memory ledger counts by it, so the ledger's weights are exact
to the byte before anything is built. The rule follows llama.cpp's own converter and quantizer:
matrices carry nearly all bytes and tolerate rounding; norms, biases, the convolution and the
per-head vectors are small, sensitive, and needed in f32 by its operators.
"""

from collections.abc import Sequence
from typing import Literal, get_args

from trt_nemotron.deploy.checkpoint.ggml_types import GGML_TYPES_BY_NAME, GgmlType

Precision = Literal["f32", "f16", "bf16", "q8_0"]
PRECISIONS: tuple[str, ...] = get_args(Precision)

AS_IS = "as-is"
"""In place of a precision: the GGUF file is taken over and nothing is converted."""

_F32 = GGML_TYPES_BY_NAME["F32"]
_F16 = GGML_TYPES_BY_NAME["F16"]
_KEPT_IN_F32 = ("ssm_conv1d.weight", "ssm_a", "ssm_d", "ssm_norm.weight")


def storage_type(name: str, dimensions: Sequence[int], precision: Precision) -> GgmlType:
    """The type in which the tensor called `name` (its GGUF name) is stored.

    `dimensions` are as GGUF writes them, the row length first (the reverse of numpy's shape). Rows
    that are not whole blocks of the wanted type fall back to F16, as llama.cpp's quantizer does
    when no smaller block fits.
    """
    is_matrix = len(dimensions) == 2 and not name.endswith(_KEPT_IN_F32)
    if not is_matrix:
        return _F32
    wanted = GGML_TYPES_BY_NAME[precision.upper()]
    return wanted if wanted.can_store_row(dimensions[0]) else _F16
