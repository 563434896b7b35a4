"""Which endpoint `smoke` and `bench` ask: a server this tool started, or any URL."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from trt_nemotron.errors import InvalidInput

if TYPE_CHECKING:
    from trt_nemotron.deploy.bundle.values import Manifest

FunctionT = TypeVar("FunctionT", bound=Callable[..., object])

_OPTIONS = (
    click.argument("endpoint", required=False),
    click.option("--url", help="Root of any OpenAI-compatible server, instead of ENDPOINT."),
    click.option("--model", default="", help="Name to ask for.  [default: the one that is served]"),
    click.option(
        "--dialect",
        default="auto",
        show_default=True,
        help="How the server speaks: auto, openai, edgellm or transformers-serve.",
    ),
    click.option(
        "--api-key-env", metavar="NAME", help="Environment variable that holds the server's key."
    ),
)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is asked.

    Attributes:
        model: empty when it is left to the server.
        manifest, bundle: of the bundle behind it, and its folder, where this tool started it.
    """

    url: str
    model: str
    manifest: "Manifest | None" = None
    bundle: Path | None = None


def endpoint_options(function: FunctionT) -> FunctionT:
    """Add ENDPOINT, `--url`, `--model`, `--dialect` and `--api-key-env` to a command."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def find_subject(endpoint: str | None, url: str | None, model: str) -> Subject:
    """The server asked for.

    Raises:
        InvalidInput: both or neither of a name and a URL, or no server of that name is ready.
    """
    if bool(endpoint) == bool(url):
        raise InvalidInput(
            "give either the name of an endpoint or --url",
            next_step="See which servers this tool started with: trt-nemotron status",
        )
    return Subject(url or "", model) if url else _registered(endpoint or "", model)


def read_api_key(variable: str | None) -> str:
    """The key in the environment variable called so; empty without one.

    Raises:
        InvalidInput: the variable is not set.
    """
    if variable is None:
        return ""
    key = os.environ.get(variable, "")
    if not key:
        raise InvalidInput(
            f"the environment variable {variable} is not set",
            next_step="Set it to the key, and give its name, never the key itself.",
        )
    return key


def _registered(name: str, model: str) -> Subject:
    from trt_nemotron.deploy.bundle.values import MANIFEST_NAME, Manifest
    from trt_nemotron.deploy.serving.registry import list_endpoints
    from trt_nemotron.document import read_document

    known = {status.endpoint.name: status.endpoint for status in list_endpoints()}
    found = known.get(name)
    if found is None or found.state != "ready":
        raise InvalidInput(
            f"the server {name!r} is {found.state if found else 'not on record'}",
            evidence=f"on record: {', '.join(sorted(known)) or 'none'}",
            next_step="Start one with trt-nemotron serve, or give a --url.",
        )
    manifest = read_document(Path(found.bundle) / MANIFEST_NAME, Manifest)
    return Subject(found.url, model or found.model, manifest, Path(found.bundle))
