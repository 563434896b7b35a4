"""The runtimes there are, by name; each is imported when it is asked for."""

import importlib

from trt_nemotron.deploy.runtimes.protocol import Runtime
from trt_nemotron.errors import InvalidInput

_MODULES = {
    "llamacpp": "trt_nemotron.deploy.runtimes.llamacpp.runtime",
    "trtllm": "trt_nemotron.deploy.runtimes.trtllm.runtime",
    "edgellm": "trt_nemotron.deploy.runtimes.edgellm.runtime",
    "transformers": "trt_nemotron.deploy.runtimes.transformers.runtime",
}


def runtime_names() -> tuple[str, ...]:
    """Names of the runtimes that this version can use."""
    return tuple(_MODULES)


def get_runtime(name: str) -> Runtime:
    """The runtime called `name`.

    Raises:
        InvalidInput: there is none of that name; the message lists those there are.
    """
    if name not in _MODULES:
        import difflib

        nearest = difflib.get_close_matches(name, _MODULES, n=1)
        raise InvalidInput(
            f"no runtime is called {name!r}",
            evidence=f"known: {', '.join(_MODULES)}",
            next_step=f"Did you mean '{nearest[0]}'?" if nearest else "Choose one of those.",
        )
    runtime: Runtime = importlib.import_module(_MODULES[name]).RUNTIME
    return runtime
