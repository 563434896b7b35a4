"""A table as CSV (RFC 4180): UTF-8, a header line, empty cells for what is not known."""

import csv
import io

from trt_nemotron.measure.exports.rows import Cell, Table, column_names

_FORMULA_MARKS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs a cell that begins so (https://owasp.org/www-community/attacks/CSV_Injection),
and what a server answered stands in some cells."""


def render_csv(table: Table) -> bytes:
    """The whole table. Numbers are written so that reading gives the same number again."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(column_names(table.columns))
    writer.writerows([_written(cell) for cell in row] for row in table.rows)
    return text.getvalue().encode()


def _written(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, str):
        return _harmless(cell)
    return repr(cell)


def _harmless(text: str) -> str:
    """Text that no spreadsheet runs, and no reader of CSV stumbles over."""
    readable = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    return f"'{readable}" if readable.startswith(_FORMULA_MARKS) else readable
