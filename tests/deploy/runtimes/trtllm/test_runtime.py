"""Built and started for real, but for the server itself."""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import yaml

from trt_nemotron.deploy.bundle.reader import verify_bundle
from trt_nemotron.deploy.bundle.values import Manifest
from trt_nemotron.deploy.bundle.writer import build_bundle
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.planning import _refuse_missing_runtime, make_plan
from trt_nemotron.deploy.runtimes.catalogue import get_runtime
from trt_nemotron.deploy.runtimes.protocol import LatencyGoal, Place, Wishes
from trt_nemotron.errors import EnvironmentUnfit, InvalidInput, PlanRefused
from trt_nemotron.facts.catalogue import load_target

LAPTOP = Machine(architecture="x86_64", cores=2, memory_total_bytes=8 << 30)
Built = tuple[Path, Manifest, Plan]
Build = Callable[..., Built]


@pytest.fixture
def planned(tiny_checkpoint: Path) -> Callable[..., tuple[Plan, Checkpoint]]:
    def make(target: str = "h100-sxm", **wishes: object) -> tuple[Plan, Checkpoint]:
        asked = Wishes(**wishes)  # type: ignore[arg-type]
        return make_plan(target, "trtllm", tiny_checkpoint, asked, LAPTOP)

    return make


@pytest.fixture
def build(planned: Callable[..., tuple[Plan, Checkpoint]], tmp_path: Path) -> Build:
    def make(**wishes: object) -> Built:
        plan, checkpoint = planned(**wishes)
        out = tmp_path / "bundle"
        return out, build_bundle(out, plan, checkpoint, get_runtime("trtllm")), plan

    return make


@pytest.fixture
def server_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin" / "trtllm-serve"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return program


def test_bundle_holds_weights_file_and_environment(build: Build, tiny_checkpoint: Path):
    out, manifest, plan = build(served_model_name="mine")
    assert manifest.model_path == "model/mine"
    names = {file.path for file in manifest.files}
    assert {"plan.json", "model/config.yaml", "model/environment.env"} <= names
    weights = out / "model/mine/model.safetensors"
    assert weights.read_bytes() == (tiny_checkpoint / "model.safetensors").read_bytes()
    config = yaml.safe_load((out / "model/config.yaml").read_text())
    assert config["max_batch_size"] == plan.int_choice("max_batch_size")
    assert verify_bundle(out) == manifest


def test_bundle_names_no_place_of_this_machine(build: Build, tmp_path: Path):
    out, manifest, _ = build()
    texts = [out / name for name in ("plan.json", "model/config.yaml", "model/environment.env")]
    for path in (*texts, out / "manifest.json"):
        assert str(tmp_path) not in path.read_text()
    assert manifest.release == "1.3.0rc6"


def test_server_is_started_with_the_bundles_own_file(build: Build, server_on_path: Path):
    out, manifest, plan = build(served_model_name="mine")
    launch = get_runtime("trtllm").launch(out, manifest, plan, Place(port=8123))
    assert launch.argv[:6] == (
        str(server_on_path), str(out / "model/mine"), "--host", "127.0.0.1", "--port", "8123",
    )  # fmt: skip
    assert str(out / "model/config.yaml") in launch.argv
    cache = Path(launch.environment["TRITON_CACHE_DIR"])
    assert cache.is_absolute()
    key = f"trtllm-h100-sxm-sm90-1.3.0rc6-{manifest.configuration_sha256[:12]}"
    assert key in cache.parts
    assert [Path(folder).name for folder in launch.folders] == [key]
    assert launch.container is None


def test_in_a_container_it_sees_the_bundle_and_a_volume_of_its_own(build: Build):
    out, manifest, plan = build(served_model_name="mine")
    place = Place(port=8123, engine="docker", secret_names=("HF_TOKEN",))
    launch = get_runtime("trtllm").launch(out, manifest, plan, place)
    container = launch.container
    assert container is not None
    assert launch.argv[:6] == (
        "trtllm-serve", "/bundle/model/mine", "--host", "0.0.0.0", "--port", "8000",
    )  # fmt: skip
    assert "/bundle/model/config.yaml" in launch.argv
    assert str(out) not in " ".join((*launch.argv, *launch.environment.values()))
    assert container.image == "nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc6"
    assert [(it.source, it.target, it.is_writable) for it in container.mounts] == [
        (str(out), "/bundle", False)
    ]
    assert container.cache_volume == (
        f"trt-nemotron-trtllm-h100-sxm-sm90-1.3.0rc6-{manifest.configuration_sha256[:12]}"
    )
    places = [it for name, it in launch.environment.items() if "CACHE" in name or name == "HOME"]
    assert all(it.startswith(f"{container.cache_target}/") for it in places)
    assert (container.ipc, dict(container.ulimits)) == (
        "host", {"memlock": "-1", "stack": "67108864"},
    )  # fmt: skip
    assert launch.secret_names == ("HF_TOKEN",)


