"""What is on record, and what becomes of it when those who kept it are gone."""

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.deploy.serving.processes import (
    INSTANCE_VARIABLE,
    creation_time,
    find_process,
    sweep,
)
from trt_nemotron.deploy.serving.registry import (
    NAME_PATTERN,
    Registry,
    list_endpoints,
    observe,
    require_room,
    servers_folder,
    valid_name,
)
from trt_nemotron.deploy.serving.values import Endpoint
from trt_nemotron.document import write_document
from trt_nemotron.errors import EnvironmentUnfit, InvalidInput

LONG_AGO = 1_000_000.0


def endpoint_of(name: str = "demo", **facts: Any) -> Endpoint:
    values = {
        "name": name, "state": "ready", "url": "http://127.0.0.1:1", "model": "m",
        "runtime": "llamacpp", "bundle": "/b", "log": "/l", "guard_pid": os.getpid(),
        "guard_started": creation_time(os.getpid()), "instance": "instance-of-this-test",
    }  # fmt: skip
    return Endpoint(**{**values, **facts})


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "servers")


def put(registry: Registry, endpoint: Endpoint) -> None:
    write_document(registry.document_path(endpoint.name), endpoint)


def test_the_folder_is_the_user_s_or_the_one_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("TRT_NEMOTRON_STATE_DIR", str(tmp_path))
    assert servers_folder() == tmp_path / "servers"
    monkeypatch.delenv("TRT_NEMOTRON_STATE_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert servers_folder().parent.name == "trt-nemotron"


def test_an_empty_record_creates_nothing(registry: Registry):
    assert registry.endpoints() == ()
    assert not registry.folder.exists()


def test_only_our_own_folder_is_made_private(tmp_path: Path, registry: Registry):
    tmp_path.chmod(0o755)
    with registry.claimed("demo"):
        assert stat.S_IMODE(registry.folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "-x", "a b", "x" * 64, "ä", "a\n"])
def test_a_name_that_is_no_name_is_refused(registry: Registry, name: str):
    with pytest.raises(InvalidInput, match="cannot name a server"):
        registry.document_path(name)


@given(st.from_regex(NAME_PATTERN, fullmatch=True))
def test_a_valid_name_stays_in_the_folder(name: str):
    assert (Path("/folder") / f"{valid_name(name)}.json").resolve().parent == Path("/folder")


def test_a_live_server_keeps_its_name(registry: Registry):
    put(registry, endpoint_of())
    with pytest.raises(EnvironmentUnfit) as caught, registry.claimed("demo"):
        pytest.fail("claimed")
    assert "already running at http://127.0.0.1:1" in caught.value.message
    with registry.claimed("other"):
        pass


def test_one_that_is_being_started_keeps_its_name_too(registry: Registry):
    put(registry, endpoint_of(state="starting", url=""))
    with pytest.raises(EnvironmentUnfit, match="being started"), registry.claimed("demo"):
        pytest.fail("claimed")


def test_a_process_that_took_over_the_id_is_another(registry: Registry):
    """After a restart of the machine the guard's id may be anybody's."""
    put(registry, endpoint_of(guard_started=LONG_AGO))
    (stale,) = registry.endpoints()
    assert (stale.state, stale.reason) == (
        "crashed",
        "its guard is gone: it was killed, or the machine was restarted",
    )
    assert registry.read("demo") == stale
    with registry.claimed("demo"):
        assert registry.read("demo") is None


def test_what_was_never_ready_is_forgotten(registry: Registry):
    put(registry, endpoint_of(state="starting", guard_started=LONG_AGO))
    assert registry.endpoints() == ()
    assert registry.read("demo") is None


def test_forgetting_spares_the_next_of_the_name(registry: Registry):
    put(registry, endpoint_of(instance="new"))
    registry.forget("demo", "old")
    assert registry.read("demo") is not None
    registry.forget("demo", "new")
    assert registry.read("demo") is None


