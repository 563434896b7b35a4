"""All baselines of a storage and what became of each: recorded, current, superseded, expired."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from trt_nemotron.document import parse_document, sha256_of, to_json
from trt_nemotron.errors import InvalidInput, NoBaseline, NoValidMeasurement
from trt_nemotron.measure.baselines.storage import Storage
from trt_nemotron.measure.baselines.values import (
    Action,
    Baseline,
    BaselineEvent,
    BaselineStatus,
)
from trt_nemotron.measure.bench.figures.summarise import summarise
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.budget import Budget, shipped_machine_rule
from trt_nemotron.measure.gate.key import key_differences, key_hash, key_of, unknown_fields
from trt_nemotron.measure.gate.machine_rule import machine_faults
from trt_nemotron.measure.gate.place import Place
from trt_nemotron.measure.gate.validity import drift_fault, fitness_faults, record_faults

Clock = Callable[[], dt.datetime]
_SHOWN = ("ttft_p50_ms", "tpot_p50_ms", "e2e_p50_ms")


def utc_now() -> dt.datetime:
    """The wall clock."""
    return dt.datetime.now(dt.timezone.utc)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The baselines of one storage, oldest first, and the events in order."""

    baselines: tuple[Baseline, ...]
    events: tuple[BaselineEvent, ...]

    def status(self, baseline: Baseline) -> BaselineStatus:
        """What it is now. Of one key at most one is current: the one promoted last."""
        keys = {kept.id: kept.key_sha256 for kept in self.baselines}
        status: BaselineStatus = "recorded"
        for event in self.events:
            if event.action == "expire" and event.baseline == baseline.id:
                status = "expired"
            elif event.action == "promote" and event.baseline == baseline.id:
                status = "current"
            elif event.action == "promote" and keys.get(event.baseline) == baseline.key_sha256:
                status = "superseded" if status == "current" else status
        return status

    def named(self, name: str) -> Baseline:
        """The one baseline whose id is or begins with `name`.

        Raises:
            InvalidInput: none, or several.
        """
        exact = [kept for kept in self.baselines if kept.id == name]
        found = exact or [kept for kept in self.baselines if name and kept.id.startswith(name)]
        if len(found) != 1:
            ids = ", ".join(kept.id for kept in (found or self.baselines))
            raise InvalidInput(
                f"{len(found) or 'no'} baselines are called {name!r}",
                evidence=ids or "nothing was recorded yet",
                next_step="Give the whole id, as `trt-nemotron baseline list` shows it.",
            )
        return found[0]

    def current_for(self, measurement: Measurement) -> Baseline:
        """The current baseline with the measurement's own key.

        Raises:
            NoBaseline: there is none; the field that differs from the nearest one is named.
        """
        key = key_of(measurement)
        current = [kept for kept in self.baselines if self.status(kept) == "current"]
        for kept in current:
            if kept.key_sha256 == key_hash(key):
                return kept
        raise NoBaseline(
            self._why_none(key, current),
            evidence=f"{len(self.baselines)} baselines are kept, {len(current)} are current",
            next_step="Record a run with `trt-nemotron baseline record`, look at it, and promote "
            "it; or measure what the baseline was measured with.",
        )

    def history_of(self, measurement: Measurement) -> tuple[Baseline, ...]:
        """Every baseline of the measurement's key that has not expired, oldest first."""
        name = key_hash(key_of(measurement))
        return tuple(
            kept
            for kept in self.baselines
            if kept.key_sha256 == name and self.status(kept) != "expired"
        )

    def _why_none(self, key: Mapping[str, object], current: list[Baseline]) -> str:
        same = [kept for kept in self.baselines if kept.key_sha256 == key_hash(key)]
        if same:
            return f"the baseline {same[-1].id} is {self.status(same[-1])}, not current"
        if not current:
            return "no baseline is current"
        nearest = min(current, key=lambda kept: len(key_differences(key, kept.key)))
        phrases = key_differences(key, nearest.key)
        return f"the nearest baseline, {nearest.id}, was measured with {' and '.join(phrases)}"


def read_ledger(storage: Storage) -> Ledger:
    """Everything that `storage` holds; files that no event names were never finished and are none.

    Raises:
        InvalidInput: a file that is no baseline of a version we read.
    """
    names = storage.names()
    events = sorted(
        (
            parse_document(
                storage.read(name), BaselineEvent, origin=f"{name} in {storage.location}"
            )
            for name in names
            if name.startswith("events/")
        ),
        key=lambda event: event.at,
    )
    recorded = dict.fromkeys(event.baseline for event in events if event.action == "record")
    baselines = [
        parse_document(
            storage.read(f"baselines/{name}.json"),
            Baseline,
            origin=f"baselines/{name}.json in {storage.location}",
        )
        for name in recorded
    ]
    return Ledger(tuple(sorted(baselines, key=lambda kept: kept.started_at)), tuple(events))


