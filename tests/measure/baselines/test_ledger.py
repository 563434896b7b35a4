import msgspec
import pytest

from trt_nemotron.document import sha256_of
from trt_nemotron.errors import InvalidInput, NoBaseline, NoValidMeasurement
from trt_nemotron.measure.baselines.finding import find_kept
from trt_nemotron.measure.baselines.ledger import (
    describe,
    expire,
    promote,
    read_ledger,
    read_run,
    record,
)
from trt_nemotron.measure.baselines.storage import Storage
from trt_nemotron.measure.bench.values import Environment


def test_a_recorded_run_comes_back_whole(storage: Storage, make_measurement, clock):
    run = make_measurement()
    kept = record(storage, run, reason="first", clock=clock)
    ledger = read_ledger(storage)
    assert ledger.baselines == (kept,)
    assert ledger.status(kept) == "recorded"
    assert read_run(storage, kept) == run
    assert kept.id.startswith("cpu-llamacpp-")
    assert kept.figures["tpot_p50_ms@1"] == pytest.approx(0.5, rel=0.1)


def test_recording_twice_changes_nothing(storage: Storage, make_measurement, clock):
    first = record(storage, make_measurement(), clock=clock)
    assert record(storage, make_measurement(), clock=clock) == first
    assert len(read_ledger(storage).events) == 1


def test_only_the_promoted_one_is_current_and_the_one_before_stays(
    storage: Storage, make_measurement, clock
):
    old, new, other = (
        record(storage, make_measurement(seed=seed, tokens=tokens), clock=clock)
        for seed, tokens in ((1, 16), (2, 16), (3, 32))
    )
    promote(storage, old.id, reason="the first", clock=clock)
    promote(storage, other.id, reason="other work", clock=clock)
    promote(storage, new.id, reason="faster kernels", clock=clock)
    ledger = read_ledger(storage)
    statuses = [ledger.status(kept) for kept in (old, new, other)]
    assert statuses == ["superseded", "current", "current"]
    promote(storage, old.id, reason="the kernels were wrong", clock=clock)
    assert read_ledger(storage).status(old) == "current"
    assert read_ledger(storage).status(new) == "superseded"


def test_current_for_finds_the_same_key_only(storage: Storage, make_measurement, change, clock):
    kept = record(storage, make_measurement(), clock=clock)
    promote(storage, kept.id, reason="first", clock=clock)
    later = make_measurement(seed=9, started_at="2026-11-24T12:00:00Z")
    assert read_ledger(storage).current_for(later) == kept
    found = find_kept(storage, later)
    assert found.baseline == make_measurement()
    assert found.history == (make_measurement(),)


@pytest.mark.parametrize("field", [field.name for field in msgspec.structs.fields(Environment)])
def test_any_other_environment_has_no_baseline_and_the_field_is_named(
    tmp_path, make_measurement, change, clock, field: str
):
    from trt_nemotron.measure.baselines.storage import Folder

    storage = Folder(tmp_path)
    kept = record(storage, make_measurement(), clock=clock)
    promote(storage, kept.id, reason="first", clock=clock)
    value = getattr(make_measurement().environment, field)
    other = value + 1 if isinstance(value, int) else f"{value}-other"
    moved = change(make_measurement(seed=2), environment={field: other})
    with pytest.raises(NoBaseline, match=rf"measured with {field} {value} instead of {other}"):
        read_ledger(storage).current_for(moved)
    assert field in find_kept(storage, moved).why_none


def test_other_work_has_no_baseline(storage: Storage, make_measurement, clock):
    kept = record(storage, make_measurement(), clock=clock)
    promote(storage, kept.id, reason="first", clock=clock)
    with pytest.raises(NoBaseline, match="output_tokens 16 instead of 32"):
        read_ledger(storage).current_for(make_measurement(tokens=32))


def test_an_unknown_field_has_no_baseline(storage: Storage, make_measurement, change, clock):
    run = change(make_measurement(), environment={"power_mode": "unknown"})
    assert "power_mode" in find_kept(storage, run).why_none
    with pytest.raises(NoValidMeasurement) as caught:
        describe(run)
    assert "power_mode is unknown" in caught.value.evidence


@pytest.mark.parametrize(
    "broken", [{"cpu_share": 0.99}, {"cpu_share": float("nan")}, {"floor_ttft_p50_ms": -1.0}]
)
def test_an_invalid_run_is_not_recorded(
    storage: Storage, make_measurement, change, clock, broken: dict[str, float]
):
    with pytest.raises(NoValidMeasurement, match="cannot be a baseline"):
        record(storage, change(make_measurement(), client=broken), clock=clock)
    assert storage.names() == ()


