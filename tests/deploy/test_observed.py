"""What a start showed, in a real bundle."""

import json
import shutil
import stat
from datetime import datetime, timezone
from pathlib import Path

import pytest

from trt_nemotron.deploy.bundle.reader import read_bundle, verify_bundle
from trt_nemotron.deploy.bundle.values import OBSERVED_NAME, Manifest
from trt_nemotron.deploy.bundle.writer import build_bundle
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.observed import Observed, observe, read_observed, record_start
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.planning import make_plan
from trt_nemotron.deploy.runtimes.catalogue import get_runtime
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.deploy.runtimes.trtllm.log import PHASES
from trt_nemotron.errors import BundleDamaged

LAPTOP = Machine(architecture="x86_64", cores=2, memory_total_bytes=8 << 30)
RUNTIME = get_runtime("trtllm")
LOG = (
    Path(__file__).parent / "runtimes" / "trtllm" / "start_logs" / "two-ranks-1.4.0rc1.log"
).read_text(encoding="utf-8")
Bundle = tuple[Path, Manifest, Plan]


class Notes:
    def __init__(self) -> None:
        self.notes: list[str] = []

    def phase(self, text: str) -> None:
        pass

    def step(self, done: int, total: int, unit: str) -> None:
        pass

    def note(self, text: str) -> None:
        self.notes.append(text)


