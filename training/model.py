"""The network: NemotronH's own architecture at under a million parameters.

`hybrid_override_pattern` names the layers: M is Mamba-2, - is an MLP, * is attention. The
published 4B model is built of the same three.
"""

from typing import Any

import torch
from transformers import NemotronHConfig, NemotronHForCausalLM

from training.tokenizer import BEGIN_ID, END_ID, END_OF_TURN_ID, PAD_ID, VOCABULARY_SIZE

CONTEXT_LENGTH = 8192

CONFIG: dict[str, Any] = {
    "architectures": ["NemotronHForCausalLM"],
    "model_type": "nemotron_h",
    "torch_dtype": "float32",
    "vocab_size": VOCABULARY_SIZE,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 7,
    "hybrid_override_pattern": "M-M*-M-",
    "max_position_embeddings": CONTEXT_LENGTH,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "mamba_num_heads": 8,
    "mamba_head_dim": 32,
    "ssm_state_size": 32,
    "n_groups": 2,
    "conv_kernel": 4,
    "chunk_size": 64,
    "expand": 2,
    "use_conv_bias": True,
    "mamba_proj_bias": False,
    "use_bias": False,
    "mlp_bias": False,
    "mamba_hidden_act": "silu",
    "mlp_hidden_act": "relu2",
    "layer_norm_epsilon": 1e-05,
    "rms_norm_eps": 1e-05,
    "initializer_range": 0.02,
    "rescale_prenorm_residual": True,
    "residual_in_fp32": False,
    "tie_word_embeddings": False,
    "use_cache": True,
    "mamba_ssm_cache_dtype": "float32",
    "time_step_min": 1e-30,
    "time_step_max": 0.1,
    "time_step_floor": 0.0001,
    "bos_token_id": BEGIN_ID,
    "eos_token_id": END_OF_TURN_ID,
    "pad_token_id": PAD_ID,
}
"""The content of `config.json`, in the keys of NVIDIA's own checkpoints.

`time_step_min` is next to zero because `transformers` up to 5.23 clamps the time step to it
in the chunked scan but not in the recurrent one, so that cached and uncached logits differ
(huggingface/transformers#48989). Other engines do not clamp at all.
"""

GENERATION_CONFIG: dict[str, Any] = {
    "bos_token_id": BEGIN_ID,
    "do_sample": False,
    "eos_token_id": [END_ID, END_OF_TURN_ID],
    "max_new_tokens": 1024,
    "pad_token_id": PAD_ID,
}

INITIAL_TIME_STEP_MIN = 0.001
"""Smallest time step at initialisation, in the scale of `time_step_max`; NVIDIA's default."""


def initial_model(seed: int) -> Any:
    """A `NemotronHForCausalLM` in float32, to be trained; its weights depend on `seed` only."""
    torch.manual_seed(seed)
    config = NemotronHConfig(**{**CONFIG, "time_step_min": INITIAL_TIME_STEP_MIN})
    model: Any = NemotronHForCausalLM(config)
    for module in model.modules():
        if hasattr(module, "time_step_limit"):
            module.time_step_limit = (0.0, float("inf"))
    return model.train()
