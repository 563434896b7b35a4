"""A runtime double: it starts the server double, with whatever faults a test asks for."""

import sys
from pathlib import Path

from trt_nemotron.deploy.bundle.values import Manifest
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.protocol import Launch, Place, ReportedFact
from trt_nemotron.facts.release import KnownFailure, RuntimeRelease

SERVER = Path(__file__).with_name("server_double.py")


class RuntimeDouble:
    """Not to build with: only `launch` and `release` are what serving uses."""

    name = "llamacpp"

    def __init__(self, marker: str, *options: str, tells_address: bool = True) -> None:
        self.marker = marker
        self.options = options
        self.ready_pattern = r"listening on (?P<url>http://\S+)" if tells_address else "listening"
        self.environment: dict[str, str] = {}
        self.secret_names: tuple[str, ...] = ()
        self.is_model_listed = True
        self.ports: list[int] = []

    def release(self) -> RuntimeRelease:
        return RuntimeRelease(
            runtime="llamacpp",
            release="double",
            about="a double",
            source="tests",
            date="2026-01-01",
            known_failures=(
                KnownFailure(
                    pattern=r"out of (memory|frobs)",
                    cause="the model does not fit into memory",
                    next_step="Plan with fewer slots: --slots 1",
                ),
            ),
        )

    def launch(self, bundle: Path, manifest: Manifest, plan: Plan, place: Place) -> Launch:
        self.ports.append(place.port)
        server = ("-I", str(SERVER), "--marker", self.marker, "--port", str(place.port))
        return Launch(
            argv=(sys.executable, *server, *self.options),
            environment=self.environment,
            phases=((r"^loading weights", "loading weights"),),
            ready_pattern=self.ready_pattern,
            secret_names=self.secret_names,
            is_model_listed=self.is_model_listed,
        )

    def image(self, plan: Plan) -> str:
        return ""

    def is_installed(self) -> bool:
        return True

    def reported_facts(self, log: str) -> tuple[ReportedFact, ...]:
        return ()
