"""Safetensors to GGUF, tensor by tensor, without torch.

The bytes depend on the checkpoint, the precision and the versions of this package and of `gguf`,
and on nothing else: same inputs, same file.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np

from trt_nemotron.deploy.bundle.placing import source_folder
from trt_nemotron.deploy.checkpoint.architecture import gguf_tensors, hub_tensors
from trt_nemotron.deploy.checkpoint.config_numbers import norm_epsilon
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.runtimes.llamacpp.converted_tensor import ConvertedTensor
from trt_nemotron.deploy.runtimes.llamacpp.representable import check_representable
from trt_nemotron.deploy.runtimes.llamacpp.source_files import read_source_files
from trt_nemotron.deploy.runtimes.llamacpp.storage import Precision, storage_type
from trt_nemotron.deploy.runtimes.llamacpp.tensor_names import conversions
from trt_nemotron.deploy.runtimes.llamacpp.tensor_source import TensorSource
from trt_nemotron.deploy.runtimes.llamacpp.verify import verify_file
from trt_nemotron.deploy.runtimes.llamacpp.vocabulary import Vocabulary, read_vocabulary
from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.errors import CheckpointUnusable, InvalidInput
from trt_nemotron.progress import Progress

if TYPE_CHECKING:
    from gguf import GGUFWriter

ARCHITECTURE = "nemotron_h"
_PREFIXES = ("backbone.", "model.")


def convert(
    checkpoint: Checkpoint, target: Path, *, name: str, precision: Precision, progress: Progress
) -> None:
    """Write a safetensors checkpoint as the GGUF file `target` and compare both, number by number.

    The file says that it is called `name`.

    Raises:
        CheckpointUnusable: it is not whole, or llama.cpp cannot represent it.
        OSError: as the system says; half a file may stay.
    """
    source, shape = source_folder(checkpoint), checkpoint.shape
    files = read_source_files(source)
    check_representable(files.config)
    vocabulary = read_vocabulary(files, shape.vocab_size)
    weights = [file.name for file in checkpoint.files if file.name.endswith(".safetensors")]
    with TensorSource([source / file for file in weights]) as tensors:
        converted = converted_tensors(tensors, shape, precision)
        writer = _open_writer(target, name, precision)
        try:
            _add_network(writer, shape, norm_epsilon(files.config))
            _add_vocabulary(writer, vocabulary)
            writer.add_chat_template(files.chat_template)
            _write_tensors(writer, converted, progress)
        finally:
            writer.close()
        verify_file(target, converted, progress)
    target.chmod(0o644)


def precision_of(name: str) -> Precision:
    """The precision called `name`.

    Raises:
        InvalidInput: llama.cpp files are not written in it.
    """
    for precision in get_args(Precision):
        if precision == name:
            return cast("Precision", name)
    raise InvalidInput(
        f"no GGUF file is written in precision {name!r}",
        next_step=f"Choose one of: {', '.join(get_args(Precision))}.",
    )


def converted_tensors(
    source: TensorSource, shape: NemotronHShape, precision: Precision
) -> list[ConvertedTensor]:
    """Every tensor of the network, found in the checkpoint under its published name.

    Raises:
        CheckpointUnusable: one is missing, has another shape, or there is one too many.
    """
    published = _published_names(source)
    expected, dimensions = hub_tensors(shape), gguf_tensors(shape)
    converted = []
    for conversion in conversions(shape):
        if conversion.source not in published:
            raise _unusable(
                f"{conversion.source} is missing", "the pattern in config.json needs it"
            )
        stored = source.tensor(published.pop(conversion.source))
        if stored.shape != expected[conversion.source]:
            raise _unusable(
                f"{conversion.source} has shape {stored.shape}",
                f"config.json makes it {expected[conversion.source]}",
            )
        target = dimensions[conversion.target]
        storage = storage_type(conversion.target, target, precision)
        converted.append(ConvertedTensor(conversion, stored, target, storage))
    _check_leftovers(published, shape)
    return converted


def _published_names(source: TensorSource) -> dict[str, str]:
    """Name without its leading `backbone.` or `model.` -> name in the file."""
    names = {}
    for full in source.names():
        prefix = next((prefix for prefix in _PREFIXES if full.startswith(prefix)), "")
        names[full.removeprefix(prefix)] = full
    return names


def _check_leftovers(names: dict[str, str], shape: NemotronHShape) -> None:
    """A tensor that would not be used means a network that is not what we take it for."""
    if shape.is_embedding_tied:
        names.pop("lm_head.weight", None)  # the embedding once more, as some tools save it
    for name in sorted(names):
        raise _unusable(f"{name} has no place in a dense NemotronH network", f"{len(names)} such")


def _open_writer(target: Path, name: str, precision: Precision) -> "GGUFWriter":
    from gguf import GGML_QUANT_VERSION, GGUFWriter, LlamaFileType

    writer = GGUFWriter(str(target), ARCHITECTURE)
    kinds = {
        "f32": LlamaFileType.ALL_F32,
        "f16": LlamaFileType.MOSTLY_F16,
        "bf16": LlamaFileType.MOSTLY_BF16,
        "q8_0": LlamaFileType.MOSTLY_Q8_0,
    }
    writer.add_name(name)
    writer.add_file_type(kinds[precision])
    writer.add_quantization_version(GGML_QUANT_VERSION)
    return writer


def _add_network(writer: "GGUFWriter", shape: NemotronHShape, epsilon: float) -> None:
    """Hyperparameters. llama.cpp tells a layer's kind by the lists: neither KV heads nor a
    feed-forward width means Mamba.
    """
    writer.add_block_count(len(shape.pattern))
    writer.add_context_length(shape.max_position_embeddings)
    writer.add_embedding_length(shape.hidden_size)
    writer.add_vocab_size(shape.vocab_size)
    writer.add_head_count(shape.attention_heads)
    writer.add_head_count_kv(_per_layer(shape, "*", shape.kv_heads))
    writer.add_feed_forward_length(_per_layer(shape, "-", shape.intermediate_size))
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_rope_dimension_count(shape.head_dim)  # required by the loader, not used
    # The loader requires both names, for one and the same number.
    writer.add_layer_norm_rms_eps(epsilon)
    writer.add_layer_norm_eps(epsilon)
    writer.add_ssm_conv_kernel(shape.conv_kernel)
    writer.add_ssm_state_size(shape.ssm_state_size)
    writer.add_ssm_group_count(shape.ssm_groups)
    writer.add_ssm_inner_size(shape.mamba_inner_size)
    writer.add_ssm_time_step_rank(shape.mamba_heads)


def _per_layer(shape: NemotronHShape, kind: str, value: int) -> Sequence[int]:
    return [value if letter == kind else 0 for letter in shape.pattern]


def _add_vocabulary(writer: "GGUFWriter", vocabulary: Vocabulary) -> None:
    from gguf import TokenType

    kinds = {
        "normal": TokenType.NORMAL,
        "control": TokenType.CONTROL,
        "user_defined": TokenType.USER_DEFINED,
        "unused": TokenType.UNUSED,
    }
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.splitting)
    writer.add_token_list([token.text for token in vocabulary.tokens])
    writer.add_token_types([kinds[token.kind] for token in vocabulary.tokens])
    writer.add_token_merges(list(vocabulary.merges))
    special = vocabulary.special
    for token_id, add in zip(
        special.ends,
        (writer.add_eos_token_id, writer.add_eot_token_id, writer.add_eom_token_id),
        strict=False,
    ):
        add(token_id)
    for optional, add in (
        (special.bos, writer.add_bos_token_id),
        (special.unknown, writer.add_unk_token_id),
        (special.padding, writer.add_pad_token_id),
    ):
        if optional is not None:
            add(optional)
    writer.add_add_bos_token(special.is_bos_added)


def _write_tensors(
    writer: "GGUFWriter", tensors: Sequence[ConvertedTensor], progress: Progress
) -> None:
    import gguf

    progress.phase("converting weights")
    for tensor in tensors:
        writer.add_tensor_info(
            tensor.conversion.target,
            tuple(reversed(tensor.dimensions)),
            np.dtype(np.float32),  # of no effect beside raw_dtype
            tensor.nbytes,
            raw_dtype=gguf.GGMLQuantizationType(tensor.storage.number),
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    total, done = sum(tensor.nbytes for tensor in tensors), 0
    for tensor in tensors:
        # All it asks of a tensor is `nbytes` and `tofile`; so none is ever whole in memory.
        writer.write_tensor_data(cast("np.ndarray[Any, Any]", tensor))
        done += tensor.nbytes
        progress.step(done, total, "B")


def _unusable(message: str, evidence: str) -> CheckpointUnusable:
    return CheckpointUnusable(
        f"the checkpoint cannot be converted: {message}",
        evidence=evidence,
        next_step="Use the weights and the config.json of one and the same published checkpoint.",
    )
