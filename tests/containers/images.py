"""Images that the tests build, each tagged by a hash of all that went into it.

A second run finds them; a change builds anew and takes the old ones away. A file lock keeps the
workers of a parallel run from building the same.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from filelock import FileLock

from tests.containers import podman_here, root_file_system
from tests.doubles.trtllm_serve.installing import install_double

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY / ".cache" / "containers"
PREFIX = "localhost/trt-nemotron-test"
DOUBLE_ROOT = "/opt/double"
_SHIPPED = ("locks/demo.txt", "pyproject.toml", "README.md", "LICENSE", "ci/budgets",
            "engine_configs", "trt_nemotron", ".dockerignore")  # fmt: skip
_PYDANTIC = ("pydantic", "pydantic_core", "annotated_types", "typing_extensions",
             "typing_inspection")  # fmt: skip
_TIMEOUT_S = 600


def podman(*words: str, stdin: bytes | None = None) -> str:
    """Run the real engine to its end; what it says."""
    done = subprocess.run(
        ["podman", *podman_here.global_options(), *words],
        input=stdin, capture_output=True, check=False, timeout=_TIMEOUT_S,
    )  # fmt: skip
    assert done.returncode == 0, f"podman {words[0]}: {done.stderr.decode()[-4000:]}"
    return done.stdout.decode().strip()


def base_image() -> str:
    """A Debian-like base with Python, made of what this machine has."""
    tag = f"{PREFIX}-base:{root_file_system.base_key()}"
    with _building():
        if _is_here(tag):
            return tag
        with tempfile.TemporaryDirectory() as scratch:
            root_file_system.write_root(Path(scratch))
            with subprocess.Popen(
                ["tar", "-C", scratch, "-c", "."], stdout=subprocess.PIPE
            ) as archive:
                subprocess.run(
                    ["podman", "import", "--change", "ENV PATH=/usr/local/bin:/usr/bin:/bin",
                     "--change", 'CMD ["/bin/sh"]', "-", tag],
                    stdin=archive.stdout, capture_output=True, check=True, timeout=_TIMEOUT_S,
                )  # fmt: skip
            assert archive.returncode == 0
        _forget_others(tag)
    return tag


def cpu_image(base: str) -> str:
    """`containers/cpu/Dockerfile`, built for real."""
    return _tool_image("cpu", REPOSITORY / "containers/cpu/Dockerfile", base)


def trtllm_image(base: str) -> str:
    """`containers/trtllm/Dockerfile` on a base that holds the double in TensorRT-LLM's place."""
    return _tool_image("trtllm", REPOSITORY / "containers/trtllm/Dockerfile", base)


def double_image(base: str, tool: str) -> str:
    """An image with the double as `trtllm-serve`, which runs as root like NVIDIA's own."""
    double = REPOSITORY / "tests/doubles/trtllm_serve"
    lines = REPOSITORY / "tests/deploy/runtimes/trtllm/start_log_lines.yaml"
    key = _hash([*_files([double, lines]), *_files([REPOSITORY / "engine_configs"])], base, tool)
    tag = f"{PREFIX}-double:{key}"
    with _building():
        if _is_here(tag):
            return tag
        with tempfile.TemporaryDirectory() as scratch:
            context = Path(scratch)
            root = context / "double"
            _copy_tree(double, root / "tests/doubles/trtllm_serve")
            _copy_tree(REPOSITORY / "engine_configs/runtimes", root / "engine_configs/runtimes")
            (root / lines.relative_to(REPOSITORY)).parent.mkdir(parents=True)
            shutil.copy(lines, root / lines.relative_to(REPOSITORY))
            for package in _PYDANTIC:
                _copy_distribution(package, root)
            interpreter = f"{DOUBLE_ROOT}/venv/bin/python"
            install_double(context, "1.3.0rc14", interpreter=interpreter, root=DOUBLE_ROOT)
            _build(tag, context, (
                f"FROM {tool} AS tool\nFROM {base}\n"
                f"COPY --from=tool /opt/trt-nemotron {DOUBLE_ROOT}/venv\n"
                f"COPY double {DOUBLE_ROOT}\nCOPY trtllm-serve /usr/local/bin/trtllm-serve\n"
            ))  # fmt: skip
        _forget_others(tag)
    return tag