def read_run(storage: Storage, baseline: Baseline) -> Measurement:
    """The raw records of a baseline.

    Raises:
        InvalidInput: missing, or not the run that was recorded.
    """
    name = f"runs/{baseline.id}.json"
    run = parse_document(storage.read(name), Measurement, origin=f"{name} in {storage.location}")
    if sha256_of(run) != baseline.run_sha256:
        raise InvalidInput(
            f"{name} in {storage.location} is not the run that was recorded",
            evidence=f"its hash is {sha256_of(run)[:12]} instead of {baseline.run_sha256[:12]}",
            next_step="Restore the file, or record and promote a new run.",
        )
    return run


def describe(measurement: Measurement) -> Baseline:
    """A measurement as the baseline it would become.

    Raises:
        NoValidMeasurement: it is not valid, or something about it is unknown.
    """
    faults = _faults(measurement)
    if faults:
        raise NoValidMeasurement(
            "this run cannot be a baseline",
            evidence="\n".join(faults),
            next_step="Measure a server that `trt-nemotron serve` started, by its name: "
            "`bench NAME` knows the environment."
            if unknown_fields(measurement)
            else "Measure again; only a valid run is recorded.",
        )
    environment, key = measurement.environment, key_of(measurement)
    digest = sha256_of(measurement)
    summary = summarise(measurement)
    figures = {
        f"{name}@{figures.concurrency}": reading.value
        for figures in summary.concurrencies
        for name in _SHOWN
        if (reading := figures.reading(name)).value is not None
    }
    return Baseline(
        id=f"{environment.target}-{environment.runtime}-{digest[:12]}",
        key_sha256=key_hash(key),
        key=msgspec.convert(key, dict[str, str | int | float | bool | None]),
        started_at=measurement.started_at,
        run_sha256=digest,
        figures={name: round(value, 6) for name, value in figures.items() if value is not None},
    )


def record(
    storage: Storage, measurement: Measurement, *, reason: str = "", clock: Clock = utc_now
) -> Baseline:
    """Keep a run; recording the same one again changes nothing.

    Raises:
        NoValidMeasurement: it is not valid, or something about it is unknown.
    """
    baseline = describe(measurement)
    for kept in read_ledger(storage).baselines:
        if kept.id == baseline.id:
            return kept
    event = _event("record", baseline, reason, clock)
    files = {
        f"runs/{baseline.id}.json": msgspec.json.encode(measurement, order="deterministic"),
        f"baselines/{baseline.id}.json": to_json(baseline),
        **event,
    }
    storage.add(files, f"Record baseline {baseline.id}")
    return baseline


def promote(storage: Storage, name: str, *, reason: str, clock: Clock = utc_now) -> Baseline:
    """Make a recorded baseline the current one of its key.

    Raises:
        InvalidInput: no such baseline, no reason, or it has expired.
    """
    ledger = read_ledger(storage)
    baseline = ledger.named(name)
    _require_reason(reason, "promote")
    if ledger.status(baseline) == "expired":
        raise InvalidInput(f"{baseline.id} has expired", next_step="Record and promote a new run.")
    storage.add(_event("promote", baseline, reason, clock), f"Promote baseline {baseline.id}")
    return baseline


def expire(storage: Storage, name: str, *, reason: str, clock: Clock = utc_now) -> Baseline:
    """Take a baseline out of use; it stays in the history.

    Raises:
        InvalidInput: no such baseline, or no reason.
    """
    baseline = read_ledger(storage).named(name)
    _require_reason(reason, "expire")
    storage.add(_event("expire", baseline, reason, clock), f"Expire baseline {baseline.id}")
    return baseline


def _faults(measurement: Measurement) -> tuple[str, ...]:
    broken = record_faults(measurement)
    if broken:
        return broken
    anything_goes = Budget(target=measurement.environment.target)
    unknown = unknown_fields(measurement)
    return (
        *fitness_faults(measurement, anything_goes),
        *machine_faults(measurement, shipped_machine_rule(measurement.environment.target)),
        *summarise(measurement).invalid_reasons,
        *filter(None, (drift_fault(measurement, place) for place in _places(measurement))),
        *(f"its {name} is unknown, so nothing could be compared with it" for name in unknown),
    )


def _places(measurement: Measurement) -> tuple[Place, ...]:
    """Where it was measured, each place once."""
    legs = dict.fromkeys(record.leg for record in measurement.records if not record.is_warmup)
    return tuple(
        Place(
            concurrency=0 if leg.rate_rps else leg.concurrency,
            rate_rps=leg.rate_rps,
            input_tokens=leg.input_tokens,
        )
        for leg in legs
    )


def _require_reason(reason: str, action: Action) -> None:
    if not reason.strip():
        raise InvalidInput(
            f"why {action} it?", next_step="Say so with --reason; it stands in the history."
        )


def _event(action: Action, baseline: Baseline, reason: str, clock: Clock) -> dict[str, bytes]:
    event = BaselineEvent(
        at=_text(clock()), action=action, baseline=baseline.id, reason=reason.strip()
    )
    stamp = event.at.replace(":", "").replace("-", "")
    return {f"events/{stamp}-{action}-{sha256_of(event)[:12]}.json": to_json(event)}


def _text(time: dt.datetime) -> str:
    return time.astimezone(dt.timezone.utc).isoformat(timespec="microseconds")
