"""When a loop gives up."""

import pytest

from trt_nemotron.errors import EndpointUnfit
from trt_nemotron.measure.bench.wire.exchange import Ending, Exchange
from trt_nemotron.measure.bench.wire.load import Terms
from trt_nemotron.measure.bench.wire.patience import Patience


def ended(ending: Ending, received: bytes = b"some") -> Exchange:
    return Exchange(0, 0, 0, 0, 0, received, (), ending, "what happened")


def patience(streams: int = 1, total: int | None = None) -> Patience:
    return Patience(Terms(streams, timeout_ns=1, deadline_ns=1), total)


@pytest.mark.parametrize(
    "lost",
    [ended("timeout"), ended("not_connected"), ended("reset"), ended("closed", b"")],
    ids=lambda it: it.ending,
)
def test_three_lost_requests_in_a_row_are_too_many(lost: Exchange):
    patient = patience()
    patient.on_end(ended("complete"), 1, 1)
    patient.on_end(lost, 2, 1)
    patient.on_end(lost, 3, 1)
    with pytest.raises(EndpointUnfit, match="3 requests in a row failed, after 1 ") as caught:
        patient.on_end(lost, 4, 1)
    assert "what happened" in caught.value.evidence


def test_an_answer_between_them_forgives():
    patient = patience()
    for number in range(1, 50):
        patient.on_end(ended("closed" if number % 3 == 0 else "timeout"), number, 1)


def test_with_many_connections_each_may_lose_one():
    patient = patience(streams=8)
    for number in range(1, 8):
        patient.on_end(ended("reset"), number, 8)
    with pytest.raises(EndpointUnfit, match="8 requests in a row"):
        patient.on_end(ended("reset"), 8, 8)


def test_out_of_time_counts_against_all_that_was_to_be_sent_where_that_is_known():
    assert patience(2, total=9).out_of_time(5, 3).evidence.startswith("3 of 9 requests over 2 ")
    assert patience(2).out_of_time(5, 3).evidence.startswith("3 of 5 requests over 2 ")
