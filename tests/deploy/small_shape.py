"""The smallest hybrid network: one layer of each kind, for plans of which no byte matters."""

from trt_nemotron.deploy.shape import NemotronHShape

SMALL_SHAPE = NemotronHShape(
    pattern="M-*", hidden_size=8, intermediate_size=16, vocab_size=32, attention_heads=2,
    kv_heads=1, head_dim=4, mamba_heads=2, mamba_head_dim=4, ssm_groups=1, ssm_state_size=4,
    conv_kernel=4, chunk_size=8, max_position_embeddings=128,
)  # fmt: skip