def with_environment(image: str, variables: Mapping[str, str]) -> str:
    """`image` with variables set: how a double inside is told its release and its fault."""
    key = hashlib.sha256(json.dumps([image, sorted(variables.items())]).encode()).hexdigest()[:16]
    tag = f"{PREFIX}-variant:{key}"
    with _building():
        if not _is_here(tag):
            settings = "".join(f"ENV {name}={value}\n" for name, value in variables.items())
            with tempfile.TemporaryDirectory() as scratch:
                _build(tag, Path(scratch), f"FROM {image}\n{settings}")
    return tag


def volumes(prefix: str) -> set[str]:
    """Names of the volumes that start so."""
    return {name for name in podman("volume", "ls", "--quiet").split() if name.startswith(prefix)}


def forget_volumes(names: Iterable[str]) -> None:
    """Remove volumes that no container uses."""
    for name in names:
        subprocess.run(["podman", "volume", "rm", name], check=False, capture_output=True)


def digest_of(image: str) -> str:
    """`sha256:...` of an image that is here."""
    return podman("image", "inspect", "--format", "{{.Digest}}", image)


def build_words(dockerfile: Path, base: str, tag: str, digest: str) -> list[str]:
    """`podman build` as a person would type it, with pip kept to a folder of wheels.

    No network: what the lock names was fetched before, by this machine's own pip as it is
    configured. Nothing of that configuration reaches the build.
    """
    wheels = _wheels()
    configuration = CACHE / "pip.conf"
    configuration.write_text("[global]\nno-index = true\nfind-links = /wheels\n", encoding="utf-8")
    pinned = ["--build-arg", f"BASE_DIGEST={digest}"] if digest else []
    return [
        "build", "--network", "none", "--file", str(dockerfile), "--tag", tag,
        "--build-arg", f"BASE={base}", *pinned,
        "--secret", f"id=pip-conf,src={configuration}", "--volume", f"{wheels}:/wheels:ro",
        *podman_here.limit_options(), str(REPOSITORY),
    ]  # fmt: skip


def _tool_image(name: str, dockerfile: Path, base: str) -> str:
    shipped = [dockerfile, *(REPOSITORY / path for path in _SHIPPED)]
    tag = f"{PREFIX}-{name}:{_hash(_files(shipped), base)}"
    with _building():
        if not _is_here(tag):
            podman(*build_words(dockerfile, base, tag, digest_of(base)))
            _forget_others(tag)
    return tag


def _build(tag: str, context: Path, dockerfile: str) -> None:
    (context / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    limits = podman_here.limit_options()
    podman("build", "--network", "none", "--pull-never", "--tag", tag, *limits, str(context))


def _wheels() -> Path:
    """The wheels that the lock names, fetched once for each state of it."""
    lock = REPOSITORY / "locks/demo.txt"
    folder = CACHE / "wheels" / _hash([lock], sys.version)
    if not folder.is_dir():
        scratch = folder.with_name(f"{folder.name}.new")
        done = subprocess.run(
            [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download",
             "--require-hashes", "--no-deps", "--dest", str(scratch), "--requirement", str(lock)],
            capture_output=True, text=True, check=False, timeout=_TIMEOUT_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        scratch.rename(folder)
    return folder


def _building() -> FileLock:
    CACHE.mkdir(parents=True, exist_ok=True)
    return FileLock(CACHE / "lock")


def _is_here(tag: str) -> bool:
    done = subprocess.run(["podman", "image", "exists", tag], check=False, timeout=60)
    return done.returncode == 0


def _forget_others(tag: str) -> None:
    """Take away what an earlier state of the same image left."""
    name = tag.rpartition(":")[0]
    said = podman("images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={name}")
    for other in set(said.split()) - {tag}:
        subprocess.run(["podman", "rmi", "--force", other], check=False, capture_output=True)


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        inside = path.rglob("*") if path.is_dir() else [path]
        found += [it for it in inside if it.is_file() and "__pycache__" not in it.parts]
    return sorted(found)


def _hash(files: Sequence[Path], *words: str) -> str:
    sum_ = hashlib.sha256("\n".join(words).encode())
    for path in files:
        sum_.update(str(path.relative_to(REPOSITORY)).encode())
        sum_.update(path.read_bytes())
    return sum_.hexdigest()[:16]


def _copy_tree(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))


def _copy_distribution(name: str, folder: Path) -> None:
    """An installed package, file by file; the image has the same interpreter."""
    for file in importlib.metadata.distribution(name).files or ():
        if ".." not in file.parts and "__pycache__" not in file.parts:
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(file.locate()), target)
