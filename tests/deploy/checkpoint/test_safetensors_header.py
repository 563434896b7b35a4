import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from trt_nemotron.deploy.checkpoint.safetensors_header import read_safetensors_header
from trt_nemotron.errors import CheckpointUnusable


def file_of(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(shape: object = (2,), place: object = (0, 8), dtype: object = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": place}


@settings(max_examples=50, deadline=None)
@given(
    shapes=st.dictionaries(
        st.text(min_size=1, max_size=8).filter(lambda name: name != "__metadata__"),
        st.tuples(
            st.lists(st.integers(0, 5), max_size=4),
            st.sampled_from([np.float32, np.float16, np.int64, np.uint8, np.bool_]),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_reads_what_the_library_wrote_and_reads(
    tmp_path_factory: pytest.TempPathFactory, shapes: dict[str, Any]
):
    path = tmp_path_factory.mktemp("st") / "x.safetensors"
    save_file({name: np.zeros(*shape) for name, shape in shapes.items()}, path, {"format": "pt"})
    ours = {tensor.name: tensor for tensor in read_safetensors_header(path)}
    with safetensors.safe_open(path, "np") as file:
        assert set(ours) == set(file.keys())
        for name, tensor in ours.items():
            theirs = file.get_slice(name)
            assert (list(tensor.shape), tensor.storage) == (theirs.get_shape(), theirs.get_dtype())
            assert tensor.elements == np.prod(tensor.shape, dtype=int)


def test_shards_of_a_checkpoint_hold_every_byte_they_announce(tiny_checkpoint: Path):
    path = tiny_checkpoint / "model.safetensors"
    tensors = read_safetensors_header(path)
    header = int.from_bytes(path.read_bytes()[:8], "little")
    assert 8 + header + sum(tensor.size_bytes for tensor in tensors) == path.stat().st_size


@pytest.mark.parametrize(
    ("data", "evidence"),
    [
        (b"", "header's length"),
        (b"\x08\0\0", "header's length"),
        (b"\xff" * 40, "header's length"),
        (b"\0" * 40, "header's length"),
        (file_of({})[:-1], "within its header"),
        (file_of(b"{not json"), "not JSON"),
        (file_of(b"\xff\xfe{}"), "not JSON"),
        (file_of(b"[" * 9000), "not JSON"),
        (file_of([1]), "not a JSON object"),
        (file_of(b'{"a": 1, "a": 2}'), "twice"),
        (file_of({"__metadata__": 7}), "__metadata__"),
        (file_of({"__metadata__": {"format": 7}}), "__metadata__"),
        (file_of({"a": 7}), "not described"),
        (file_of({"a": entry(dtype="F4")}), "'F4'"),
        (file_of({"a": entry(dtype=["F32"])}), "F32"),
        (file_of({"a": entry(shape=[-2], place=[0, 8])}), "[-2]"),
        (file_of({"a": entry(shape=[2.0])}), "[2.0]"),
        (file_of({"a": entry(shape=[True, True], place=[0, 4])}), "True"),
        (file_of({"a": entry(place=[0])}), "[0]"),
        (file_of({"a": entry(place=None)}), "None"),
        (file_of({"a": entry(shape=[3])}), "takes 8 bytes"),
        (file_of({"a": entry(place=[8, 0])}), "takes -8 bytes"),
        (file_of({"a": entry(), "b": entry(place=[12, 20])}, b"\0" * 20), "does not follow"),
        (file_of({"a": entry(), "b": entry()}, b"\0" * 8), "does not follow"),
        (file_of({"a": entry()}, b"\0" * 7), "cut short"),
        (file_of({"a": entry()}, b"\0" * 9), "belong to nothing"),
    ],
)
def test_malformed_file_is_refused_with_what_was_seen(tmp_path: Path, data: bytes, evidence: str):
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    with pytest.raises(CheckpointUnusable, match="not a whole safetensors file") as caught:
        read_safetensors_header(path)
    assert evidence in caught.value.evidence


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_cut_or_damaged_file_is_read_or_refused(
    tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    whole = (tiny_checkpoint / "model.safetensors").read_bytes()
    place = data.draw(st.integers(0, 5000))
    bits = data.draw(st.binary(min_size=1, max_size=4))
    path = tmp_path_factory.mktemp("damaged") / "x.safetensors"
    path.write_bytes(whole[:place] + bits + whole[place + len(bits) :])
    try:
        tensors = read_safetensors_header(path)
    except CheckpointUnusable:
        return
    assert sum(tensor.size_bytes for tensor in tensors) < path.stat().st_size


def test_file_that_cannot_be_read_is_named(tmp_path: Path, random_checkpoints: ModuleType):
    with pytest.raises(CheckpointUnusable, match="cannot read"):
        read_safetensors_header(tmp_path / "nothing.safetensors")
