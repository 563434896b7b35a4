"""Words of a POSIX shell: quoted so that each reaches its program as it is."""

import re
import shlex
from collections.abc import Iterable, Mapping

_SPECIAL = re.compile(r'([\\"$`])')


def shell_word(text: str, variables: Mapping[str, str]) -> str:
    """`text` as one word; each mark of `variables` in it becomes the value of its variable.

    Args:
        text: what the program shall get.
        variables: name of the shell's variable by mark.
    """
    marks = [mark for mark in variables if mark in text]
    if not marks:
        return shlex.quote(text)
    pattern = "|".join(re.escape(mark) for mark in sorted(marks, key=len, reverse=True))
    pieces = re.split(f"({pattern})", text)
    return '"' + "".join(_piece(piece, variables) for piece in pieces) + '"'


def shell_lines(
    words: Iterable[str], variables: Mapping[str, str], indent: str = "    "
) -> list[str]:
    """Words as lines of a command that goes on; an option begins a line and takes its value along.

    Returns:
        Lines of which all but the last end with a backslash.
    """
    lines: list[str] = []
    for word in words:
        quoted = shell_word(word, variables)
        if lines and not word.startswith("-"):
            lines[-1] += f" {quoted}"
        else:
            lines.append(f"{indent}{quoted}")
    return [f"{line} \\" for line in lines[:-1]] + lines[-1:]


def _piece(piece: str, variables: Mapping[str, str]) -> str:
    if piece in variables:
        return f"${{{variables[piece]}}}"
    return _SPECIAL.sub(r"\\\1", piece)
