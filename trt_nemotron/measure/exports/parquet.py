"""A table as Parquet, through pyarrow: the extra `parquet`, imported only here."""

import importlib
import io
from typing import Any

from trt_nemotron.errors import EnvironmentUnfit
from trt_nemotron.measure.exports.rows import CellKind, Table

_COMPRESSION = "zstd"


def render_parquet(table: Table, metadata: dict[str, str]) -> bytes:
    """The whole table with typed columns; `metadata` goes into the file's own key-value store.

    Raises:
        EnvironmentUnfit: pyarrow is not installed.
    """
    arrow, writer = _load()
    types = _types(arrow)
    fields = [arrow.field(column.name, types[column.kind]) for column in table.columns]
    columns = list(zip(*table.rows, strict=True)) or [()] * len(fields)
    schema = arrow.schema(fields, metadata=metadata)
    arrays = [
        arrow.array(cells, type=field.type) for cells, field in zip(columns, fields, strict=True)
    ]
    file = io.BytesIO()
    writer.write_table(
        arrow.Table.from_arrays(arrays, schema=schema), file, compression=_COMPRESSION
    )
    return file.getvalue()


def _types(arrow: Any) -> dict[CellKind, Any]:
    return {
        "integer": arrow.int64(),
        "number": arrow.float64(),
        "text": arrow.string(),
        "truth": arrow.bool_(),
    }


def _load() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as fault:
        raise EnvironmentUnfit(
            "Parquet needs pyarrow, which is not installed",
            evidence=str(fault),
            next_step="Install it with `pip install 'trt-nemotron[parquet]'`, or use --format csv.",
        ) from fault
