"""Asking the hub: the one module that imports its library.

`huggingface_hub` knows the hub's addresses, redirects, retries and error answers. Its own downloads
drop a partial file when they fail (https://github.com/huggingface/huggingface_hub/pull/4228), so
the file that grows is ours (`download.py`) and only the transfer is the library's.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Protocol
from urllib.parse import urlsplit

from trt_nemotron import __version__
from trt_nemotron.deploy.checkpoint.hub.listing import HubFile
from trt_nemotron.deploy.checkpoint.hub.reference import HubReference
from trt_nemotron.errors import EnvironmentUnfit, InvalidInput, TrtNemotronError

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

TOKEN_VARIABLE = "HF_TOKEN"  # noqa: S105 - a name, not a secret
ENDPOINT_VARIABLE = "HF_ENDPOINT"

_DEFAULT_ENDPOINT = "https://huggingface.co"
_QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",  # it asks, in a request of its own, who is known to call it
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",  # progress is drawn by us
    "HF_HUB_VERBOSITY": "error",  # and retries are not worth a warning
}
"""What the library reads of its environment, once, when it is imported."""

_ANSWER_TIMEOUT_S = 30.0
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class Hub(Protocol):
    """What fetching needs of the hub."""

    def list_files(self, reference: HubReference) -> tuple[str, tuple[HubFile, ...]]:
        """The repository's present name, and every file of the commit."""

    def receive(
        self, reference: HubReference, file: HubFile, target: BinaryIO, done_bytes: int
    ) -> None:
        """Append the content from byte `done_bytes` on to `target`."""


