from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from trt_nemotron.deploy.checkpoint import open_checkpoint
from trt_nemotron.errors import CheckpointUnusable


def test_real_4b_is_recognised_from_its_header(sparse: ModuleType, real_4b_gguf: Path):
    checkpoint = open_checkpoint(real_4b_gguf)
    assert checkpoint.shape == msgspec.structs.replace(sparse.REAL_4B, chunk_size=None)
    assert checkpoint.parameters == checkpoint.shape.parameters == 3_973_556_832
    assert checkpoint.format == "gguf"
    assert checkpoint.name == "real-4b-Q4_K"
    assert {group.storage for group in checkpoint.groups} == {"Q4_K", "Q8_0", "F32"}
    assert checkpoint.quantization == checkpoint.groups[0].storage == "Q8_0"
    assert checkpoint.weight_bytes < checkpoint.files[0].size_bytes


@pytest.mark.parametrize("precision", ["f32", "f16", "bf16", "q8_0"])
def test_quantization_is_found_in_the_file_and_not_in_its_name(
    sparse: ModuleType, tmp_path: Path, precision: str
):
    path = sparse.write_sparse_gguf(tmp_path / "model-Q2_K.gguf", sparse.TINY, precision)
    checkpoint = open_checkpoint(path)
    assert checkpoint.quantization == precision.upper()
    assert Path(checkpoint.path).is_absolute()


def test_tied_embeddings_are_recognised(sparse: ModuleType, tmp_path: Path):
    shape = msgspec.structs.replace(sparse.TINY, is_embedding_tied=True)
    checkpoint = open_checkpoint(sparse.write_sparse_gguf(tmp_path / "m.gguf", shape))
    assert checkpoint.shape.is_embedding_tied
    assert checkpoint.parameters == shape.parameters


def test_link_into_a_hub_cache_keeps_the_link_s_name(sparse: ModuleType, tmp_path: Path):
    blob = sparse.write_sparse_gguf(tmp_path / "0a1b2c", sparse.TINY)
    link = tmp_path / "NVIDIA-Nemotron-3-Nano-4B-Q4_K_M.gguf"
    link.symlink_to(blob)
    assert open_checkpoint(link).name == "NVIDIA-Nemotron-3-Nano-4B-Q4_K_M"


@pytest.mark.parametrize(
    ("change", "message", "evidence"),
    [
        ((b"nemotron_h", b"nemotron_q"), "is not a NemotronH model", "'nemotron_q'"),
        ((b"blk.0.ssm_in.weight", b"blk.0.ssm_ix.weight"), "lacks tensors", "blk.0.ssm_in.weight"),
        ((b"h.block_count\x04\0\0\0\x07", b"h.block_count\x04\0\0\0\x06"), "", "6 numbers"),
        ((b"h.block_count\x04\0\0\0\x07", b"h.block_count\x04\0\0\0\0"), "", "0 numbers"),
        ((b"h.block_count", b"h.block_cound"), "", "block_count' is missing"),
        (
            (b"embedding_length\x04\0\0\0\x80", b"embedding_length\x04\0\0\0\x81"),
            "wrong shape",
            "129",
        ),
        ((b"embedding_length\x04\0\0\0\x80", b"embedding_length\x04\0\0\0\0"), "", "hidden_size"),
        ((b"embedding_length\x04", b"embedding_length\x06"), "", "not a number"),
        ((b"ssm.time_step_rank\x04\0\0\0\x08", b"ssm.time_step_rank\x04\0\0\0\0"), "", "head size"),
        (
            (b"ssm.time_step_rank\x04\0\0\0\x08", b"ssm.time_step_rank\x04\0\0\0\x07"),
            "",
            "head size",
        ),
        (
            (b"ssm.group_count\x04\0\0\0\x02", b"ssm.group_count\x04\0\0\0\x03"),
            "contradicts",
            "8 M",
        ),
    ],
)
def test_header_that_describes_something_else_is_refused(
    sparse: ModuleType, tmp_path: Path, change: tuple[bytes, bytes], message: str, evidence: str
):
    path = sparse.write_sparse_gguf(tmp_path / "m.gguf", sparse.TINY)
    data = path.read_bytes()
    assert change[0] in data
    path.write_bytes(data.replace(*change))
    with pytest.raises(CheckpointUnusable, match=message or None) as caught:
        open_checkpoint(path)
    assert evidence in caught.value.evidence
    assert caught.value.next_step


def test_mixture_of_experts_is_refused_with_the_converter_s_mistake_explained(
    tmp_path: Path,
):
    import gguf

    writer = gguf.GGUFWriter(tmp_path / "moe.gguf", "nemotron_h_moe")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(CheckpointUnusable, match="mixture of experts") as caught:
        open_checkpoint(tmp_path / "moe.gguf")
    assert "transformers 5" in caught.value.evidence


def test_part_of_a_split_model_is_refused(sparse: ModuleType, tmp_path: Path):
    path = tmp_path / "m-00001-of-00003.gguf"
    sparse.write_sparse_gguf(path, sparse.TINY, metadata={"split.count": 3})
    with pytest.raises(CheckpointUnusable, match="one of 3 parts") as caught:
        open_checkpoint(path)
    assert "llama-gguf-split --merge" in caught.value.next_step


def test_extra_tensor_is_refused(sparse: ModuleType, tmp_path: Path):
    """One layer less in the metadata leaves the tensors of the last without a place."""
    shape = msgspec.structs.replace(sparse.TINY, pattern="M*-")
    path = sparse.write_sparse_gguf(
        tmp_path / "m.gguf", msgspec.structs.replace(shape, pattern="M*--")
    )
    shorter = sparse.write_sparse_gguf(tmp_path / "s.gguf", shape).read_bytes()
    longer = path.read_bytes()
    first = b"tokenizer.ggml.model"
    head = shorter[24 : shorter.index(first)]
    assert head != longer[24 : longer.index(first)]
    path.write_bytes(longer[:24] + head + longer[longer.index(first) :] + bytes(64))
    with pytest.raises(CheckpointUnusable, match="has foreign tensors") as caught:
        open_checkpoint(path)
    assert "blk.3." in caught.value.evidence


def test_truncated_file_is_refused(real_4b_gguf: Path, tmp_path: Path):
    with real_4b_gguf.open("rb") as file:
        (tmp_path / "cut.gguf").write_bytes(file.read(20_000_000))
    with pytest.raises(CheckpointUnusable, match="not a GGUF file that can be used") as caught:
        open_checkpoint(tmp_path / "cut.gguf")
    assert "cut short" in caught.value.evidence


def test_home_of_nobody_is_no_checkpoint():
    with pytest.raises(CheckpointUnusable, match="there is no checkpoint"):
        open_checkpoint(Path("~nobody-of-that-name/model.gguf"))