def test_a_run_without_requests_is_not_recorded(storage: Storage, make_measurement, clock):
    empty = msgspec.structs.replace(make_measurement(), records=())
    with pytest.raises(NoValidMeasurement):
        record(storage, empty, clock=clock)


def test_what_is_only_recorded_or_expired_is_no_baseline(storage: Storage, make_measurement, clock):
    kept = record(storage, make_measurement(), clock=clock)
    with pytest.raises(NoBaseline, match="is recorded, not current"):
        read_ledger(storage).current_for(make_measurement())
    promote(storage, kept.id, reason="first", clock=clock)
    expire(storage, kept.id, reason="the board was replaced", clock=clock)
    with pytest.raises(NoBaseline, match="is expired, not current"):
        read_ledger(storage).current_for(make_measurement())
    with pytest.raises(InvalidInput, match="expired"):
        promote(storage, kept.id, reason="again", clock=clock)
    ledger = read_ledger(storage)
    assert [event.action for event in ledger.events] == ["record", "promote", "expire"]
    assert ledger.history_of(make_measurement()) == ()
    assert read_run(storage, kept) == make_measurement()


def test_history_holds_comparable_runs_started_before(
    storage: Storage, make_measurement, change, clock
):
    days = [make_measurement(seed=d, started_at=f"2026-11-{d:02}T12:00:00Z") for d in (3, 1, 2, 4)]
    for run in days:
        record(storage, run, clock=clock)
    record(storage, change(days[0], environment={"cores": 4}), clock=clock)
    assert find_kept(storage, days[0]).history == (days[1], days[2])


def test_a_reason_is_required(storage: Storage, make_measurement, clock):
    kept = record(storage, make_measurement(), clock=clock)
    for action in (promote, expire):
        with pytest.raises(InvalidInput, match="why"):
            action(storage, kept.id, reason="  ", clock=clock)
    assert read_ledger(storage).status(kept) == "recorded"


def test_a_name_may_be_short_but_not_ambiguous(storage: Storage, make_measurement, clock):
    first = record(storage, make_measurement(), clock=clock)
    second = record(storage, make_measurement(seed=2), clock=clock)
    ledger = read_ledger(storage)
    assert ledger.named(first.id[:-1]) == first
    assert ledger.named(second.id) == second
    for name in ("cpu-", "spark", ""):
        with pytest.raises(InvalidInput, match="baselines are called") as caught:
            ledger.named(name)
        assert first.id in caught.value.evidence, "those there are, to choose from"
        assert second.id in caught.value.evidence


def test_a_run_that_was_changed_afterwards_is_refused(tmp_path, make_measurement, clock):
    from trt_nemotron.measure.baselines.storage import Folder

    kept = record(Folder(tmp_path), make_measurement(), clock=clock)
    path = tmp_path / f"runs/{kept.id}.json"
    path.write_bytes(msgspec.json.encode(make_measurement(tpot_ms=5.0)))
    with pytest.raises(InvalidInput, match="not the run that was recorded"):
        read_run(Folder(tmp_path), kept)


def test_files_that_no_event_names_are_no_baselines(tmp_path, make_measurement, clock):
    from trt_nemotron.measure.baselines.storage import Folder

    kept = record(Folder(tmp_path), make_measurement(), clock=clock)
    next((tmp_path / "events").iterdir()).unlink()
    assert read_ledger(Folder(tmp_path)).baselines == ()
    assert record(Folder(tmp_path), make_measurement(), clock=clock).run_sha256 == kept.run_sha256
    assert sha256_of(make_measurement()) == kept.run_sha256


def test_a_run_whose_latency_moved_is_not_recorded(storage: Storage, make_measurement, clock):
    run = make_measurement(concurrencies=(1,))
    late = 20_000_000
    slow = [
        msgspec.structs.replace(
            record,
            finished_ns=record.finished_ns + late,
            chunks=tuple(
                msgspec.structs.replace(chunk, received_ns=chunk.received_ns + late)
                for chunk in record.chunks
            ),
        )
        for record in run.records[:8]
    ]
    moved = msgspec.structs.replace(run, records=(*slow, *run.records[8:]))
    with pytest.raises(NoValidMeasurement) as caught:
        record(storage, moved, clock=clock)
    assert "drifted" in caught.value.evidence
