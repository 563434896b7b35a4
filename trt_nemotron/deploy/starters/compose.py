"""`compose.yaml`: the container for whoever keeps servers with Compose.

Docker's arguments are translated word by word; one that has no translation here is an error, so
that none is lost. Keys: https://github.com/compose-spec/compose-spec/blob/main/05-services.md
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from trt_nemotron.deploy.runtimes.protocol import LOOPBACK
from trt_nemotron.deploy.starters.recipe import BUNDLE_MARK, NAME_MARK, PORT, PORT_MARK, Recipe

COMPOSE_NAME = "compose.yaml"

_SERVICE = "server"
_VOLUME = "cache"
_INTRO = """\
# Starts {title}
# as `trt-nemotron serve` does. Written by trt-nemotron; works wherever the bundle lies.
#
#     docker compose -f start/compose.yaml up --detach
#
# IMAGE     an image in place of {image}
# PORT      on {loopback}; {port} without it
# ENV_FILE  a file of secrets, NAME=VALUE a line; keep it outside of the bundle, with mode 0600
{tag}"""
_TAG = """\
#
# The image is named by a tag, which may stand for other content tomorrow: pin it with IMAGE.
"""

Tree = dict[str, Any]


def compose_text(recipe: Recipe) -> str:
    """The file."""
    import yaml

    intro = _INTRO.format(
        title=recipe.title,
        image=recipe.image or "one that is known here",
        loopback=LOOPBACK,
        port=PORT,
        tag="" if recipe.is_pinned else _TAG,
    )
    body = yaml.safe_dump(_tree(recipe), sort_keys=False, allow_unicode=True, width=200)
    return intro + body


def _tree(recipe: Recipe) -> Tree:
    service: Tree = {
        "image": f"${{IMAGE:-{recipe.image}}}" if recipe.image else "${IMAGE:?names the image}",
        "command": [_plain(word) for word in recipe.command],
        "restart": "unless-stopped",
        "env_file": ["${ENV_FILE:-/dev/null}"],
    }
    tree: Tree = {"name": _project(recipe.name), "services": {_SERVICE: service}}
    words = iter(recipe.options["docker"])
    for word in words:
        option, equals, value = word.partition("=")
        if option in _SWITCHES:
            service.update(_SWITCHES[option])
        else:
            _VALUES[option](tree, service, value if equals else next(words))
    return tree


def _project(name: str) -> str:
    """Compose takes small letters, digits, `-` and `_`."""
    return re.sub(r"[^a-z0-9_-]", "-", name.lower())


def _plain(text: str) -> str:
    """`text` as Compose leaves it: a `$` would be a variable."""
    return text.replace("$", "$$").replace(NAME_MARK, _SERVICE)


def _publish(tree: Tree, service: Tree, value: str) -> None:
    service.setdefault("ports", []).append(value.replace(str(PORT_MARK), f"${{PORT:-{PORT}}}"))


def _label(tree: Tree, service: Tree, value: str) -> None:
    _pair(service, "labels", value)


def _environment(tree: Tree, service: Tree, value: str) -> None:
    _pair(service, "environment", value)


def _pair(service: Tree, key: str, value: str) -> None:
    name, _, text = value.partition("=")
    service.setdefault(key, {})[name] = _plain(text)


def _ulimit(tree: Tree, service: Tree, value: str) -> None:
    name, _, limit = value.partition("=")
    service.setdefault("ulimits", {})[name] = int(limit)


def _gpus(tree: Tree, service: Tree, value: str) -> None:
    device = {"driver": "nvidia", "count": value, "capabilities": ["gpu"]}
    service["deploy"] = {"resources": {"reservations": {"devices": [device]}}}


def _mount(tree: Tree, service: Tree, value: str) -> None:
    parts = dict(_parts(value))
    mount: Tree = {"type": parts["type"], "source": parts["source"], "target": parts["target"]}
    if parts["type"] == "volume":
        mount["source"] = _VOLUME
        tree["volumes"] = {_VOLUME: {"name": parts["source"]}}
    else:
        mount["source"] = parts["source"].replace(BUNDLE_MARK, "..")
        mount["bind"] = {"create_host_path": False}
    if "readonly" in parts:
        mount["read_only"] = True
    service.setdefault("volumes", []).append(mount)


def _parts(value: str) -> Iterator[tuple[str, str]]:
    for part in value.split(","):
        name, _, text = part.partition("=")
        yield name, text


def _listed(key: str) -> Callable[[Tree, Tree, str], None]:
    def put(tree: Tree, service: Tree, value: str) -> None:
        service.setdefault(key, []).append(_plain(value))

    return put


def _single(key: str, ending: str = "") -> Callable[[Tree, Tree, str], None]:
    def put(tree: Tree, service: Tree, value: str) -> None:
        service[key] = _plain(value) + ending

    return put


def _left_out(tree: Tree, service: Tree, value: str) -> None:
    """The container's name is Compose's own affair."""


_SWITCHES: dict[str, Tree] = {
    "--rm": {},
    "--init": {"init": True},
    "--read-only": {"read_only": True},
}
"""`--rm` has no counterpart: `docker compose down` removes what it made."""

_VALUES: dict[str, Callable[[Tree, Tree, str], None]] = {
    "--cap-drop": _listed("cap_drop"),
    "--env": _environment,
    "--gpus": _gpus,
    "--ipc": _single("ipc"),
    "--label": _label,
    "--mount": _mount,
    "--name": _left_out,
    "--publish": _publish,
    "--pull": _single("pull_policy"),
    "--security-opt": _listed("security_opt"),
    "--stop-timeout": _single("stop_grace_period", "s"),
    "--tmpfs": _listed("tmpfs"),
    "--ulimit": _ulimit,
}
