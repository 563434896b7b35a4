"""An examination under way: the order, the machine, and what its programs have answered.

Programs are asked beforehand and all at once, so that a check is arithmetic over what was read.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from trt_nemotron.deploy.doctor.facts import DoctorFacts
from trt_nemotron.deploy.doctor.host import Answer, Host
from trt_nemotron.deploy.doctor.order import PROCESS_MODULES, SERVERS, Feature, Order
from trt_nemotron.deploy.doctor.values import Status

Answers = Mapping[tuple[str, ...], Answer]

_NOT_ASKED = Answer(fault="missing", errors="it was not asked")


@dataclass(frozen=True, slots=True)
class Examination:
    """All that a check may look at."""

    order: Order
    host: Host
    facts: DoctorFacts
    answers: Answers = field(default_factory=dict)

    def answer(self, argv: tuple[str, ...]) -> Answer:
        """What this program answered."""
        return self.answers.get(argv, _NOT_ASKED)

    def _is_inside(self) -> bool:
        """Whether the server is at hand: then it is started as a process."""
        program = SERVERS.get(self.order.support.runtime, "")
        return bool(program) and self.host.has_program(program)

    def features(self) -> frozenset[Feature]:
        """What the order has, by which checks apply."""
        order, gpu = self.order, self.order.target.gpu
        runtime, target = order.support.runtime, order.target.name
        modes = order.target.power_modes
        has: dict[Feature, bool] = {
            "gpu": gpu is not None,
            "unified": gpu is not None and gpu.is_memory_unified,
            "own-memory": gpu is not None and not gpu.is_memory_unified,
            "container": bool(order.image) and not self._is_inside(),
            "process": runtime in PROCESS_MODULES,
            "nvpmodel": any("nvpmodel" in mode.set_by for mode in modes),
            "payloads": order.release is not None and bool(order.release.payloads),
            "library": any(
                (it.target, it.runtime) == (target, runtime) for it in self.facts.library_defects
            ),
            "port": order.port > 0,
            "release": order.release is not None,
        }
        return frozenset(feature for feature, is_there in has.items() if is_there)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check found.

    Attributes:
        remedy: what to do; empty for the check's own.
        source: who says so; empty for the check's own.
        detail: tells several outcomes of one check apart.
    """

    status: Status
    evidence: str
    remedy: str = ""
    source: str = ""
    detail: str = ""


def ok(evidence: str) -> Outcome:
    """All is well."""
    return Outcome("ok", evidence)


def warn(evidence: str, remedy: str = "", source: str = "") -> Outcome:
    """It will work, and not as well as it could."""
    return Outcome("warn", evidence, remedy, source)


def fail(evidence: str, remedy: str = "", source: str = "") -> Outcome:
    """It will not work."""
    return Outcome("fail", evidence, remedy, source)


def unknown(evidence: str, remedy: str = "") -> Outcome:
    """It could not be told; say what that means."""
    return Outcome("unknown", evidence, remedy)


def ask_all(host: Host, questions: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], Answer]:
    """Ask these programs at the same time; together they take as long as the slowest."""
    asked = tuple(dict.fromkeys(questions))
    if not asked:
        return {}
    with ThreadPoolExecutor(max_workers=len(asked)) as pool:
        return dict(zip(asked, pool.map(host.run, asked), strict=True))
