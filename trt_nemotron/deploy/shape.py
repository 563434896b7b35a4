"""The shape of a NemotronH network, and every byte that follows from it.

The model is a hybrid: a layer is Mamba-2 (`M`), MLP (`-`), attention (`*`) or, in larger members of
the family, a mixture of experts (`E`). Only attention layers have a KV cache that grows with the
context; each Mamba layer holds a state of fixed size per sequence. Tools that multiply the KV cache
by all layers are wrong tenfold for this family.

Layers: https://github.com/huggingface/transformers/tree/main/src/transformers/models/nemotron_h
"""

import math
from typing import Annotated

import msgspec

from trt_nemotron.document import Value

Positive = Annotated[int, msgspec.Meta(gt=0)]


class ExpertsShape(Value, frozen=True, kw_only=True):
    """Dimensions of a mixture-of-experts layer: many small MLPs, of which a token visits a few.

    An expert is an MLP of two matrices, without a gate. One more, the shared expert, sees every
    token. Where there is a latent size, the routed experts work in that width, and two matrices
    lead there and back.

    Attributes:
        routed: experts to choose from.
        per_token: of these, how many a token visits.
        size: width of a routed expert.
        shared_size: width of the shared expert.
        latent_size: width in which routed experts read and write; `None` for the model's own.
    """

    routed: Positive
    per_token: Positive
    size: Positive
    shared_size: Positive
    latent_size: Positive | None = None

    def __post_init__(self) -> None:
        if self.per_token > self.routed:
            raise ValueError(f"a token visits {self.per_token} of {self.routed} experts")


class NemotronHShape(Value, frozen=True, kw_only=True):
    """Dimensions of a NemotronH network, as its `config.json` gives them.

    Attributes:
        pattern: one letter a layer: `M` Mamba-2, `-` MLP, `*` attention, `E` mixture of experts.
        chunk_size: of the reference scan; `None` where the format does not say (GGUF). No byte
            follows from it.
        experts: of the layers `E`; `None` where there are none.
    """

    pattern: Annotated[str, msgspec.Meta(pattern=r"^[M*E-]+$")]
    hidden_size: Positive
    intermediate_size: Positive
    vocab_size: Positive
    attention_heads: Positive
    kv_heads: Positive
    head_dim: Positive
    mamba_heads: Positive
    mamba_head_dim: Positive
    ssm_groups: Positive
    ssm_state_size: Positive
    conv_kernel: Positive
    chunk_size: Positive | None = None
    max_position_embeddings: Positive
    is_embedding_tied: bool = False
    experts: ExpertsShape | None = None

    def __post_init__(self) -> None:
        if ("E" in self.pattern) != (self.experts is not None):
            raise ValueError("layers E and the dimensions of experts go together")

    @property
    def mamba_layers(self) -> int:
        """Number of Mamba-2 layers."""
        return self.pattern.count("M")

    @property
    def mlp_layers(self) -> int:
        """Number of MLP layers."""
        return self.pattern.count("-")

    @property
    def expert_layers(self) -> int:
        """Number of mixture-of-experts layers."""
        return self.pattern.count("E")

    @property
    def attention_layers(self) -> int:
        """Number of attention layers: the only ones with a KV cache."""
        return self.pattern.count("*")

    @property
    def mamba_inner_size(self) -> int:
        """Width of a Mamba-2 mixer: heads x head_dim."""
        return self.mamba_heads * self.mamba_head_dim

    @property
    def conv_channels(self) -> int:
        """Channels of the causal convolution: inner size plus B and C of every group."""
        return self.mamba_inner_size + 2 * self.ssm_groups * self.ssm_state_size

    @property
    def kv_elements_per_token(self) -> int:
        """Elements of K and V per token over all attention layers."""
        return 2 * self.attention_layers * self.kv_heads * self.head_dim

    @property
    def ssm_elements_per_slot(self) -> int:
        """Elements of SSM state per sequence over all Mamba layers: inner size x state size."""
        return self.mamba_layers * self.mamba_inner_size * self.ssm_state_size

    @property
    def conv_elements_per_slot(self) -> int:
        """Elements of convolution state per sequence over all Mamba layers: channels x (k - 1)."""
        return self.mamba_layers * self.conv_channels * (self.conv_kernel - 1)

    @property
    def parameters(self) -> int:
        """Number of parameters, counted layer by layer.

        The router's correction bias is stored and is no parameter: one number for each expert.
        """
        per_layer = {
            "M": self._mamba_layer_parameters,
            "-": 2 * self.hidden_size * self.intermediate_size,
            "*": self._attention_layer_parameters,
            "E": self._expert_layer_parameters,
        }
        layers = sum(per_layer[kind] + self.hidden_size for kind in self.pattern)
        embeddings = self.vocab_size * self.hidden_size * (1 if self.is_embedding_tied else 2)
        return layers + embeddings + self.hidden_size

    @property
    def active_parameters(self) -> int:
        """Parameters that one token meets: of the routed experts only those that it visits."""
        if self.experts is None:
            return self.parameters
        idle = self.experts.routed - self.experts.per_token
        return self.parameters - self.expert_layers * idle * self._routed_expert_parameters

    @property
    def widest_mlp(self) -> int:
        """Width of the widest feed-forward layer, as one token meets it."""
        dense = self.intermediate_size if self.mlp_layers else 0
        experts = self.experts
        if experts is None:
            return dense
        return max(dense, experts.per_token * experts.size + experts.shared_size)

    @property
    def _routed_expert_parameters(self) -> int:
        experts = self.experts
        return 2 * experts.size * (experts.latent_size or self.hidden_size) if experts else 0

    @property
    def _expert_layer_parameters(self) -> int:
        experts, hidden = self.experts, self.hidden_size
        if experts is None:
            return 0
        router = experts.routed * hidden
        routed = experts.routed * self._routed_expert_parameters
        shared = 2 * hidden * experts.shared_size
        return router + routed + shared + 2 * hidden * (experts.latent_size or 0)

    @property
    def _mamba_layer_parameters(self) -> int:
        in_projection = self.hidden_size * (
            self.mamba_inner_size + self.conv_channels + self.mamba_heads
        )
        convolution = self.conv_channels * (self.conv_kernel + 1)
        per_head = 3 * self.mamba_heads  # A_log, D, dt_bias
        out_projection = self.mamba_inner_size * self.hidden_size
        return in_projection + convolution + per_head + self.mamba_inner_size + out_projection

    @property
    def _attention_layer_parameters(self) -> int:
        queries = self.attention_heads * self.head_dim
        keys_and_values = 2 * self.kv_heads * self.head_dim
        return self.hidden_size * (queries + keys_and_values) + queries * self.hidden_size

    @property
    def longest_context(self) -> int:
        """Most tokens of context the network was made for."""
        return self.max_position_embeddings


def round_up(number: int, multiple: int) -> int:
    """The least multiple of `multiple` that is not below `number`."""
    return math.ceil(number / multiple) * multiple