def test_on_the_hosts_network_it_listens_on_loopback_only(build: Build):
    place = Place(port=8123, engine="podman", is_host_network=True)
    launch = get_runtime("trtllm").launch(*build(), place)
    assert launch.argv[2:6] == ("--host", "127.0.0.1", "--port", "8123")


def test_a_pinned_image_goes_before_the_releases_and_one_that_is_named_before_both(build: Build):
    out, manifest, plan = build()
    pinned = msgspec.structs.replace(manifest, image="a/b@sha256:1")
    for image, expected in (("", "a/b@sha256:1"), ("c/d:2", "c/d:2")):
        place = Place(engine="docker", image=image)
        launch = get_runtime("trtllm").launch(out, pinned, plan, place)
        assert launch.container is not None
        assert launch.container.image == expected


def test_without_the_server_it_says_where_it_can_be_started(
    build: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    out, manifest, plan = build()
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(EnvironmentUnfit, match="not on PATH") as fault:
        get_runtime("trtllm").launch(out, manifest, plan, Place(port=8123))
    assert "--engine docker" in fault.value.next_step
    assert "nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc6" in fault.value.next_step


def test_name_that_cannot_be_a_folder_is_refused(build: Build):
    with pytest.raises(InvalidInput, match="cannot serve under the name"):
        build(served_model_name="a/b")


@pytest.mark.parametrize(
    ("target", "wishes", "release"),
    [
        ("h100-sxm", {}, "1.3.0rc6"),
        ("spark", {}, "1.3.0rc14"),
        ("spark", {"profile": "card"}, "1.3.0rc6"),
        ("spark", {"release": "1.3.0rc13"}, "1.3.0rc13"),
        ("thor", {"is_experimental": True}, "1.2.1"),
    ],
)
def test_release_is_the_one_asked_for_else_the_targets(
    planned: Callable[..., tuple[Plan, Checkpoint]],
    target: str,
    wishes: dict[str, object],
    release: str,
):
    assert planned(target, **wishes)[0].release == release


def test_release_that_is_not_known_is_refused(planned: Callable[..., tuple[Plan, Checkpoint]]):
    with pytest.raises(InvalidInput, match=r"1\.3\.0rc99") as fault:
        planned(release="1.3.0rc99")
    assert "Did you mean" in fault.value.next_step


def test_small_model_gets_no_roofline_and_says_so_when_asked(
    planned: Callable[..., tuple[Plan, Checkpoint]],
):
    plan, _ = planned(slo=LatencyGoal(tpot_ms=1.0))
    assert plan.roofline is None
    assert any("--slo was not considered" in warning for warning in plan.warnings)


def test_quantized_weights_that_nothing_names_are_warned_of(
    planned: Callable[..., tuple[Plan, Checkpoint]],
):
    _, checkpoint = planned()
    silent = msgspec.structs.replace(checkpoint, quantization="F8_E4M3")
    plan = get_runtime("trtllm").plan(load_target("spark"), LAPTOP, silent, Wishes())
    assert any("the server will not know" in warning for warning in plan.warnings)


def test_other_forms_of_checkpoint_are_refused(
    planned: Callable[..., tuple[Plan, Checkpoint]],
):
    _, checkpoint = planned()
    spark, runtime = load_target("spark"), get_runtime("trtllm")
    gguf = msgspec.structs.replace(checkpoint, format="gguf")
    with pytest.raises(PlanRefused, match="safetensors checkpoints only"):
        runtime.plan(spark, LAPTOP, gguf, Wishes())
    shape = msgspec.structs.replace(checkpoint.shape, pattern="M-M-")
    with pytest.raises(PlanRefused, match="attention layers and Mamba layers"):
        runtime.plan(spark, LAPTOP, msgspec.structs.replace(checkpoint, shape=shape), Wishes())


def test_board_is_planned_for_on_any_machine_and_a_computer_only_on_itself(
    tiny_checkpoint: Path,
):
    foreign = Machine(architecture="riscv64", cores=1, memory_total_bytes=1 << 30)
    assert make_plan("spark", None, tiny_checkpoint, Wishes(), foreign)
    with pytest.raises(PlanRefused, match="does not run on riscv64"):
        make_plan("cpu", None, tiny_checkpoint, Wishes(), foreign)


def test_runtime_that_is_known_and_not_yet_there_names_the_one_that_is(tiny_checkpoint: Path):
    thor = load_target("thor")
    absent = msgspec.structs.replace(thor.runtimes[0], runtime="vllm")
    with pytest.raises(InvalidInput, match="cannot use the runtime vllm yet") as fault:
        _refuse_missing_runtime(thor, absent)
    assert "--runtime trtllm --experimental" in fault.value.next_step
    assert make_plan("thor", None, tiny_checkpoint, Wishes(), LAPTOP)[0].runtime == "edgellm"
    with pytest.raises(PlanRefused, match="refused on target"):
        make_plan("h100-sxm", "edgellm", tiny_checkpoint, Wishes(), LAPTOP)
