"""What a plan is made for: board, checkpoint, release and the user's own settings, as bytes."""

from dataclasses import dataclass

from trt_nemotron.deploy.accelerator import accelerator_of, seen_memory_bytes
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.runtimes.trtllm.measured import Measured
from trt_nemotron.deploy.shape import NemotronHShape, round_up
from trt_nemotron.errors import PlanRefused
from trt_nemotron.facts.contract import HybridRules
from trt_nemotron.facts.release import RuntimeRelease
from trt_nemotron.facts.target import Gpu, Target

BLOCK_TOKENS = 32
"""Tokens of one KV block (`tokens_per_block`); a sequence takes whole blocks."""

_ACTIVATION_BYTES = 2
_KV_SIXTEENTHS = {"fp8": 16, "nvfp4": 9, "float32": 64}
"""Sixteenths of a byte for one element; 32 (two bytes) for every other type."""


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything given from outside.

    Attributes:
        kv_dtype: of the KV cache, as the file will say it.
        state_dtype: of the recurrent states, as the file will say it.
        measured: what an earlier start measured; nothing before one was given.
    """

    target: Target
    checkpoint: Checkpoint
    release: RuntimeRelease
    kv_dtype: str
    state_dtype: str
    measured: Measured | None = None

    @property
    def gpu(self) -> Gpu:
        """The board.

        Raises:
            PlanRefused: the target has none.
        """
        return accelerator_of(self.target, "TensorRT-LLM")

    @property
    def hybrids(self) -> HybridRules:
        """How the release treats hybrids.

        Raises:
            PlanRefused: its facts do not say.
        """
        if self.release.hybrids is None:
            raise PlanRefused(
                f"what {self.release.release} does with hybrid models is not known",
                next_step="Choose another release with --release.",
            )
        return self.release.hybrids

    @property
    def shape(self) -> NemotronHShape:
        """The network's dimensions."""
        return self.checkpoint.shape

    @property
    def memory_bytes(self) -> int:
        """What software sees of the board's memory."""
        return seen_memory_bytes(self.target)

    @property
    def activation_bytes(self) -> int:
        """Bytes of an activation: the model's own 16-bit type."""
        return _ACTIVATION_BYTES

    @property
    def kv_token_bytes(self) -> int:
        """KV cache of one token over all attention layers."""
        kind = self.kv_dtype
        if kind == "auto":
            kind = self.checkpoint.kv_cache
        return self.shape.kv_elements_per_token * _KV_SIXTEENTHS.get(kind, 32) // 16

    @property
    def ssm_element_bytes(self) -> int:
        """Bytes of an element of the scan's state."""
        return 4 if self.state_dtype == "float32" else 2

    @property
    def state_bytes(self) -> int:
        """Recurrent state of one sequence: the scan's, and the convolution's in 16 bits."""
        shape = self.shape
        return (
            shape.ssm_elements_per_slot * self.ssm_element_bytes
            + shape.conv_elements_per_slot * self.activation_bytes
        )

    @property
    def read_weight_bytes(self) -> int:
        """Weights that a decode step reads at least."""
        return self.checkpoint.least_read_bytes

    @property
    def are_states_pooled(self) -> bool:
        """Whether states and KV cache share one pool and its limit."""
        return self.hybrids.manager_v2 == "default"

    def slots(self, batch: int) -> int:
        """State slots that the release holds for a batch: its dummy slot included."""
        return batch + self.hybrids.spare_slots

    def kv_tokens(self, batch: int, seq_len: int) -> int:
        """Tokens of KV cache with which every sequence can reach its full length.

        One block more is for the dummy request that pads a graph.
        """
        return batch * round_up(seq_len, BLOCK_TOKENS) + BLOCK_TOKENS

    def figure(self, name: str) -> int:
        """A number of the release that no formula gives."""
        return int(self.release.figures[name].value)
