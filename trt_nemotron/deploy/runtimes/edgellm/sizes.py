"""The sizes of an engine, and every byte that follows from them. Pure arithmetic.

An engine is built for a batch, an input length and a capacity; all three are fixed afterwards. The
KV cache is a pool of pages of 128 tokens, batch x ceil(capacity / 128) of them. States are FP16
whatever the checkpoint says, and the convolution's keeps as many inputs as the kernel has taps.
"""

from dataclasses import dataclass

from trt_nemotron.deploy.accelerator import accelerator_of, seen_memory_bytes
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.memory import reserve_line
from trt_nemotron.deploy.plan import Ledger, LedgerLine
from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.facts.release import RuntimeRelease
from trt_nemotron.facts.target import Gpu, Target

PAGE_TOKENS = 128
HALF_BYTES = 2
_LOGIT_BYTES = 4


@dataclass(frozen=True, slots=True)
class EngineSizes:
    """What an engine is built for.

    Attributes:
        batch: sequences at once.
        input_tokens: of the longest prompt.
        capacity: tokens of prompt and answer of one sequence.
        snapshots: states kept for reuse between turns; 0 for no reuse.
    """

    batch: int
    input_tokens: int
    capacity: int
    snapshots: int = 0

    @property
    def pages(self) -> int:
        """Pages of the pool: what Edge-LLM calls max_kv_pool_pages."""
        return self.batch * -(-self.capacity // PAGE_TOKENS)


@dataclass(frozen=True, slots=True)
class Given:
    """What a plan is made for.

    Attributes:
        precision: of the engine: `fp16`, `fp8`, `nvfp4`.
    """

    target: Target
    checkpoint: Checkpoint
    release: RuntimeRelease
    precision: str

    @property
    def gpu(self) -> Gpu:
        """The board.

        Raises:
            PlanRefused: the target has none.
        """
        return accelerator_of(self.target, "Edge-LLM")

    @property
    def shape(self) -> NemotronHShape:
        """The network's dimensions."""
        return self.checkpoint.shape

    @property
    def memory_bytes(self) -> int:
        """What software sees of the board's memory."""
        return seen_memory_bytes(self.target)

    @property
    def weight_bytes(self) -> int:
        """Weights as the engine holds them: 16-bit where they are not quantized."""
        if self.precision != "fp16":
            return self.checkpoint.weight_bytes
        tied = self.shape.vocab_size * self.shape.hidden_size * self.shape.is_embedding_tied
        return HALF_BYTES * (self.checkpoint.parameters + tied)

    @property
    def kv_element_bytes(self) -> int:
        """FP16, or FP8 where the checkpoint brings scales for it; there is no flag."""
        return 1 if self.checkpoint.kv_cache == "fp8" else HALF_BYTES

    @property
    def kv_token_bytes(self) -> int:
        """KV cache of one token."""
        return self.shape.kv_elements_per_token * self.kv_element_bytes

    @property
    def state_bytes(self) -> int:
        """States of one sequence."""
        conv = self.shape.mamba_layers * self.shape.conv_channels * self.shape.conv_kernel
        return HALF_BYTES * (self.shape.ssm_elements_per_slot + conv)

    def figure(self, name: str) -> float:
        """A number of the release that no formula gives."""
        return float(self.release.figures[name].value)


def ledger(at: Given, sizes: EngineSizes) -> Ledger:
    """Every line while serving, what is exact first."""
    shape = at.shape
    lines = (
        _weights(at),
        LedgerLine(
            name="kv_cache",
            size_bytes=sizes.pages * PAGE_TOKENS * at.kv_token_bytes,
            formula=f"{sizes.pages:,} pages ({sizes.batch} x ceil({sizes.capacity:,} / 128)) x "
            f"128 tokens x {at.kv_token_bytes:,} B (2 (K, V) x {shape.attention_layers} attention "
            f"layers x {shape.kv_heads} KV heads x {shape.head_dim} x {at.kv_element_bytes} B)",
            status="exact",
        ),
        LedgerLine(
            name="ssm_state",
            size_bytes=HALF_BYTES * shape.ssm_elements_per_slot * sizes.batch,
            formula=f"{shape.mamba_layers} Mamba layers x {shape.mamba_heads} heads x "
            f"{shape.mamba_head_dim} x {shape.ssm_state_size} state x {sizes.batch} sequences x "
            "2 B, FP16 whatever the checkpoint says",
            status="exact",
        ),
        LedgerLine(
            name="conv_state",
            size_bytes=HALF_BYTES
            * shape.mamba_layers
            * shape.conv_channels
            * shape.conv_kernel
            * sizes.batch,
            formula=f"{shape.mamba_layers} Mamba layers x {shape.conv_channels:,} channels x "
            f"{shape.conv_kernel} x {sizes.batch} sequences x 2 B",
            status="exact",
        ),
        *_snapshots(at, sizes),
        _workspace(at, sizes),
        LedgerLine(
            name="cuda_graphs",
            size_bytes=int(at.figure("graph_bytes")),
            formula="captured for decoding at start, if that succeeds",
            status="assumed",
        ),
        LedgerLine(
            name="processes",
            size_bytes=int(at.figure("process_bytes")),
            formula="runtime overhead: NVIDIA's guideline is about 3 GB beside the model",
            status="assumed",
        ),
        reserve_line(int(at.target.reserve_bytes.value), at.memory_bytes),
    )
    return Ledger(lines=lines, memory_total_bytes=at.memory_bytes)


def snapshot_bytes(at: Given, sizes: EngineSizes) -> tuple[int, int]:
    """Pools for reuse between turns: of states, and of partly filled pages."""
    page = PAGE_TOKENS * at.kv_token_bytes
    return sizes.snapshots * at.state_bytes, sizes.snapshots * page


def build_memory_bytes(at: Given) -> int:
    """Memory that building takes on the board: four times the parameters in two bytes."""
    return int(at.checkpoint.parameters * at.figure("build_ram_per_parameter_bytes"))


def build_disk_bytes(at: Given) -> int:
    """Disk that step one takes: the graph's data and embeddings, and the checkpoint once."""
    return at.weight_bytes + at.checkpoint.weight_bytes


def expected_prefill_s(at: Given, sizes: EngineSizes, head_dims: tuple[int, ...]) -> float | None:
    """Seconds that the serial kernel takes for the longest prompt; nothing where a fast one is.

    Scaled from the one published figure by layers, heads and tokens; that board's, so a guess.
    """
    if at.shape.mamba_head_dim in head_dims and at.shape.ssm_state_size in {64, 128}:
        return None
    layer_ms = at.figure("slow_prefill_ms_per_layer_3000_tokens")
    return layer_ms * at.shape.mamba_layers * sizes.input_tokens / 3000 / 1000


def _weights(at: Given) -> LedgerLine:
    form = "FP16" if at.precision == "fp16" else f"as stored ({at.precision.upper()})"
    source = "" if at.checkpoint.files else ", from published facts"
    return LedgerLine(
        name="weights",
        size_bytes=at.weight_bytes,
        formula=f"{at.checkpoint.parameters:,} parameters, {form}{source}",
        status="exact" if at.checkpoint.files else "assumed",
    )


def _snapshots(at: Given, sizes: EngineSizes) -> tuple[LedgerLine, ...]:
    if not sizes.snapshots:
        return ()
    states, pages = snapshot_bytes(at, sizes)
    return (
        LedgerLine(
            name="context_reuse",
            size_bytes=states + pages,
            formula=f"{sizes.snapshots} snapshots x ({at.state_bytes:,} B of states + one page)",
            status="exact",
        ),
    )


def _workspace(at: Given, sizes: EngineSizes) -> LedgerLine:
    """Activations of a prefill of all sequences at once: TensorRT's profile reaches that far."""
    shape, tokens = at.shape, sizes.batch * sizes.input_tokens
    projection = shape.mamba_inner_size + shape.conv_channels + shape.mamba_heads
    attention = (2 * shape.attention_heads + 2 * shape.kv_heads) * shape.head_dim
    row = 2 * shape.hidden_size + max(2 * projection, attention, 2 * shape.widest_mlp)
    logits = sizes.batch * shape.vocab_size * _LOGIT_BYTES
    return LedgerLine(
        name="workspace",
        size_bytes=tokens * row * HALF_BYTES + logits,
        formula=f"{sizes.batch} x {sizes.input_tokens:,} tokens x {row:,} x 2 B + {sizes.batch} x "
        f"{shape.vocab_size:,} logits, an estimate",
        status="assumed",
    )
