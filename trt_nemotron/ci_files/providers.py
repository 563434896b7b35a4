"""The CI systems that we write files for, and where each file goes in a user's repository."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Provider:
    """One CI system.

    Attributes:
        files: of our templates by their path in the user's repository.
        next_step: what is left to do by hand, a sentence.
    """

    name: str
    files: Mapping[str, str]
    next_step: str


PROVIDERS: Mapping[str, Provider] = MappingProxyType(
    {
        "github": Provider(
            name="github",
            files=MappingProxyType(
                {
                    ".github/actions/trt-nemotron-gate/action.yml": "github/action.yml",
                    ".github/workflows/trt-nemotron-gate.yml": "github/gate.yml",
                    ".github/workflows/trt-nemotron.yml": "github/trt-nemotron.yml",
                }
            ),
            next_step="Require the check `latency gate` in the rules of your main branch.",
        ),
        "gitlab": Provider(
            name="gitlab",
            files=MappingProxyType(
                {"ci/trt-nemotron.gitlab-ci.yml": "gitlab/trt-nemotron.gitlab-ci.yml"}
            ),
            next_step="Add to .gitlab-ci.yml: include: [{local: ci/trt-nemotron.gitlab-ci.yml}]",
        ),
        "jenkins": Provider(
            name="jenkins",
            files=MappingProxyType(
                {"ci/trt-nemotron.Jenkinsfile": "jenkins/trt-nemotron.Jenkinsfile"}
            ),
            next_step="Make a pipeline job with the script path ci/trt-nemotron.Jenkinsfile.",
        ),
    }
)