def noon() -> datetime:
    return datetime(2026, 11, 23, 12, 0, 0, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def whole(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    wishes = Wishes(max_concurrency=32, max_seq_len=4096, release="1.4.0rc1")
    plan, checkpoint = make_plan("h100-sxm", "trtllm", tiny_checkpoint, wishes, LAPTOP)
    out = tmp_path_factory.mktemp("bundles") / "whole"
    return out, build_bundle(out, plan, checkpoint, RUNTIME), plan


@pytest.fixture
def bundle(whole: Bundle, tmp_path: Path) -> Bundle:
    out, manifest, plan = whole
    shutil.copytree(out, tmp_path / "bundle")
    return tmp_path / "bundle", manifest, plan


def record(bundle: Bundle, notes: Notes | None = None, log: str = LOG) -> Observed:
    out, manifest, plan = bundle
    progress = notes or Notes()
    return record_start(
        out, plan, manifest, log, RUNTIME, phases=PHASES, progress=progress, now=noon
    )


def test_it_says_what_was_started_where_and_what_it_showed(bundle: Bundle):
    out, manifest, plan = bundle
    observed = record(bundle)
    assert (observed.target, observed.runtime, observed.release) == (
        "h100-sxm",
        "trtllm",
        "1.4.0rc1",
    )
    assert observed.shape == plan.checkpoint.shape
    assert observed.configuration_sha256 == manifest.configuration_sha256
    assert observed.observed_at == "2026-11-23T12:00:00+00:00"
    assert {it.name for it in observed.facts} >= {"weights_bytes", "cuda_graphs"}
    assert observed.phases[0].name == "loading weights"
    assert observed.phases[0].seconds == 7.0
    assert read_observed(out) == observed


def test_where_it_came_out_otherwise_than_planned_is_noted(bundle: Bundle):
    notes = Notes()
    observed = record(bundle, notes)
    assert notes.notes == list(observed.warnings)
    assert any("weights was planned as" in it for it in notes.notes)
    assert any("CUDA graphs were captured" in it for it in notes.notes)


def test_a_bundle_is_whole_with_it_and_without(bundle: Bundle):
    out, manifest, _ = bundle
    assert verify_bundle(out) == manifest
    record(bundle)
    assert verify_bundle(out) == manifest
    assert read_bundle(out)[0] == manifest


@pytest.mark.parametrize(
    "damage", [b"", b"{", b'{"schema": "trt-nemotron/observed/9"}', b"\xff\x00"]
)
def test_damage_to_it_is_told_and_harms_nothing(bundle: Bundle, damage: bytes):
    out, manifest, _ = bundle
    (out / OBSERVED_NAME).write_bytes(damage)
    notes = Notes()
    assert verify_bundle(out) == manifest
    assert read_observed(out, notes) is None
    assert len(notes.notes) == 1
    assert OBSERVED_NAME in notes.notes[0]


def test_no_start_has_shown_nothing(bundle: Bundle):
    notes = Notes()
    assert read_observed(bundle[0], notes) is None
    assert notes.notes == []


def test_what_a_killed_writer_left_does_not_make_a_bundle_damaged(bundle: Bundle):
    out, manifest, _ = bundle
    (out / f".{OBSERVED_NAME}.ab12cd").write_text("half")
    assert verify_bundle(out) == manifest


@pytest.mark.parametrize("name", ["observed.json.bak", "model/observed.json", "x-observed.json"])
def test_only_this_file_is_exempt(bundle: Bundle, name: str):
    out, _, _ = bundle
    (out / name).write_text("{}")
    with pytest.raises(BundleDamaged, match="does not belong"):
        verify_bundle(out)


def test_a_link_in_its_place_is_as_wrong_as_elsewhere(bundle: Bundle, tmp_path: Path):
    out, _, _ = bundle
    (out / OBSERVED_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleDamaged, match="link"):
        verify_bundle(out)


def test_every_start_writes_it_anew(bundle: Bundle):
    out, _, _ = bundle
    record(bundle)
    record(bundle, log="nothing of note\n")
    observed = read_observed(out)
    assert observed is not None
    assert observed.facts == ()
    assert [path.name for path in out.iterdir() if "observed" in path.name] == [OBSERVED_NAME]


def test_a_bundle_on_a_full_or_read_only_disk_does_not_stop_a_server(bundle: Bundle):
    """Root may write everywhere, so a folder in the file's place stands for such a disk."""
    out, _, _ = bundle
    (out / OBSERVED_NAME).mkdir()
    notes = Notes()
    assert record(bundle, notes).facts
    assert "is not kept" in notes.notes[-1]


def test_another_build_does_not_take_it_over(bundle: Bundle, tiny_checkpoint: Path):
    out, manifest, plan = bundle
    record(bundle)
    _, checkpoint = make_plan(
        "h100-sxm",
        "trtllm",
        tiny_checkpoint,
        Wishes(max_concurrency=32, max_seq_len=4096, release="1.4.0rc1"),
        LAPTOP,
    )
    assert build_bundle(out, plan, checkpoint, RUNTIME) == manifest, "found, and left as it is"
    assert read_observed(out) is not None
    other, checkpoint = make_plan(
        "h100-sxm", "trtllm", tiny_checkpoint, Wishes(max_concurrency=4), LAPTOP
    )
    build_bundle(out, other, checkpoint, RUNTIME, force=True)
    assert read_observed(out) is None


def test_it_holds_no_secret_that_a_log_may(bundle: Bundle, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijklmnopqrstuvwxyz123456")
    log = "hf_abcdefghijklmnopqrstuvwxyz123456 Use 7.40 GB for model weights.\n"
    record(bundle, log=log)
    text = (bundle[0] / OBSERVED_NAME).read_text()
    assert "weights_bytes" in text
    assert "hf_abc" not in text


def test_the_file_is_for_people_too(bundle: Bundle):
    record(bundle)
    path = bundle[0] / OBSERVED_NAME
    tree = json.loads(path.read_text())
    assert tree["schema"] == "trt-nemotron/observed/1"
    assert {"name", "value", "line"} == set(tree["facts"][0])
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_observing_writes_nothing(bundle: Bundle):
    out, manifest, plan = bundle
    before = sorted(out.rglob("*"))
    observe(plan, manifest, LOG, RUNTIME, now=noon)
    assert sorted(out.rglob("*")) == before


def test_the_image_that_ran_counts_before_the_manifest_s(bundle: Bundle):
    _, manifest, plan = bundle
    pinned = "nvcr.io/nvidia/tensorrt-llm/release@sha256:" + "a" * 64
    assert observe(plan, manifest, "", RUNTIME, image=pinned).image == pinned
    assert observe(plan, manifest, "", RUNTIME).image == manifest.image
