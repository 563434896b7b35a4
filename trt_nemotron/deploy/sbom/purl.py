"""Package URLs: names of packages that scanners and registries agree on.

Source: https://github.com/package-url/purl-spec, with the types `oci`, `pypi`, `huggingface` and
`generic`.
"""

from urllib.parse import quote

from trt_nemotron.deploy.serving.container.reference import split_image

_PLAIN = ":/"  # kept as they are in versions and qualifiers by the specification's own libraries


def image_purl(reference: str) -> str:
    """For a container image, `NAME:TAG`, `NAME@sha256:...` or `NAME:TAG@sha256:...`.

    Its version is a digest, or nothing: a tag may stand for other content tomorrow.
    """
    name, tag, digest = split_image(reference)
    words = [f"repository_url={quote(name, safe=_PLAIN)}"]
    if tag:
        words.append(f"tag={quote(tag, safe=_PLAIN)}")
    version = f"@{digest}" if digest else ""
    short = quote(name.rpartition("/")[2].lower(), safe=_PLAIN)
    return f"pkg:oci/{short}{version}?{'&'.join(words)}"


def package_purl(name: str, version: str) -> str:
    """For a package of the Python Package Index."""
    normal = name.lower().replace("_", "-")
    return f"pkg:pypi/{quote(normal)}@{quote(version, safe=_PLAIN)}"


def hub_purl(repository: str, revision: str) -> str:
    """For `OWNER/NAME` on the Hugging Face hub at a revision."""
    return f"pkg:huggingface/{quote(repository, safe='/')}@{revision.lower()}"


def program_purl(name: str, version: str) -> str:
    """For a program that no registry of packages has."""
    return f"pkg:generic/{quote(name)}@{quote(version, safe=_PLAIN)}"
