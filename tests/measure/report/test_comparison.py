from collections.abc import Callable

import msgspec

from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.compare import compare
from trt_nemotron.measure.report.comparison import render_comparison
from trt_nemotron.measure.report.contents import EMBEDDED_NOTICE

MakeRun = Callable[..., Measurement]
HOSTILE = "<script>alert(1)</script>"


def page_of(*runs: Measurement, names: str = "abcdef") -> str:
    named = list(zip(names, runs, strict=False))
    return render_comparison(compare(named), named, "0.1.0")


def test_every_run_leg_and_plot_is_there(make_measurement: MakeRun):
    runs = [
        make_measurement(concurrencies=(1, 2, 4)),
        make_measurement(concurrencies=(1, 2), seed=2),
    ]
    page = page_of(*runs)
    assert page.count("<svg") == 3 + 3 * 2 + (2 + 2 + 1)
    assert "Not measured in b." in page
    assert EMBEDDED_NOTICE in page
    assert "<h1>Compared</h1>" in page


def test_what_makes_runs_incomparable_is_the_first_thing_on_the_page(make_measurement: MakeRun):
    run = make_measurement()
    other = msgspec.structs.replace(
        run, environment=msgspec.structs.replace(run.environment, image=HOSTILE)
    )
    page = page_of(run, other)
    assert "<h1>Not comparable</h1>" in page
    assert "Not comparable: b has image &lt;script&gt;" in page
    assert HOSTILE not in page


def test_a_clear_difference_is_marked_by_its_direction(make_measurement: MakeRun):
    fast, slow = make_measurement(), make_measurement(tpot_ms=0.8, seed=2)
    assert "change worse" in page_of(fast, slow)
    assert "change better" not in page_of(fast, slow)
    assert "change better" in page_of(slow, fast)


def test_a_run_whose_requests_all_failed_can_be_drawn(make_measurement: MakeRun):
    run = make_measurement()
    failed = tuple(
        msgspec.structs.replace(r, outcome="http_error", chunks=(), finished_ns=r.sent_ns)
        for r in run.records
    )
    page_of(run, msgspec.structs.replace(run, records=failed))
    page_of(run, msgspec.structs.replace(run, records=()))
