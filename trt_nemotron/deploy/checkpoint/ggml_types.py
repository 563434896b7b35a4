"""Storage types of ggml, the library under llama.cpp: how many bytes a block of elements takes.

The numbers are those of `ggml_type_traits` in ggml.c (https://github.com/ggml-org/ggml) and of
`GGML_QUANT_SIZES` in the `gguf` package 0.19.0; a test holds this table equal to the latter.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GgmlType:
    """One storage type: `block_elements` consecutive elements of a row take `block_bytes`."""

    number: int
    name: str
    block_elements: int
    block_bytes: int

    def size_bytes(self, elements: int) -> int:
        """Bytes of `elements` elements in whole rows.

        Raises:
            ValueError: they do not fill whole blocks.
        """
        if elements % self.block_elements:
            raise ValueError(
                f"{elements} elements do not fill {self.name} blocks of {self.block_elements}"
            )
        return elements // self.block_elements * self.block_bytes

    def can_store_row(self, row_elements: int) -> bool:
        """Whether a row of this length is a whole number of blocks."""
        return row_elements % self.block_elements == 0


_TABLE = (
    (0, "F32", 1, 4),
    (1, "F16", 1, 2),
    (2, "Q4_0", 32, 18),
    (3, "Q4_1", 32, 20),
    (6, "Q5_0", 32, 22),
    (7, "Q5_1", 32, 24),
    (8, "Q8_0", 32, 34),
    (9, "Q8_1", 32, 40),
    (10, "Q2_K", 256, 84),
    (11, "Q3_K", 256, 110),
    (12, "Q4_K", 256, 144),
    (13, "Q5_K", 256, 176),
    (14, "Q6_K", 256, 210),
    (15, "Q8_K", 256, 292),
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136),
    (24, "I8", 1, 1),
    (25, "I16", 1, 2),
    (26, "I32", 1, 4),
    (27, "I64", 1, 8),
    (28, "F64", 1, 8),
    (29, "IQ1_M", 256, 56),
    (30, "BF16", 1, 2),
    (34, "TQ1_0", 256, 54),
    (35, "TQ2_0", 256, 66),
    (39, "MXFP4", 32, 17),
    (40, "NVFP4", 64, 36),
    (41, "Q1_0", 128, 18),
)

GGML_TYPES: dict[int, GgmlType] = {row[0]: GgmlType(*row) for row in _TABLE}
"""By the number that a GGUF file writes. Numbers left out were withdrawn upstream."""

GGML_TYPES_BY_NAME: dict[str, GgmlType] = {kind.name: kind for kind in GGML_TYPES.values()}
"""By name, upper case."""
