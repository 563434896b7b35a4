import json
from pathlib import Path

import pytest

from tests.cli.conftest import measured
from trt_nemotron.cli.main import run
from trt_nemotron.measure.bench.replay import write_measurement


def test_kept_runs_are_drawn_before_this_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    store = str(tmp_path / "store")
    for day in (21, 22):
        path = tmp_path / f"{day}.json.gz"
        write_measurement(path, measured(f"2026-11-{day}T12:00:00Z"))
        arguments = ["baseline", "record", str(path), "--store", store]
        assert run(arguments) == 0
    now = tmp_path / "now.json.gz"
    write_measurement(now, measured("2026-11-23T12:00:00Z"))
    capsys.readouterr()
    assert run(["report", str(now), "--baseline-store", store, "--json"]) == 0
    page = Path(json.loads(capsys.readouterr().out)["report"]).read_text()
    assert 'id="history"' in page
    assert ">3 runs<" in page
    assert run(["report", str(now), "--baseline-store", str(tmp_path / "typo")]) == 0
    assert "no comparable earlier run is kept in" in capsys.readouterr().err
    assert run(["report", str(now)]) == 0
    assert 'id="history"' not in now.with_name("now.html").read_text()
