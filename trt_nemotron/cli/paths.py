"""Paths on the command line: an empty one is refused, and no output goes over an input."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from trt_nemotron.errors import InvalidInput


class NamedPath(click.Path):
    """A path that names something.

    An empty one is what a script hands over whose variable was never set: it would be the current
    folder. And `-` would be a file of that name.
    """

    def __init__(self, *, dir_okay: bool = True, file_okay: bool = True) -> None:
        super().__init__(path_type=Path, dir_okay=dir_okay, file_okay=file_okay)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path."""
        if str(value) == "":
            self.fail("the path is empty; is a variable of your script not set?", param, ctx)
        if str(value) == "-":
            self.fail("'-' names no file; give its path, /dev/stdin and the like too.", param, ctx)
        return super().convert(value, param, ctx)


FILE = NamedPath(dir_okay=False)
FOLDER = NamedPath(file_okay=False)
ANY_PATH = NamedPath()


def check_writable(path: Path) -> None:
    """Find out now whether `path` can be written, before an hour of measuring is spent on it.

    Folders that are missing are made, as writing it does.

    Raises:
        OSError: naming `path`.
    """
    import tempfile

    if path.exists() and not path.is_file():
        return
    place = path.resolve().parent
    place.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as fault:
        raise OSError(fault.errno, fault.strerror, str(path)) from fault


def keep_inputs(outputs: Mapping[str, Path | None], inputs: Iterable[Path | None]) -> None:
    """Let nothing that is read be written over, and no output take another's place.

    Args:
        outputs: by the option that names each; `None` for one that is not asked for.
        inputs: likewise.

    Raises:
        InvalidInput: naming the option.
    """
    asked = {option: path for option, path in outputs.items() if path is not None}
    read = [path for path in inputs if path is not None and path.exists()]
    for option, path in asked.items():
        if path.exists() and any(path.samefile(other) for other in read):
            raise InvalidInput(
                f"{option} would write over a file that is read",
                evidence=str(path),
                next_step="Choose another name: what is written holds less than what is read.",
            )
    places: dict[Path, str] = {}
    for option, path in asked.items():
        other = places.setdefault(path.resolve(), option)
        if other != option and (path.is_file() or not path.exists()):
            raise InvalidInput(
                f"{other} and {option} name the same file",
                evidence=str(path),
                next_step="Give each a name of its own.",
            )
