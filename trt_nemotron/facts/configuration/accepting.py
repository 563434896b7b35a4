"""Which releases accept a key or flag: asked of the catalogue when something is unknown."""

from functools import cache

from trt_nemotron.facts.catalogue import load_release, release_names
from trt_nemotron.facts.configuration.keys import Accepting


def releases_that_accept(runtime: str) -> Accepting:
    """A question to the catalogue, which reads the other releases only when it is asked."""

    @cache
    def names() -> tuple[tuple[str, frozenset[str]], ...]:
        releases = [load_release(runtime, name) for name in release_names(runtime)]
        return tuple(
            (
                release.release,
                frozenset(
                    {setting.name for setting in release.keys}
                    | {it for flag in release.flags for it in (flag.name, *flag.aliases)}
                ),
            )
            for release in releases
        )

    def accepting(name: str) -> tuple[str, ...]:
        return tuple(release for release, known in names() if name in known)

    return accepting
