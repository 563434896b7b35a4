"""Types of numbers in a graph: their ONNX codes, their bytes, and f32 numbers written in them.

Codes: `TensorProto.DataType` in https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, get_args

from trt_nemotron.errors import CheckpointUnusable, InvalidInput

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Precision = Literal["fp32", "bf16", "fp16"]


class ElementType(Enum):
    """An ONNX element type: its code and the bytes of one element."""

    F32 = (1, 4)
    I64 = (7, 8)
    BOOL = (9, 1)
    F16 = (10, 2)
    BF16 = (16, 2)

    @property
    def code(self) -> int:
        """The number ONNX gives it."""
        return self.value[0]

    @property
    def bytes(self) -> int:
        """Bytes of one element."""
        return self.value[1]


ELEMENT_OF: dict[Precision, ElementType] = {
    "fp32": ElementType.F32,
    "bf16": ElementType.BF16,
    "fp16": ElementType.F16,
}
"""What weights, activations, KV and convolution state are stored in; the scan is always in f32."""


def element_of_code(code: int) -> ElementType | None:
    """The type of an ONNX code; `None` for one that no graph of ours holds."""
    return next((element for element in ElementType if element.code == code), None)


def storage_dtype(element: ElementType) -> "np.dtype[Any]":
    """NumPy's type for the bytes of `element`; NumPy has no bfloat16, its bits are a u2."""
    import numpy as np

    names = {
        ElementType.F32: "<f4",
        ElementType.I64: "<i8",
        ElementType.BOOL: "?",
        ElementType.F16: "<f2",
        ElementType.BF16: "<u2",
    }
    return np.dtype(names[element])


def encode(
    numbers: "npt.NDArray[np.float32]", element: ElementType, name: str
) -> "npt.NDArray[Any]":
    """`numbers` in the storage of `element`, rounded to nearest even.

    Args:
        numbers: of one tensor, or of a part of it.
        element: a floating type.
        name: of the tensor, for the message.

    Raises:
        CheckpointUnusable: a number does not fit into an FP16.
    """
    import numpy as np

    if element is ElementType.BF16:
        bits = numbers.view(np.uint32)
        # Half of the dropped part, minus one unless the kept part is odd: ties go to even.
        rounded = bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))
        halves: npt.NDArray[Any] = (rounded >> np.uint32(16)).astype("<u2")
        return halves
    if element is ElementType.F16:
        with np.errstate(over="ignore"):
            halves = numbers.astype("<f2")
        if not np.isfinite(halves).all():
            raise CheckpointUnusable(
                f"{name} cannot be written in FP16",
                evidence=f"its largest number is {float(np.abs(numbers).max()):g}, FP16 ends at "
                "65504",
                next_step="Use --precision bf16.",
            )
        return halves
    return numbers.astype("<f4", copy=False)


def precision_name(text: str) -> Precision:
    """`text` as a precision.

    Raises:
        InvalidInput: there is none of that name.
    """
    for name in get_args(Precision):
        if name == text:
            return name  # type: ignore[no-any-return] # get_args is not typed
    raise InvalidInput(
        f"no graph is built in precision {text!r}",
        next_step=f"Choose one of: {', '.join(get_args(Precision))}.",
    )
