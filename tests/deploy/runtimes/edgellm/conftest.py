"""What the tests of `edgellm` share: facts, a recorded graph, and the real environment."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trt_nemotron.deploy.checkpoint.embedded import embedded_checkpoint_path
from trt_nemotron.deploy.checkpoint.opening import open_checkpoint
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.edgellm.environment import Environment, ensure_environment
from trt_nemotron.deploy.runtimes.edgellm.plan import plan
from trt_nemotron.deploy.runtimes.edgellm.values import GraphReport
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.document import convert
from trt_nemotron.errors import EnvironmentUnfit
from trt_nemotron.facts.catalogue import load_release, load_target
from trt_nemotron.facts.release import RuntimeRelease

RECORDED = Path(__file__).with_name("graph_embedded.json")

Planner = Callable[..., Plan]


@pytest.fixture(scope="session")
def release() -> RuntimeRelease:
    return load_release("edgellm", "0.11.0")


@pytest.fixture(scope="session")
def embedded() -> Checkpoint:
    return open_checkpoint(embedded_checkpoint_path())


@pytest.fixture
def recorded_tree() -> dict[str, Any]:
    """What `inspect_graph.py` wrote of the embedded checkpoint's graph, exported by 0.11.0."""
    tree: dict[str, Any] = json.loads(RECORDED.read_text())
    return tree


@pytest.fixture
def recorded(recorded_tree: dict[str, Any]) -> GraphReport:
    return convert(recorded_tree, GraphReport, origin="recorded")


@pytest.fixture(scope="session")
def planned(release: RuntimeRelease) -> Planner:
    """`planned(checkpoint, target="thor", **wishes)`."""

    def plan_for(checkpoint: Checkpoint, target: str = "thor", **wishes: Any) -> Plan:
        return plan(load_target(target), checkpoint, Wishes(**wishes), release)

    return plan_for


@pytest.fixture(scope="session")
def environment() -> Environment:
    """Edge-LLM's own environment, made on first use; it stays in the user's cache.

    Where it cannot be made (no network) its tests are skipped; in CI that is a failure.
    """
    try:
        return ensure_environment("0.11.0")
    except EnvironmentUnfit as fault:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"Edge-LLM's environment cannot be made here: {fault}")
