"""A measurement with everything an export meets: open loops, failures, void and warm-up."""

from collections.abc import Callable

import msgspec
import pytest

from trt_nemotron.measure.bench.values import Measurement, RequestRecord


def varied(place: int, record: RequestRecord) -> RequestRecord:
    """Of every ten requests one is warm-up, one failed, one void; one has no counts."""
    changes: dict[int, dict[str, object]] = {
        0: {"is_warmup": True},
        3: {"outcome": "stream_error", "error": "=1+1\nboom", "status_code": 200},
        5: {"void": "the wall clock was stepped"},
        7: {"prompt_tokens": -1, "completion_tokens": -1, "cached_tokens": -1},
        8: {"outcome": "http_error", "chunks": (), "status_code": 503, "error": "busy"},
    }
    return msgspec.structs.replace(record, **changes.get(place % 10, {}))


@pytest.fixture
def mixed_run(make_measurement: Callable[..., Measurement]) -> Measurement:
    """Two closed loops of 60 requests."""
    run = make_measurement(requests=60, concurrencies=(1, 4), tokens=12, spread=0.3)
    records = tuple(varied(place, record) for place, record in enumerate(run.records))
    return msgspec.structs.replace(run, records=records)


@pytest.fixture
def open_run(make_measurement: Callable[..., Measurement]) -> Measurement:
    """One open loop at 20 requests/s whose requests were sent 2 ms late."""
    run = make_measurement(requests=60, concurrencies=(32,), tokens=12)
    records = tuple(
        msgspec.structs.replace(
            r, sent_ns=r.sent_ns + 2_000_000, intended_ns=r.sent_ns, rate_rps=20.0, session=r.index
        )
        for r in run.records
    )
    workload = msgspec.structs.replace(run.workload, arrivals="poisson", rates_rps=(20.0,))
    return msgspec.structs.replace(run, records=records, workload=workload)
