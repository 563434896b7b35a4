"""A double: a machine that is not here, replayed from what it, or one like it, has printed.

MACHINE/
  SOURCE.md       where every part comes from, and what is assembled
  machine.yaml    what is no file: programs with their answers, disks, variables, clock
  files/          the machine's files, by their absolute paths

It is as strict as a machine: a program that is not recorded is not on PATH, and one that is, asked
in a way that was not recorded, is an error of the test.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from trt_nemotron.deploy.doctor.host import Answer, Disk

MACHINES = Path(__file__).with_name("machines")


class RecordedAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    argv: tuple[str, ...]
    output: str = ""
    errors: str = ""
    exit_code: int = 0
    is_hanging: bool = False


class RecordedMachine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`machine.yaml`; disks are [device, total, free] in bytes, for a path and all below it."""

    architecture: str
    cores: int
    python: str = "3.12.3"
    answers: tuple[RecordedAnswer, ...] = ()
    disks: dict[str, tuple[int, int, int]] = {}
    environment: dict[str, str] = {}
    modules: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    listings: dict[str, tuple[str, ...]] = {}
    unwritable: tuple[str, ...] = ()
    taken_ports: tuple[int, ...] = ()
    is_clock_synchronised: bool | None = True
    clock_resolution_s: float = 1e-9
    stamps_packets: bool | None = True


@dataclass(frozen=True)
class RecordedHost:
    machine: RecordedMachine
    files: Mapping[str, str] = field(default_factory=dict)

    def having(
        self,
        *,
        files: Mapping[str, str | None] | None = None,
        answers: Mapping[tuple[str, ...], Answer | None] | None = None,
        **changes: Any,
    ) -> "RecordedHost":
        """The machine with changes; `None` for a file or an answer that is no more."""
        kept = {
            path: text for path, text in {**self.files, **(files or {})}.items() if text is not None
        }
        known = {it.argv: it for it in self.machine.answers}
        for argv, answer in (answers or {}).items():
            known.pop(argv, None)
            if answer is not None:
                known[argv] = RecordedAnswer(
                    argv, answer.output, answer.errors, answer.exit_code, bool(answer.fault)
                )
        machine = msgspec.structs.replace(self.machine, answers=tuple(known.values()), **changes)
        return replace(self, machine=machine, files=kept)

    def read(self, path: str) -> str | None:
        return self.files.get(path)

    def listing(self, path: str) -> tuple[str, ...]:
        below = {
            file.removeprefix(f"{path}/").split("/")[0]
            for file in self.files
            if file.startswith(f"{path}/")
        }
        return tuple(sorted(below | set(self.machine.listings.get(path, ()))))

    def run(self, argv: tuple[str, ...]) -> Answer:
        for answer in self.machine.answers:
            if answer.argv == argv:
                if answer.is_hanging:
                    return Answer(fault="failed", errors=f"{argv[0]} took longer than 10 s")
                return Answer(
                    exit_code=answer.exit_code, output=answer.output, errors=answer.errors
                )
        if argv[0] in {answer.argv[0] for answer in self.machine.answers}:
            raise AssertionError(f"not recorded: {' '.join(argv)}")
        return Answer(fault="missing", errors=f"{argv[0]} is not on PATH")

    def disk(self, path: str) -> Disk | None:
        above = [it for it in self.machine.disks if f"{path}/".startswith(f"{it.rstrip('/')}/")]
        if not above:
            return None
        device, total, free = self.machine.disks[max(above, key=len)]
        return Disk(device=device, total_bytes=total, free_bytes=free)

    def can_write(self, path: str) -> bool:
        return path not in self.machine.unwritable

    def port_fault(self, port: int) -> str:
        return f"port {port} is taken: by another" if port in self.machine.taken_ports else ""

    def has_module(self, name: str) -> bool:
        return name in self.machine.modules

    def has_program(self, name: str) -> bool:
        return name in self.machine.programs

    def environment(self) -> Mapping[str, str]:
        return self.machine.environment

    def architecture(self) -> str:
        return self.machine.architecture

    def cores(self) -> int:
        return self.machine.cores

    def python_version(self) -> str:
        return self.machine.python

    def is_clock_synchronised(self) -> bool | None:
        return self.machine.is_clock_synchronised

    def clock_resolution_s(self) -> float:
        return self.machine.clock_resolution_s

    def stamps_packets(self) -> bool | None:
        return self.machine.stamps_packets


def load_machine(name: str) -> RecordedHost:
    """The machine recorded under this name."""
    folder = MACHINES / name
    files = folder / "files"
    return RecordedHost(
        machine=msgspec.yaml.decode((folder / "machine.yaml").read_bytes(), type=RecordedMachine),
        files={
            f"/{path.relative_to(files).as_posix()}": path.read_text()
            for path in sorted(files.rglob("*"))
            if path.is_file()
        },
    )


def machine_names() -> tuple[str, ...]:
    """All that are recorded."""
    return tuple(sorted(path.name for path in MACHINES.iterdir() if path.is_dir()))
