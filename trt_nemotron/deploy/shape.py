"""The shape of a NemotronH network, and every byte that follows from it.

The model is a hybrid: a layer is Mamba-2 (`M`), MLP (`-`) or attention (`*`). Only attention
layers have a KV cache that grows with the context; each Mamba layer holds a state of fixed size per
sequence. Tools that multiply the KV cache by all layers are wrong tenfold for this family.
"""

import math
from typing import Annotated

import msgspec

from trt_nemotron.document import Value

Positive = Annotated[int, msgspec.Meta(gt=0)]


class NemotronHShape(Value, frozen=True, kw_only=True):
    """Dimensions of a dense NemotronH network, as its `config.json` gives them.

    Attributes:
        pattern: one letter a layer: `M` Mamba-2, `-` MLP, `*` attention.
        chunk_size: of the reference scan; `None` where the format does not say (GGUF). No byte
            follows from it.
    """

    pattern: Annotated[str, msgspec.Meta(pattern=r"^[M*-]+$")]
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

    @property
    def mamba_layers(self) -> int:
        """Number of Mamba-2 layers."""
        return self.pattern.count("M")

    @property
    def mlp_layers(self) -> int:
        """Number of MLP layers."""
        return self.pattern.count("-")

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
        """Number of parameters, counted layer by layer."""
        per_layer = {
            "M": self._mamba_layer_parameters,
            "-": 2 * self.hidden_size * self.intermediate_size,
            "*": self._attention_layer_parameters,
        }
        layers = sum(per_layer[kind] + self.hidden_size for kind in self.pattern)
        embeddings = self.vocab_size * self.hidden_size * (1 if self.is_embedding_tied else 2)
        return layers + embeddings + self.hidden_size

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
