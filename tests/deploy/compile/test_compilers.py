import pytest

from trt_nemotron.deploy.compile.compilers import (
    AHEAD_OF_TIME,
    BOARDS,
    DEFAULT_SMS,
    choose_sms,
    compiler_name,
    current_sms,
    module_of,
)
from trt_nemotron.errors import EnvironmentUnfit, InvalidInput


def test_all_usual_boards_when_none_is_asked_for():
    assert choose_sms("tensorrt-rtx", ()) == (80, 86, 89, 120, 121) == DEFAULT_SMS


def test_each_board_once_in_the_order_asked():
    assert choose_sms("tensorrt-rtx", (121, 80, 121)) == (121, 80)


@pytest.mark.parametrize(
    ("sm", "way"), [(90, "--with tensorrt"), (110, "Edge-LLM"), (100, "--with tensorrt"), (1, "")]
)
def test_a_board_without_engines_is_refused_with_the_way_that_there_is(sm: int, way: str):
    with pytest.raises(InvalidInput, match=f"no engine for SM{sm}") as caught:
        choose_sms("tensorrt-rtx", (80, sm))
    assert way in caught.value.next_step
    assert "120, 121" in caught.value.evidence


def test_tensorrt_compiles_for_the_gpu_that_is_there():
    assert choose_sms("tensorrt", (), lambda: (90, 90)) == (90,)
    assert choose_sms("tensorrt", (90,), lambda: (90,)) == (90,)
    with pytest.raises(InvalidInput, match="cannot compile for SM121 here"):
        choose_sms("tensorrt", (121,), lambda: (90,))
    with pytest.raises(EnvironmentUnfit, match="there is none here"):
        choose_sms("tensorrt", (90,), lambda: ())


def test_the_driver_is_asked(tmp_path, monkeypatch: pytest.MonkeyPatch):
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho 9.0\necho 12.1\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert current_sms() == (90, 121)
    driver.unlink()
    assert current_sms() == ()


def test_a_missing_compiler_names_its_extra():
    with pytest.raises(EnvironmentUnfit, match="tensorrt is missing") as caught:
        module_of("tensorrt")
    assert "trt-nemotron[tensorrt]" in caught.value.next_step


def test_names():
    assert compiler_name("tensorrt-rtx") == "tensorrt-rtx"
    with pytest.raises(InvalidInput, match="no compiler is called 'nvcc'"):
        compiler_name("nvcc")


def test_the_list_is_the_compiler_s_own():
    trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    theirs = {name for name in dir(trt.ComputeCapability) if name.startswith("SM")}
    assert theirs == {f"SM{sm}" for sm in AHEAD_OF_TIME}
    assert set(AHEAD_OF_TIME) <= set(BOARDS)
