"""Package URLs as the specification has them."""

import pytest

from trt_nemotron.deploy.sbom.purl import (
    hub_purl,
    image_purl,
    package_purl,
    program_purl,
)

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("purl", "expected"),
    [
        (image_purl("nvcr.io/a/B:1"), "pkg:oci/b?repository_url=nvcr.io/a/B&tag=1"),
        (image_purl(f"r/b@{DIGEST}"), f"pkg:oci/b@{DIGEST}?repository_url=r/b"),
        (package_purl("Tensor_RT", "1.0+cu"), "pkg:pypi/tensor-rt@1.0%2Bcu"),
        (hub_purl("nvidia/N-4B", "ABC"), "pkg:huggingface/nvidia/N-4B@abc"),
        (program_purl("trt-nemotron", "0.1"), "pkg:generic/trt-nemotron@0.1"),
    ],
)
def test_purl(purl: str, expected: str):
    assert purl == expected
