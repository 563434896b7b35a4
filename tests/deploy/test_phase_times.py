import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.deploy.phase_times import PhaseTime, phase_times

PHASES = (("load", "loading"), ("tune", "tuning"), ("load", "loading again"))


def times(*lines: str) -> list[tuple[str, float | None]]:
    return [(it.name, it.seconds) for it in phase_times("\n".join(lines), PHASES)]


def test_a_phase_lasts_until_the_next_and_the_last_until_the_end_of_the_log():
    assert times(
        "[12/31/2025-23:59:50] load",
        "[12/31/2025-23:59:59] tune",
        "[01/01/2026-00:00:01] load",
        "[01/01/2026-00:00:04] ready",
    ) == [("loading", 9.0), ("tuning", 2.0), ("loading again", 3.0)]


@pytest.mark.parametrize(
    "form", ["[01/02/2026-10:00:{}] ", "2026-01-02 10:00:{},5 ", "2026-01-02T10:00:{}Z "]
)
def test_times_are_read_in_the_forms_that_servers_write(form: str):
    assert times(form.format("01") + "load", form.format("03") + "tune")[0] == ("loading", 2.0)


def test_a_line_without_a_time_has_that_of_the_line_before():
    assert times("[01/01/2026-00:00:01] x", "load", "[01/01/2026-00:00:05] y", "tune") == [
        ("loading", 4.0),
        ("tuning", 0.0),
    ]


def test_without_times_the_phases_are_known_but_not_their_length():
    assert times("load", "tune") == [("loading", None), ("tuning", None)]


def test_a_clock_that_was_set_back_gives_no_length():
    lines = ("[01/01/2026-00:00:09] load", "[01/01/2026-00:00:01] tune")
    assert times(*lines)[0] == ("loading", None)


def test_a_phase_that_is_skipped_is_not_shown_and_not_gone_back_to():
    assert times("tune", "load", "tune") == [("tuning", None), ("loading again", None)]


def test_digits_that_are_no_time_are_no_time():
    assert times("[99/99/2026-00:00:01] load") == [("loading", None)]


@given(
    st.lists(st.sampled_from(["load", "tune", "[02/30/2026-25:00:00]", "2026-01-02 10:00:00", "x"]))
)
def test_any_log_has_at_most_its_phases_none_of_negative_length(lines: list[str]):
    found: tuple[PhaseTime, ...] = phase_times("\n".join(lines), PHASES)
    assert len(found) <= len(PHASES)
    assert all(it.seconds is None or it.seconds >= 0 for it in found)
