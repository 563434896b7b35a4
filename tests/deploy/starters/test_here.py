"""`start-here.sh`: the server itself, as `serve` would start it inside its image."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.deploy.starters.built import Built
from trt_nemotron.deploy.runtimes.catalogue import get_runtime
from trt_nemotron.deploy.runtimes.protocol import Place
from trt_nemotron.deploy.starters.here import MPI_PREFIXES, here_text
from trt_nemotron.deploy.starters.recipe import Recipe
from trt_nemotron.redaction import MPI_VARIABLE

SERVER = """\
#!/bin/sh
printf '%s\\n' "$0" "$@" >"$RECORD"
env >"$RECORD.env"
"""


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """A folder with a `trtllm-serve` that writes down how it was started."""
    program = tmp_path / "bin" / "trtllm-serve"
    program.parent.mkdir()
    program.write_text(SERVER)
    program.chmod(0o755)
    return program


def started(
    built: Built, server: Path, variables: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(built.folder / "start/start-here.sh")],
        env={
            "PATH": f"{server.parent}:/usr/bin:/bin",
            "HOME": str(server.parent / "home"),
            "RECORD": str(server.parent / "record"),
            **variables,
        },
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def environment(server: Path) -> dict[str, str]:
    lines = (server.parent / "record.env").read_text().splitlines()
    return dict(line.partition("=")[::2] for line in lines)


def test_it_runs_what_serve_runs_there(built: Built, server: Path, monkeypatch: pytest.MonkeyPatch):
    done = started(built, server, {"PORT": "8123", "CACHE": "/tmp/kept"})
    assert done.returncode == 0, done.stderr
    monkeypatch.setenv("PATH", f"{server.parent}:{os.environ['PATH']}")
    launch = get_runtime("trtllm").launch(
        built.folder, built.manifest, built.plan, Place(port=8123)
    )
    words = (server.parent / "record").read_text().splitlines()
    assert tuple(words) == launch.argv
    said = environment(server)
    assert launch.environment.keys() <= said.keys()
    root = os.path.commonpath(
        [value for value in launch.environment.values() if value.startswith("/")]
    )
    for name, value in launch.environment.items():
        assert said[name] == value.replace(root, "/tmp/kept")


def test_without_a_choice_its_cache_is_the_users_and_the_bundles_own(built: Built, server: Path):
    assert started(built, server, {}).returncode == 0
    folder = Path(environment(server)["TRITON_CACHE_DIR"]).parent
    assert folder.is_dir()
    assert folder.parent == server.parent / "home/.cache/trt-nemotron"
    assert built.manifest.configuration_sha256[:12] in folder.name
    assert environment(server)["HOME"] == str(server.parent / "home")
    assert "127.0.0.1" in (server.parent / "record").read_text().splitlines()


def test_what_a_launcher_above_us_left_is_taken_away(built: Built, server: Path):
    left = {
        "OMPI_COMM_WORLD_SIZE": "2",
        "PMIX_RANK": "1",
        "SLURM_JOB_ID": "7\nPMI_FAKE=1",
        "MPICH_KEPT": "yes",
    }
    assert started(built, server, left).returncode == 0
    assert not [name for name in environment(server) if MPI_VARIABLE.match(name)]
    assert environment(server)["MPICH_KEPT"] == "yes"


def test_it_takes_away_what_serve_takes_away():
    assert f"^({'|'.join(MPI_PREFIXES)})_" == MPI_VARIABLE.pattern


@pytest.mark.parametrize(
    ("variables", "word"),
    [({"PATH": "/usr/bin:/bin"}, "not on PATH"), ({"PORT": "x"}, "not a number")],
)
def test_what_cannot_work_is_refused(
    built: Built, server: Path, variables: dict[str, str], word: str
):
    done = started(built, server, variables)
    assert done.returncode == 3
    assert word in done.stderr
    assert not (server.parent / "record").exists()


def test_nothing_of_the_containers_paths_is_left(built: Built):
    text = (built.folder / "start/start-here.sh").read_text()
    assert "/bundle/" not in text.replace("${bundle}/", "")
    assert "/cache/" not in text.replace("${cache}/", "")
    assert "0.0.0.0" not in text


def test_text(recipe: Recipe):
    golden = Path(__file__).with_name("golden") / "start-here.sh"
    assert here_text(recipe) == golden.read_text()
