"""Two servers of known timing asked in turn over real sockets."""

import itertools

import pytest

from trt_nemotron.measure.bench.alternating import Server, open_alternation
from trt_nemotron.measure.bench.environment import describe_environment
from trt_nemotron.measure.bench.figures.request_figures import measure_request
from trt_nemotron.measure.bench.kept_floors import KeptFloors
from trt_nemotron.measure.bench.values import Workload
from trt_nemotron.measure.self_test.cases import Timing
from trt_nemotron.measure.self_test.trial import fault_server
from trt_nemotron.openai.dialect import find_dialect

WORKLOAD = Workload(
    concurrencies=(1,), requests_per_concurrency=8, warmup_requests=1, input_tokens=32,
    output_tokens=8, seed=1, timeout_s=20.0, total_timeout_s=60.0,
)  # fmt: skip
ORDER = (0, 1, 1, 0, 1, 0, 0, 1)


@pytest.fixture
def rounds():
    """Two rounds of a fast server and one whose first token is four times as late."""
    with fault_server(Timing(ttft_ms=4.0)) as fast, fault_server(Timing(ttft_ms=16.0)) as slow:
        servers = [
            Server(url, "known-timing", find_dialect("openai"), describe_environment())
            for url in (fast, slow)
        ]
        client = open_alternation(servers, WORKLOAD, KeptFloors())
        yield [client.measure(ORDER), client.measure(ORDER)]


@pytest.mark.slow
def test_requests_go_to_the_server_whose_turn_it_is_and_nothing_is_warm_up(rounds):
    for a, b in rounds:
        sent = sorted(
            (record.sent_ns, side) for side, run in enumerate((a, b)) for record in run.records
        )
        assert tuple(side for _, side in sent) == ORDER
        assert [r.outcome for r in (*a.records, *b.records)] == ["ok"] * len(ORDER)
        assert not any(record.is_warmup for record in (*a.records, *b.records))
        assert a.url != b.url
        first_tokens = [
            min(measure_request(record).ttft_ms for record in run.records) for run in (a, b)
        ]
        assert 4.0 <= first_tokens[0] < first_tokens[1]
        assert first_tokens[1] >= 16.0
        assert a.workload.requests_per_concurrency == b.workload.requests_per_concurrency == 4


@pytest.mark.slow
def test_one_request_is_under_way_at_a_time_and_connections_are_kept(rounds):
    for a, b in rounds:
        records = sorted((*a.records, *b.records), key=lambda record: record.sent_ns)
        for earlier, later in itertools.pairwise(records):
            assert earlier.finished_ns <= later.sent_ns
        assert sum(record.connect_ns > 0 for record in records) <= 2


@pytest.mark.slow
def test_no_index_comes_twice_so_no_prompt_does(rounds):
    indexes = [record.index for pair in rounds for run in pair for record in run.records]
    assert len(set(indexes)) == len(indexes) == 2 * len(ORDER)
