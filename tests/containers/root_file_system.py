"""A base image from what this machine has: its Python, the libraries that needs, and busybox.

Registries are out of reach where the tests run. A root file system by `debootstrap` takes most of a
minute and 275 MB; this one takes seconds, and holds what python:slim holds as far as our
Dockerfiles look at it: a shell, `python3` with pip, a C and a C++ library.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterable
from pathlib import Path

_LEFT_OUT = ("test", "idlelib", "tkinter", "turtledemo", "lib2to3", "site-packages",
             "dist-packages", "config-*", "*.a")  # fmt: skip
# What wheels link against and every slim image has, but for OpenMP's, which our Dockerfile fetches
# where it is missing.
_WHEELS_NEED = (
    "libstdc++.so.6", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0", "libdl.so.2",
    "librt.so.1", "libz.so.1", "libutil.so.1", "libresolv.so.2", "libgomp.so.1",
)  # fmt: skip
_FOLDERS = ("bin", "dev", "etc", "home", "proc", "root", "run", "sys", "usr/bin", "usr/local/bin",
            "var/tmp")  # fmt: skip
_PASSWORDS = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
_GROUPS = "root:x:0:\nnogroup:x:65534:\n"
_FOUND = re.compile(r"(?:=> )?(/\S+) \(0x")


def base_key() -> str:
    """A name for the content: another interpreter, library or recipe makes another."""
    parts = [Path(__file__).read_text(encoding="utf-8"), sys.version, sys.base_prefix]
    for path in (_interpreter(), *_libraries()):
        status = path.stat()
        parts.append(f"{path} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def write_root(root: Path) -> None:
    """Write the file system into the empty folder `root`."""
    for folder in _FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for folder in ("tmp", "var/tmp"):
        (root / folder).mkdir(exist_ok=True)
        (root / folder).chmod(0o1777)
    (root / "etc/passwd").write_text(_PASSWORDS, encoding="utf-8")
    (root / "etc/group").write_text(_GROUPS, encoding="utf-8")
    _write_python(root / "usr/local")
    for library in _libraries():
        _copy(library, root)
    _write_busybox(root)


def _write_python(prefix: Path) -> None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    standard = prefix / "lib" / version
    source = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))
    shutil.copytree(source, standard, symlinks=True, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    (standard / "site-packages").mkdir()
    shutil.copy2(_interpreter(), prefix / "bin" / version)
    for name in ("python3", "python"):
        (prefix / "bin" / name).symlink_to(version)
    # Beside the standard library, where every build of Python looks, whatever it calls its sites.
    with zipfile.ZipFile(_pip_wheel()) as wheel:
        wheel.extractall(standard)


def _pip_wheel() -> Path:
    places = (Path(sysconfig.get_path("stdlib")) / "ensurepip/_bundled",
              Path("/usr/share/python-wheels"))  # fmt: skip
    wheels = sorted(wheel for place in places for wheel in place.glob("pip-*.whl"))
    if not wheels:
        raise FileNotFoundError(f"no wheel of pip under {places}: install python3-venv")
    return wheels[-1]


def _write_busybox(root: Path) -> None:
    found = shutil.which("busybox")
    if found is None:
        raise FileNotFoundError("busybox is missing: apt-get install busybox-static")
    shutil.copy2(found, root / "bin/busybox")
    for library in _linked([Path(found)]):
        _copy(library, root)
    names = subprocess.run([found, "--list"], capture_output=True, text=True, check=True).stdout
    for name in names.split():
        link = root / "bin" / name
        if not link.exists():
            link.symlink_to("busybox")
    (root / "usr/bin/env").symlink_to("/bin/busybox")


def _interpreter() -> Path:
    return Path(os.path.realpath(sys.executable))


def _libraries() -> list[Path]:
    """Shared libraries of the interpreter, of its modules, and of common wheels."""
    modules = Path(sysconfig.get_path("stdlib")) / "lib-dynload"
    named = [path for name in _WHEELS_NEED if (path := _system_library(name)) is not None]
    linked = _linked([_interpreter(), *sorted(modules.glob("*.so")), *named])
    return sorted({*linked, *named})


def _linked(programs: Iterable[Path]) -> set[Path]:
    said = subprocess.run(
        ["ldd", *map(str, programs)], capture_output=True, text=True, check=False
    ).stdout
    return {Path(match) for match in _FOUND.findall(said)}


def _system_library(name: str) -> Path | None:
    said = subprocess.run(
        ["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True
    ).stdout
    machine = os.uname().machine.replace("_", "-")
    lines = [line for line in said.splitlines() if line.strip().startswith(f"{name} ")]
    fitting = [line for line in lines if machine in line] or lines
    return Path(fitting[0].rpartition("=> ")[2].strip()) if fitting else None


def _copy(source: Path, root: Path) -> None:
    target = root / str(source).lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copy2(os.path.realpath(source), target)
