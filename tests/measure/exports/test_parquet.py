import io
import sys

import msgspec
import pytest

from trt_nemotron.errors import EnvironmentUnfit
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.exports.parquet import render_parquet
from trt_nemotron.measure.exports.rows import chunk_table, request_table

# The environment with torch has none; the main one has it in its lock.
parquet = pytest.importorskip("pyarrow.parquet")


def test_reading_gives_the_same_table_again(mixed_run: Measurement, open_run: Measurement):
    for run in (mixed_run, open_run):
        for table in (request_table(run), chunk_table(run)):
            read = parquet.read_table(io.BytesIO(render_parquet(table, {"about": "it"})))
            assert read.column_names == [column.name for column in table.columns]
            assert list(zip(*read.to_pydict().values(), strict=True)) == list(table.rows)
            assert read.schema.metadata[b"about"] == b"it"


def test_types_hold_also_where_a_run_has_nothing(mixed_run: Measurement):
    empty = request_table(msgspec.structs.replace(mixed_run, records=()))
    full = request_table(mixed_run)
    schemas = [
        parquet.read_schema(io.BytesIO(render_parquet(table, {}))) for table in (empty, full)
    ]
    assert schemas[0].equals(schemas[1])
    assert str(schemas[0].field("rate_rps").type) == "double"


def test_without_the_package_the_extra_is_named(
    mixed_run: Measurement, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(EnvironmentUnfit, match="needs pyarrow") as caught:
        render_parquet(request_table(mixed_run), {})
    assert "trt-nemotron[parquet]" in caught.value.next_step