def test_an_unreadable_document_is_named(registry: Registry):
    registry.folder.mkdir()
    registry.document_path("demo").write_text("{}")
    with pytest.raises(InvalidInput, match=r"demo\.json"):
        registry.read("demo")


def test_old_logs_without_a_server_go(registry: Registry):
    registry.folder.mkdir()
    for number in range(30):
        log = registry.log_path(f"s{number}")
        log.touch()
        os.utime(log, (number, number))
    put(registry, endpoint_of("s0"))
    with registry.claimed("next"):
        left = {path.stem for path in registry.folder.glob("*.log")}
    assert left == {"s0", *(f"s{number}" for number in range(10, 30))}


def test_state_that_cannot_be_kept_is_said(tmp_path: Path):
    (tmp_path / "file").touch()
    registry = Registry(tmp_path / "file" / "servers")
    with pytest.raises(EnvironmentUnfit) as caught, registry.claimed("demo"):
        pytest.fail("claimed")
    assert "cannot keep state" in caught.value.message
    assert "TRT_NEMOTRON_STATE_DIR" in caught.value.next_step


def test_status_tells_uptime_and_memory():
    us, since = os.getpid(), creation_time(os.getpid())
    seen = observe(endpoint_of(server_pid=us, server_started=since), now=since + 61.0)
    assert seen.uptime_s == pytest.approx(61.0)
    assert seen.rss_bytes is not None
    assert seen.rss_bytes > 1 << 20
    gone = observe(endpoint_of(server_pid=us, server_started=LONG_AGO))
    assert (gone.uptime_s, gone.rss_bytes) == (None, None)


def test_endpoints_are_listed_by_name(registry: Registry):
    for name in ("b", "a", "c"):
        put(registry, endpoint_of(name))
    listed = list_endpoints(registry.folder)
    assert [known.endpoint.name for known in listed] == ["a", "b", "c"]


def test_a_zombie_does_not_live():
    child = subprocess.Popen([sys.executable, "-c", "pass"], stdout=subprocess.PIPE)
    created = creation_time(child.pid)
    assert child.stdout is not None
    child.stdout.read()
    child.stdout.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert find_process(child.pid, created) is None
    child.wait()
    assert find_process(child.pid, created) is None
    assert find_process(0, 0.0) is None


def test_a_sweep_takes_what_carries_the_mark_and_nothing_else():
    sleep = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(3600)"]
    children = {
        mark: subprocess.Popen(
            sleep,
            env={**os.environ, INSTANCE_VARIABLE: mark},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        for mark in ("ours", "theirs")
    }
    try:
        for child in children.values():
            assert child.stdout is not None
            child.stdout.readline()
        assert sweep("ours") == 1
        assert children["ours"].wait(60) is not None
        assert children["theirs"].poll() is None
        assert sweep("") == 0
    finally:
        for child in children.values():
            child.kill()
            child.wait()
            assert child.stdout is not None
            child.stdout.close()


@pytest.mark.parametrize("data", [b"", b"\xff\x00", b"[1]", b"{}"])
def test_record_that_cannot_be_read_is_named_with_the_way_out(registry: Registry, data: bytes):
    put(registry, endpoint_of("demo"))
    path = registry.document_path("demo")
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match="record of the server demo") as caught:
        registry.endpoints()
    assert str(path) in caught.value.next_step
    path.unlink()
    assert registry.endpoints() == ()


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts a file system")
def test_a_full_disk_is_said_before_a_server_is_started(tmp_path: Path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        require_room(tmp_path)
        assert not list(tmp_path.iterdir())
        (tmp_path / "fill").write_bytes(bytes(200_000))
        with pytest.raises(EnvironmentUnfit, match="No space left"):
            require_room(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["fill"]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_folder_that_is_gone_has_no_room(tmp_path: Path):
    with pytest.raises(EnvironmentUnfit, match="cannot be written"):
        require_room(tmp_path / "gone")
