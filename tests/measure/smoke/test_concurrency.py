import pytest

from trt_nemotron.measure.smoke.checks.concurrency import _Stream


def stream_of(times: list[float]) -> _Stream:
    return _Stream(clock=lambda: 0.0, begun=10.0, times=times)


def test_rest_of_a_stream_follows_its_pace():
    assert stream_of([10.0 + 0.1 * count for count in range(1, 17)]).rest_s(116) == pytest.approx(
        10.0
    )


def test_chunks_taken_up_at_once_by_a_busy_client_do_not_look_like_a_fast_server():
    assert stream_of([11.6] * 16).rest_s(116) >= 9.9


def test_nothing_is_known_of_a_stream_that_sent_nothing():
    assert stream_of([]).rest_s(116) == 0.0
