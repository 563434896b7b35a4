"""Record the machine this runs on, for the tests to replay: what the doctor asked, and no more.

    python -m tests.deploy.doctor.record --target h100 --name h100-sxm

Tokens are recorded as `set`, other variables only where the doctor looks at their names. Serial
numbers are not asked for. Write a SOURCE.md beside what it makes.
"""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.deploy.doctor.recorded_host import MACHINES
from trt_nemotron.deploy.boards import resolve_target
from trt_nemotron.deploy.doctor.examine import ask_board, detect, examine, shown_names
from trt_nemotron.deploy.doctor.host import Answer, Disk, LocalHost
from trt_nemotron.deploy.doctor.order import Folders, make_order
from trt_nemotron.facts.catalogue import load_target
from trt_nemotron.redaction import MPI_VARIABLE, SECRET_VARIABLE

FOLDERS = Folders(work="/home/user/bundles", state="/home/user/.state", cache="/home/user/.cache")
_LOOKED_AT = re.compile(
    r"_PROXY$|OFFLINE$|^CUDA_VISIBLE_DEVICES$|^HF_TOKEN$|HUB_TOKEN$", re.IGNORECASE
)


class RecordingHost(LocalHost):
    """This machine, and a memory of all it was asked."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.listings: dict[str, list[str]] = {}
        self.answers: dict[tuple[str, ...], Answer] = {}
        self.disks: dict[str, Disk] = {}

    def read(self, path: str) -> str | None:
        text = super().read(path)
        if text is not None:
            self.files[path] = text
        return text

    def listing(self, path: str) -> tuple[str, ...]:
        names = super().listing(path)
        if names:
            self.listings[path] = ["shm"] if path == "/dev" and "shm" in names else list(names)
        return names

    def run(self, argv: tuple[str, ...]) -> Answer:
        answer = super().run(argv)
        if answer.fault != "missing":
            self.answers[argv] = answer
        return answer

    def disk(self, path: str) -> Disk | None:
        disk = super().disk(path)
        if disk is not None:
            self.disks[path] = disk
        return disk

    def environment(self) -> Mapping[str, str]:
        return {
            name: "set" if SECRET_VARIABLE.search(name) else value
            for name, value in super().environment().items()
            if _LOOKED_AT.search(name) or MPI_VARIABLE.match(name)
        }

    def tree(self) -> dict[str, object]:
        """What `machine.yaml` says."""
        return {
            "architecture": self.architecture(),
            "cores": self.cores(),
            "python": self.python_version(),
            "environment": dict(self.environment()),
            "is_clock_synchronised": self.is_clock_synchronised(),
            "clock_resolution_s": self.clock_resolution_s(),
            "stamps_packets": self.stamps_packets(),
            "modules": [it for it in ("xllamacpp", "gguf", "numpy") if self.has_module(it)],
            "disks": {
                path: [disk.device, disk.total_bytes, disk.free_bytes]
                for path, disk in self.disks.items()
            },
            "listings": self.listings,
            "answers": [
                {
                    "argv": list(argv),
                    "output": answer.output,
                    "errors": answer.errors,
                    "exit_code": answer.exit_code,
                    "is_hanging": bool(answer.fault),
                }
                for argv, answer in self.answers.items()
            ],
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", action="append", default=[])
    parser.add_argument("--name", required=True)
    parser.add_argument("--out", type=Path, default=MACHINES)
    chosen = parser.parse_args()
    host = RecordingHost()
    board = ask_board(host)
    for wanted in chosen.target or [detect(host, board).target]:
        target = load_target(resolve_target(wanted, lambda: shown_names(board)))
        for it in examine(make_order(target, FOLDERS), host, board).findings:
            print(f"{it.status:8}{it.id}: {it.evidence}")
    folder = chosen.out / chosen.name
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(host.tree(), sort_keys=False, width=100)
    (folder / "machine.yaml").write_text(text)
    for path, content in host.files.items():
        file = folder / "files" / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


if __name__ == "__main__":
    main()
