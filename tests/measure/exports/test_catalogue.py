import json

import pytest

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.exports.catalogue import FORMATS, Wish, render_export

LEG = "concurrency 4"


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "parquet"])
def test_the_same_measurement_gives_the_same_bytes(mixed_run: Measurement, name: str):
    wish = Wish(leg=LEG) if "leg" in FORMATS[name].takes else Wish()
    data = render_export(mixed_run, name, wish).data
    assert data == render_export(mixed_run, name, wish).data
    assert data.endswith(b"\n")


def test_tables_hold_every_leg_and_refuse_to_choose_one(mixed_run: Measurement):
    with pytest.raises(InvalidInput, match="--leg is not for --format csv"):
        render_export(mixed_run, "csv", Wish(leg=LEG))
    assert len(render_export(mixed_run, "csv", Wish()).data.splitlines()) > 120


@pytest.mark.parametrize(
    ("name", "wish", "option"),
    [
        ("vllm", Wish(leg=LEG, is_per_chunk=True), "--per chunk"),
        ("aiperf", Wish(leg=LEG, is_detailed=True), "--save-detailed"),
        ("aiperf-records", Wish(leg=LEG, is_complete=True), "--all-percentiles"),
    ],
)
def test_a_wish_that_a_format_does_not_know_is_refused(
    mixed_run: Measurement, name: str, wish: Wish, option: str
):
    with pytest.raises(InvalidInput, match=f"{option} is not for --format {name}"):
        render_export(mixed_run, name, wish)


def test_an_unknown_format_names_the_known(mixed_run: Measurement):
    with pytest.raises(InvalidInput, match="no format is called 'xml'"):
        render_export(mixed_run, "xml", Wish())


def test_what_is_left_out_or_guessed_is_said(mixed_run: Measurement):
    (note,) = render_export(mixed_run, "vllm", Wish(leg=LEG)).notes
    assert note.startswith("p90, p95, p99 of 36 requests are left out")
    (note,) = render_export(mixed_run, "aiperf", Wish(leg=LEG, is_complete=True)).notes
    assert "are guesses" in note
    assert render_export(mixed_run, "csv", Wish()).notes == ()


def test_records_are_one_json_object_a_line(mixed_run: Measurement):
    lines = render_export(mixed_run, "aiperf-records", Wish(leg=LEG)).data.splitlines()
    assert len(lines) == 54
    assert all(isinstance(json.loads(line), dict) for line in lines)
