"""Names of files in a bundle: where they may lead, which must not meet, what mode each has."""

import unicodedata
from collections.abc import Collection
from pathlib import PurePosixPath

from trt_nemotron.deploy.bundle.values import MANIFEST_NAME, START_FOLDER
from trt_nemotron.errors import BundleDamaged

FILE_MODE = 0o644
PROGRAM_MODE = 0o755
FOLDER_MODE = 0o755

_PROGRAM_SUFFIX = ".sh"
_NEXT_STEP = "Do not use it: build the bundle again, or fetch it again from where you trust it."


def mode_of(name: str) -> int:
    """The mode of the file called `name`: a manifest holds none, so the name decides."""
    is_program = name.startswith(f"{START_FOLDER}/") and name.endswith(_PROGRAM_SUFFIX)
    return PROGRAM_MODE if is_program else FILE_MODE


def check_inside(name: str) -> None:
    """Refuse a name that may lead out of the bundle, or that is another's in other words.

    Raises:
        BundleDamaged: it is empty, absolute, has `..`, `.`, `//`, a backslash or a control
            character.
    """
    path = PurePosixPath(name)
    is_plain = str(path) == name and not any(unicodedata.category(it) == "Cc" for it in name)
    if not is_plain or not path.parts or path.is_absolute() or ".." in path.parts or "\\" in name:
        raise _refused(f"the manifest names {name!r}", "a path in a bundle stays inside it")


def check_apart(names: Collection[str]) -> None:
    """Refuse names that some file system takes for one another, and a file used as a folder.

    Raises:
        BundleDamaged: naming both.
    """
    seen: dict[str, str] = {_folded(MANIFEST_NAME): MANIFEST_NAME}
    for name in names:
        folded = _folded(name)
        if folded in seen:
            raise _refused(
                f"the manifest names {seen[folded]!r} and {name!r}",
                "on one file system or another they are the same file",
            )
        seen[folded] = name
    for name in names:
        for folder in PurePosixPath(_folded(name)).parents:
            if str(folder) in seen:
                raise _refused(
                    f"the manifest names {seen[str(folder)]!r} and {name!r}",
                    "the one is a file, the other lies in it",
                )


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _refused(message: str, evidence: str) -> BundleDamaged:
    return BundleDamaged(f"bundle damaged: {message}", evidence=evidence, next_step=_NEXT_STEP)
