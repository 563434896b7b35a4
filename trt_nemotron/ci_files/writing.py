"""Writing: what would become of each file in a user's repository, and doing it."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trt_nemotron.ci_files.rendering import WiringFile
from trt_nemotron.document import read_bytes, write_atomically
from trt_nemotron.errors import InvalidInput

State = Literal["new", "same", "differs", "kept"]


@dataclass(frozen=True, slots=True)
class Intent:
    """What there is at a file's place.

    Attributes:
        state: `kept` for one that belongs to the user and differs from where it started.
        diff: from what is there to what would be; empty unless `differs`.
    """

    file: WiringFile
    state: State
    diff: str = ""


def intend(root: Path, files: Iterable[WiringFile]) -> tuple[Intent, ...]:
    """Compare files with what lies in the repository at `root`; nothing is written.

    Raises:
        InvalidInput: `root` is no folder, or something else than a file stands in the way.
    """
    if not root.is_dir():
        raise InvalidInput(f"{root} is no folder", next_step="Name your repository's folder.")
    return tuple(_intent(root, file) for file in files)


def write(root: Path, intents: tuple[Intent, ...], *, force: bool) -> tuple[str, ...]:
    """Write what is new, and with `force` what differs; paths of those written.

    Each file is written atomically; a run that was cut off is completed by the next one.

    Raises:
        InvalidInput: a file differs and `force` is not given; then nothing is written at all.
    """
    conflicts = [intent for intent in intents if intent.state == "differs"]
    if conflicts and not force:
        raise InvalidInput(
            f"{', '.join(intent.file.path for intent in conflicts)} would be overwritten",
            evidence="\n".join(intent.diff for intent in conflicts),
            next_step="Give --force to take our version, or merge the difference by hand.",
        )
    written = [intent.file for intent in intents if intent.state in {"new", "differs"}]
    for file in written:
        write_atomically(root / file.path, file.text.encode())
    return tuple(file.path for file in written)


def unread_here(root: Path) -> tuple[str, ...]:
    """What to do where no CI system reads the files, for `root` is not the top of a repository."""
    if (root / ".git").exists():
        return ()
    above = next((p for p in root.resolve().parents if (p / ".git").exists()), None)
    if above is None:
        step = f"Make {root.resolve()} a git repository"
    else:
        step = f"Give --repository {above}, the top of the repository"
    return (f"{step}: CI systems read these files from there only.",)


def _intent(root: Path, file: WiringFile) -> Intent:
    path = root / file.path
    if not path.resolve().is_relative_to(root.resolve()):
        raise InvalidInput(
            f"{path} leads out of {root}",
            evidence=f"it is {path.resolve()}",
            next_step="Remove the link; files are written into the repository only.",
        )
    if not path.exists():
        return Intent(file, "new")
    there = read_bytes(path)
    if there == file.text.encode():
        return Intent(file, "same")
    if not file.is_ours:
        return Intent(file, "kept")
    before = there.decode("utf-8", "replace").splitlines(keepends=True)
    after = file.text.splitlines(keepends=True)
    diff = difflib.unified_diff(before, after, f"{file.path} (there)", f"{file.path} (ours)")
    return Intent(file, "differs", "".join(diff))