def read_token(variable: str | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """The token kept in `variable`; without a name, the one in `HF_TOKEN`, if any.

    Raises:
        InvalidInput: a variable was named and is not set.
    """
    token = environment.get(variable or TOKEN_VARIABLE, "").strip()
    if variable and not token:
        raise InvalidInput(
            f"the variable {variable} is not set",
            evidence="--token-env takes the name of an environment variable that holds the token",
            next_step=f"Set it, as: read -rs {variable} && export {variable}",
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidInput(
            f"the variable {variable or TOKEN_VARIABLE} holds no token",
            evidence="a token is one word of plain letters, digits and underscores",
            next_step="Set it anew; its value is not shown here.",
        )
    return token or None


class HuggingFaceHub:
    """See `Hub`.

    Args:
        token: sent to the endpoint only, never to the store that it redirects to.
        token_variable: where the token came from, for messages.
        endpoint: another hub than huggingface.co.

    Raises:
        EnvironmentUnfit: the library is not installed.
        InvalidInput: the endpoint is no URL, or the token would cross the network in the clear.
    """

    def __init__(
        self, token: str | None = None, *, token_variable: str = TOKEN_VARIABLE, endpoint: str = ""
    ) -> None:
        self._endpoint = (endpoint or _DEFAULT_ENDPOINT).rstrip("/")
        self._token = token
        self._token_variable = token_variable
        _check_endpoint(self._endpoint, has_token=token is not None)
        _require_library()

    def list_files(self, reference: HubReference) -> tuple[str, tuple[HubFile, ...]]:
        """One request; sizes and ids of all files are in its answer."""
        from huggingface_hub import HfApi

        api = HfApi(endpoint=self._endpoint, token=self._token or False)
        with self._told(reference):
            try:
                info = api.model_info(
                    reference.repository,
                    revision=reference.revision,
                    files_metadata=True,
                    timeout=_ANSWER_TIMEOUT_S,
                )
            except (ValueError, KeyError, TypeError, RecursionError) as fault:  # as a log-in page
                raise EnvironmentUnfit(
                    f"{self._endpoint} does not answer as a hub",
                    evidence=f"{type(fault).__name__} in its list of files",
                    next_step=f"Check {ENDPOINT_VARIABLE} and the way to the network.",
                ) from fault
        if info.sha != reference.revision:
            raise EnvironmentUnfit(
                f"the hub answered for another commit of {reference.repository}",
                evidence=f"asked for {reference.revision}, got {info.sha}",
                next_step=f"Check what {ENDPOINT_VARIABLE} points to: {self._endpoint}",
            )
        files = tuple(
            HubFile(
                name=it.rfilename,
                size_bytes=it.lfs.size if it.lfs else it.size or 0,
                hub_id=it.lfs.sha256 if it.lfs else it.blob_id or "",
                is_lfs=it.lfs is not None,
            )
            for it in info.siblings or ()
        )
        return info.id, files

    def receive(
        self, reference: HubReference, file: HubFile, target: BinaryIO, done_bytes: int
    ) -> None:
        """With retries of dropped connections, each going on where the last one ended."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.file_download import http_get

        url = hf_hub_url(
            reference.repository, file.name, revision=reference.revision, endpoint=self._endpoint
        )
        headers = {
            "User-Agent": f"trt-nemotron/{__version__}",
            "Accept-Encoding": "identity",  # byte offsets of a compressed stream mean nothing
        }
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        with self._told(reference):
            http_get(
                url, target, resume_size=done_bytes, headers=headers, expected_size=file.size_bytes
            )

    @contextmanager
    def _told(self, reference: HubReference) -> Iterator[None]:
        """Whatever goes wrong inside is told in our words; tokens are in none of them."""
        from httpx2 import HTTPError, InvalidURL
        from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

        try:
            yield
        except HfHubHTTPError as fault:
            raise self._refused(fault, reference) from fault
        except (HTTPError, InvalidURL, OfflineModeIsEnabled) as fault:
            raise EnvironmentUnfit(
                f"cannot reach the hub at {self._endpoint}",
                evidence=f"{type(fault).__name__}: {fault}",
                next_step="Check the network and run this again: what was fetched is kept. With "
                "--offline only what is on this disk is used.",
            ) from fault
        except OSError as fault:
            if fault.errno is not None:  # of this machine: a full disk
                raise
            raise EnvironmentUnfit(
                f"the hub at {self._endpoint} sent another number of bytes than it promised",
                evidence=str(fault).partition("\n")[0],
                next_step="Run this again: what was fetched is kept.",
            ) from fault

    def _refused(self, fault: "HfHubHTTPError", reference: HubReference) -> TrtNemotronError:
        from huggingface_hub.errors import (
            GatedRepoError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        status = fault.response.status_code
        said = f"HTTP {status} from {self._endpoint}"
        name = reference.repository
        is_token_refused = status == 401 and self._token is not None
        if isinstance(fault, GatedRepoError):
            return EnvironmentUnfit(
                f"{name} is gated: the hub gives it to accounts that accepted its terms",
                evidence=f"{said}, {self._who()}",
                next_step=f"Accept the terms at {self._endpoint}/{name}, and {self._how()}.",
            )
        if isinstance(fault, RevisionNotFoundError):
            return InvalidInput(
                f"{name} has no commit {reference.revision}",
                evidence=said,
                next_step=f"Choose one of {self._endpoint}/{name}/commits/main.",
            )
        if is_token_refused or (status == 403 and self._token is not None):
            return EnvironmentUnfit(
                f"the hub does not accept the token in {self._token_variable} for {name}",
                evidence=said,
                next_step="Renew it at https://huggingface.co/settings/tokens, with the right to "
                "read this repository.",
            )
        if isinstance(fault, RepositoryNotFoundError):
            return InvalidInput(
                f"the hub has no repository {name}, or keeps it private",
                evidence=f"{said}, {self._who()}",
                next_step=f"Check the name; for a private one, {self._how()}.",
            )
        return EnvironmentUnfit(
            f"the hub refused to give {name}",
            evidence=said,
            next_step="Run this again later: what was fetched is kept.",
        )

    def _who(self) -> str:
        return f"asked with the token in {self._token_variable}" if self._token else (
            "asked without a token"
        )  # fmt: skip

    def _how(self) -> str:
        return f"put a token that may read it into {self._token_variable}"


def _require_library() -> None:
    """Import it, quiet and without a report on who uses it."""
    os.environ.update(_QUIET)
    try:
        import huggingface_hub  # noqa: F401
    except ImportError as fault:
        raise EnvironmentUnfit(
            "the package huggingface_hub is not installed",
            evidence=str(fault),
            next_step="Install it: pip install 'trt-nemotron[hub]'; or download the repository in "
            "another way and give the folder with --checkpoint.",
        ) from fault


def _check_endpoint(endpoint: str, *, has_token: bool) -> None:
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidInput(
            f"{endpoint!r} is no address of a hub",
            evidence=f"{ENDPOINT_VARIABLE} must start with https://",
            next_step=f"Correct {ENDPOINT_VARIABLE}, or unset it for {_DEFAULT_ENDPOINT}.",
        )
    if has_token and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise InvalidInput(
            f"a token would cross the network unencrypted to {parts.hostname}",
            evidence=f"{ENDPOINT_VARIABLE} is {endpoint}",
            next_step="Use https://, or unset the token's variable.",
        )
