"""An A/B gate on disk: every run as it was measured, so that it can be judged again.

    FOLDER/
      ab.json                  budget, seed and cap; written first
      runs/0000-b.json.gz      run 0, of arm B; pair n are the runs 2n and 2n + 1
      runs/0001-a.json.gz

Where requests were sent in turn, round n are the runs 2n, always of A, and 2n + 1, always of B.

Judging again goes through `run_ab` itself, with the files in place of servers: the same order, the
same looks, the same rule for pairs that are not valid.
"""

import datetime as dt
from pathlib import Path
from typing import ClassVar, Literal

from trt_nemotron.document import Document, read_document, sha256_of, write_document
from trt_nemotron.errors import Inconclusive, InvalidInput
from trt_nemotron.measure.bench.replay import read_measurement, write_measurement
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.ab import AbRun, run_ab, run_ab_by_requests
from trt_nemotron.measure.gate.ab_pair import Arm
from trt_nemotron.measure.gate.budget import Budget
from trt_nemotron.measure.gate.design import make_design

Turns = Literal["runs", "requests"]

PLAN_NAME = "ab.json"
_RUNS = "runs"


class AbPlan(Document, frozen=True, kw_only=True):
    """What was decided before the first run.

    Attributes:
        a, b: the bundles or URLs, as they were named.
        seed: of the coin that orders each pair.
        most_pairs: the cap.
        serving: `together`, `in-turn`, or `urls` for servers that were there.
        turns: whether runs or single requests were sent in turn.
        cores: processors that both servers were held to; none for any.
        started_at: UTC, ISO 8601.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/ab/1"

    a: str
    b: str
    budget: Budget
    seed: int
    most_pairs: int
    serving: str
    started_at: str
    turns: Turns = "runs"
    cores: tuple[int, ...] = ()


def begin_record(folder: Path, plan: AbPlan) -> None:
    """Write the plan; runs of an earlier gate in the folder are removed first."""
    for old in (folder / _RUNS).glob("*.json.gz"):
        old.unlink()
    write_document(folder / PLAN_NAME, plan)


def keep_run(folder: Path, arm: Arm, number: int, run: Measurement) -> None:
    """Write one run, whole or not at all."""
    write_measurement(run_path(folder, arm, number), run)


def keep_round(folder: Path, number: int, runs: tuple[Measurement, Measurement]) -> None:
    """Write both runs of a round of requests in turn."""
    keep_run(folder, "a", 2 * number, runs[0])
    keep_run(folder, "b", 2 * number + 1, runs[1])


def run_path(folder: Path, arm: Arm, number: int) -> Path:
    """Where a run lies."""
    return folder / _RUNS / f"{number:04d}-{arm}.json.gz"


def judge_again(folder: Path, budget: Budget | None = None) -> tuple[AbPlan, AbRun]:
    """The gate that was kept in `folder`, decided anew from its raw records.

    Args:
        folder: what `--out` was.
        budget: other bounds; without it those of then.

    Raises:
        InvalidInput: it is no such folder, or a file of it cannot be read.
        Inconclusive: it was ended before it was decided, so there is no verdict to give.
    """
    plan = read_document(folder / PLAN_NAME, AbPlan)
    judged = budget or plan.budget
    design = make_design(max(1, len(judged.relative)), most_pairs=plan.most_pairs)
    seen: dict[str, int] = {}

    def measured(arm: Arm, number: int) -> Measurement:
        path = run_path(folder, arm, number)
        if not path.exists():
            raise Inconclusive(
                f"the runs in {folder} end before the bounds are decided",
                evidence=f"run {number} is not there: {path.name}",
                next_step="Measure again; judging at a number of pairs that was not among the "
                "looks would not keep the stated rate.",
            )
        run = read_measurement(path)
        _refuse_copy(path, number, seen.setdefault(sha256_of(run.records), number))
        return run

    def measured_round(number: int, _: tuple[Arm, ...]) -> tuple[Measurement, Measurement]:
        return measured("a", 2 * number), measured("b", 2 * number + 1)

    if plan.turns == "requests":
        return plan, run_ab_by_requests(judged, design, measured_round, seed=plan.seed)
    return plan, run_ab(judged, design, measured, seed=plan.seed)


def _refuse_copy(path: Path, number: int, first: int) -> None:
    """One run counts once. Within a pair the judgement itself says that both runs are the same."""
    if first // 2 != number // 2:
        raise InvalidInput(
            f"{path.name} is a copy of run {first}",
            evidence="the records of both are the same to the nanosecond",
            next_step="Put the file back that was measured, or measure again.",
        )


def now() -> str:
    """The time as a plan has it."""
    return dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
