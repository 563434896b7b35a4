"""`start-here.sh`: the server as a process, for a shell that is inside its image already."""

from collections.abc import Iterator

from trt_nemotron.deploy.runtimes.protocol import LOOPBACK
from trt_nemotron.deploy.starters.recipe import BUNDLE_MARK, CACHE_MARK, PORT, PORT_MARK, Recipe
from trt_nemotron.deploy.starters.shell import shell_lines, shell_word

HERE_NAME = "start-here.sh"

MPI_PREFIXES = (
    "OMPI", "PMIX", "PMI", "PRTE", "PRRTE", "MPI", "MPIR", "HYDRA", "I_MPI", "SLURM", "SRUN",
)  # fmt: skip
"""Variables by which the server would take itself for a rank of a launcher above us; a test holds
them to those of `trt_nemotron.command`."""

_VARIABLES = {BUNDLE_MARK: "bundle", CACHE_MARK: "cache", str(PORT_MARK): "port"}

_INTRO = """\
#!/bin/sh
# Starts {title}
# as a process, where {program} is on PATH: inside its image.
# Written by trt-nemotron; works wherever the bundle lies.
#
#     start/start-here.sh         in the foreground, until Ctrl-C
#
# PORT   on {loopback}; {port} without it
# CACHE  a folder for compiled artefacts, for this bundle alone
set -eu

refuse() {{
    printf 'start-here.sh: %s\\n' "$*" >&2
    exit 3
}}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
bundle=${{here%/*}}
port=${{PORT:-{port}}}
cache=${{CACHE:-${{XDG_CACHE_HOME:-${{HOME:?}}/.cache}}/trt-nemotron/{cache}}}

[ -f "$bundle/manifest.json" ] || refuse "$bundle is no bundle; run this file where it lies"
command -v {quoted} >/dev/null 2>&1 ||
    refuse {quoted} "is not on PATH; outside of the image use start.sh"
case $port in
    '' | *[!0-9]*) refuse "PORT is '$port', not a number" ;;
esac
mkdir -p -- "$cache"

# What a launcher above us left there would make the server take itself for one of its ranks.
ranks=$(awk 'BEGIN {{
    for (name in ENVIRON)
        if (name ~ /^({prefixes})_[A-Za-z0-9_]*$/) print name
}}')
for rank in $ranks; do
    unset "$rank"
done
"""


def here_text(recipe: Recipe) -> str:
    """The script."""
    program = recipe.here[0]
    intro = _INTRO.format(
        title=recipe.title,
        program=program,
        quoted=shell_word(program, _VARIABLES),
        loopback=LOOPBACK,
        port=PORT,
        cache=recipe.cache,
        prefixes="|".join(MPI_PREFIXES),
    )
    return "".join([intro, *_exports(recipe), *_command(recipe)])


def _exports(recipe: Recipe) -> Iterator[str]:
    """The home folder stays the user's: it is writable, unlike a container's."""
    yield "\n"
    for name, value in sorted(recipe.here_environment.items()):
        if name != "HOME":
            yield f"export {name}={shell_word(value, _VARIABLES)}\n"


def _command(recipe: Recipe) -> Iterator[str]:
    program, *arguments = recipe.here
    lines = shell_lines(arguments, _VARIABLES)
    yield "\n".join(["", f"exec {shell_word(program, _VARIABLES)} \\", *lines, ""])
