"""A runtime double: it starts the server double, with whatever faults a test asks for."""

import os
import sys
from pathlib import Path

from trt_nemotron.deploy.bundle.values import Manifest
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.protocol import (
    Containment,
    Launch,
    Mount,
    Place,
    ReportedBuffer,
    ReportedFact,
)
from trt_nemotron.facts.release import KnownFailure, RuntimeRelease

SERVER = Path(__file__).with_name("server_double.py")
PYTHON = str(Path(sys.base_prefix, "bin", "python3"))


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
        self.api_key_variable = ""
        self.ports: list[int] = []
        self.container_image = os.environ.get("RUNTIME_DOUBLE_IMAGE", "")

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
        if place.engine:
            return self._contained(bundle, place)
        server = ("-I", str(SERVER), "--marker", self.marker, "--port", str(place.port))
        return Launch(
            argv=(sys.executable, *server, *self.options),
            environment=self.environment,
            phases=((r"^loading weights", "loading weights"),),
            ready_pattern=self.ready_pattern,
            secret_names=self.secret_names,
            is_model_listed=self.is_model_listed,
            api_key_variable=self.api_key_variable,
        )

    def image(self, plan: Plan) -> str:
        return self.container_image

    def is_installed(self) -> bool:
        return not self.container_image

    def reported_buffers(self, log: str) -> tuple[ReportedBuffer, ...]:
        return ()

    def reported_facts(self, log: str) -> tuple[ReportedFact, ...]:
        return ()

    def _contained(self, bundle: Path, place: Place) -> Launch:
        """In an empty image that sees this machine's own Python, read-only."""
        seen = {str(SERVER.parent), sys.base_prefix, "/usr", "/lib", "/lib64", "/etc/ssl"}
        mounts = [Mount(source=path, target=path) for path in sorted(seen) if Path(path).exists()]
        port = ("--host", "0.0.0.0", "--port", "8000")
        return Launch(
            argv=(PYTHON, "-I", str(SERVER), "--marker", self.marker, *port, *self.options),
            environment={"FROM_THE_PLAN": "yes", "HOME": "/cache/home"},
            phases=((r"^loading weights", "loading weights"),),
            ready_pattern="listening",
            secret_names=place.secret_names,
            generate_route="/health_generate",
            warmups=2,
            container=Containment(
                image=place.image or self.container_image,
                port=8000,
                needs_gpu=False,
                mounts=(Mount(source=str(bundle), target="/bundle"), *mounts),
                cache_volume=f"trt-nemotron-test-{self.marker}",
                cache_target="/cache",
                # Raising limits is not permitted on every CI machine; these are low enough.
                ulimits={"nofile": "1024:1024", "nproc": "1000:1000"},
            ),
        )
