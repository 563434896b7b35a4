"""The reports that the recorded machines give, kept whole.

python -m tests.deploy.doctor.golden    writes them anew; look at the difference before keeping it
"""

from pathlib import Path

import msgspec

from tests.deploy.doctor.record import FOLDERS
from tests.deploy.doctor.recorded_host import RecordedHost, load_machine
from trt_nemotron.deploy.doctor.examine import examine
from trt_nemotron.deploy.doctor.order import make_order
from trt_nemotron.deploy.doctor.values import DoctorReport
from trt_nemotron.document import write_document
from trt_nemotron.facts.catalogue import load_target

GOLDENS = Path(__file__).with_name("golden")
CASES = (
    ("debian-no-gpu", "cpu", ""),
    ("debian-no-gpu", "spark", ""),
    ("spark", "spark", ""),
    ("thor", "thor", ""),
    ("thor", "thor", "trtllm"),
    ("h100-sxm-busy", "h100-sxm", ""),
    ("h100-nvl-no-driver", "h100-nvl", ""),
)
"""Machine, target and runtime; an empty runtime is the target's own."""


def report_of(host: RecordedHost, target: str, runtime: str = "", port: int = 0) -> DoctorReport:
    order = make_order(load_target(target), FOLDERS, runtime=runtime, port=port)
    return examine(order, host)


def kept(report: DoctorReport) -> DoctorReport:
    """The report without what releases are known to do: that changes with their facts."""
    machine = tuple(finding for finding in report.findings if finding.group != "facts")
    return msgspec.structs.replace(report, release="", findings=machine)


def golden_path(machine: str, target: str, runtime: str) -> Path:
    return GOLDENS / (
        "-".join(["for", target, *([runtime] if runtime else []), "on", machine]) + ".json"
    )


def main() -> None:
    for machine, target, runtime in CASES:
        report = kept(report_of(load_machine(machine), target, runtime))
        write_document(golden_path(machine, target, runtime), report)


if __name__ == "__main__":
    main()
