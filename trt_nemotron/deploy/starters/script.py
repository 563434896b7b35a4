"""`start.sh`: the container started with nothing but a POSIX shell and an engine."""

import difflib
import shlex
from collections.abc import Iterator

from trt_nemotron.deploy.runtimes.protocol import LOOPBACK
from trt_nemotron.deploy.serving.container.arguments import LABEL
from trt_nemotron.deploy.starters.recipe import BUNDLE_MARK, NAME_MARK, PORT, PORT_MARK, Recipe
from trt_nemotron.deploy.starters.shell import shell_lines, shell_word

SCRIPT_NAME = "start.sh"

_VARIABLES = {BUNDLE_MARK: "bundle", NAME_MARK: "name", str(PORT_MARK): "port"}

_INTRO = """\
#!/bin/sh
# Starts {title}
# in a container, as `trt-nemotron serve` does, and stays until it ends.
# Written by trt-nemotron; works wherever the bundle lies.
#
#     start/start.sh              in the foreground, until Ctrl-C
#     start/start.sh --detach     arguments go to the engine's `run`
#     start/start.sh remove       removes the container, should one have been left
#
# ENGINE   docker or podman; without it the first that answers
# IMAGE    an image in place of {image}
# PORT     on {loopback}; {port} without it
# NAME     of the container
# SECRETS  names of variables that the server gets too: SECRETS="HF_TOKEN"
set -eu

refuse() {{
    printf 'start.sh: %s\\n' "$*" >&2
    exit 3
}}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
bundle=${{here%/*}}
name=${{NAME:-{name}}}
port=${{PORT:-{port}}}

[ -f "$bundle/manifest.json" ] || refuse "$bundle is no bundle; run this file where it lies"
case $bundle in
    *[,\\"]*) refuse "a comma or a quotation mark in $bundle: engines cannot be told such a path" ;;
esac
case $port in
    '' | *[!0-9]*) refuse "PORT is '$port', not a number" ;;
esac

engine=${{ENGINE:-}}
if [ -z "$engine" ]; then
    for candidate in docker podman; do
        if "$candidate" version >/dev/null 2>&1; then
            engine=$candidate
            break
        fi
    done
fi
[ -n "$engine" ] || refuse "neither docker nor podman answers here"
"$engine" version >/dev/null 2>&1 || refuse "$engine is not here, or does not answer"

if [ "${{1:-}}" = remove ]; then
    left=$("$engine" ps --all --quiet --filter "label={label}.starter=$name")
    [ -z "$left" ] || "$engine" rm --force "$left"
    exit 0
fi
"""

_OUTRO = """
exec "$engine" run "$@"
"""


def script_text(recipe: Recipe) -> str:
    """The script."""
    intro = _INTRO.format(
        title=recipe.title,
        image=recipe.image or "one that is known here",
        loopback=LOOPBACK,
        port=PORT,
        name=recipe.name,
        label=LABEL,
    )
    return "".join(
        [intro, *_image(recipe), *_options(recipe), *_secrets(), *_command(recipe), _OUTRO]
    )


def _image(recipe: Recipe) -> Iterator[str]:
    if recipe.image:
        yield f'\nimage=${{IMAGE:-}}\n[ -n "$image" ] || image={shlex.quote(recipe.image)}\n'
    else:
        yield "\nimage=${IMAGE:?name the image of the server}\n"
    if not recipe.is_pinned:
        yield "# A tag may stand for other content tomorrow: name a digest with IMAGE to pin it.\n"
    yield (
        '"$engine" image inspect "$image" >/dev/null 2>&1 ||\n'
        '    refuse "the image $image is not here; get it with: $engine pull $image"\n'
    )


def _options(recipe: Recipe) -> Iterator[str]:
    """What both engines are told alike, and where they differ, each its own."""
    docker, podman = recipe.options["docker"], recipe.options["podman"]
    matcher = difflib.SequenceMatcher(a=docker, b=podman, autojunk=False)
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        if kind == "equal":
            yield _appended(docker[start:end])
        else:
            own = _appended(docker[start:end], "        ").lstrip("\n")
            other = _appended(podman[other_start:other_end], "        ").lstrip("\n")
            yield (
                "\ncase ${engine##*/} in\n    podman*)\n"
                f"{other or '        :' + chr(10)}        ;;\n    *)\n"
                f"{own or '        :' + chr(10)}        ;;\nesac\n"
            )


def _appended(words: tuple[str, ...], indent: str = "") -> str:
    if not words:
        return ""
    lines = shell_lines(words, _VARIABLES, indent=f"{indent}    ")
    return "\n".join(["", f'{indent}set -- "$@" \\', *lines, ""])


def _secrets() -> Iterator[str]:
    yield """
for secret in ${SECRETS:-}; do
    case $secret in
        *[!A-Za-z0-9_]*) refuse "SECRETS takes names of variables, not '$secret'" ;;
    esac
    set -- "$@" --env "$secret"
done
"""


def _command(recipe: Recipe) -> Iterator[str]:
    program, *arguments = recipe.command
    first = shell_word(program, _VARIABLES)
    lines = shell_lines(arguments, _VARIABLES)
    yield "\n".join(["", f'set -- "$@" "$image" {first} \\', *lines, ""])
