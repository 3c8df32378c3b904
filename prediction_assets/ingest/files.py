"""Files: CSV, gzipped CSV and Parquet as :class:`~prediction_assets.ingest.rows.SourceRows`, and JSON as it is.

CSV cells stay text, so that leading zeros survive and an error can quote the file; Parquet keeps its types. A directory
means the data files directly in it, in name order. What doesn't belong here: the meaning of the columns.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from prediction_assets.errors import BadInput
from prediction_assets.ingest.other_exports import recognized
from prediction_assets.ingest.rows import SourceRows

SUFFIXES = (".csv", ".csv.gz", ".parquet")
JSON_SUFFIXES = (".json", ".json.gz")

_LARGEST_JSON = 128 * 1024 * 1024
"""Bytes. A season's game logs are 8 MB, all books' lines of a day 20 MB; a gzipped file may unpack to anything."""

MOST_ROWS, MOST_COLUMNS, LONGEST_NAME, LONGEST_LINE = 2_000_000, 500, 200, 1 << 20
"""Limits of one file: 40 seasons of box scores, five times their columns. Lengths are in characters; a field's own
limit is :func:`csv.field_size_limit`."""
MOST_BYTES = 1 << 30
SMALL_BYTES, MOST_EXPANSION = 16 << 20, 100
"""Text beyond the first 16 MiB may be 100 times as long as its gzip file: box scores reach 10, a bomb 1,000."""


def data_files(path: Path, also: tuple[str, ...] = ()) -> tuple[Path, ...]:
    """Return the data files that a path stands for: itself, or a directory's, by name.

    Hidden files, sub-directories and other kinds of file in a directory are ignored.

    Args:
        also: suffixes of further kinds of file that these facts come in.

    Raises:
        BadInput: nothing there, a kind of file that can't be read, or a directory without data files.
    """
    suffixes = (*SUFFIXES, *also)
    expected = f"expected {', '.join(suffixes[:-1])} or {suffixes[-1]}"
    try:
        if path.is_dir():
            files = tuple(
                sorted(file for file in path.iterdir() if _is_data(file, suffixes) and file.is_file())
            )
            if not files:
                raise BadInput(path, "the directory holds no data files", hint=expected)
            return files
        if not path.exists():
            raise BadInput(path, "no such file or directory")
    except OSError as error:
        raise BadInput(path, f"can't be read: {error.strerror or error}") from error
    if not path.name.lower().endswith(suffixes):
        raise BadInput(path, f"{path.name!r} is not a kind of file that can be read", hint=expected)
    return (path,)


def read_files(
    path: Path, columns: Collection[str], others: Mapping[str, Callable[[Path], SourceRows]] | None = None
) -> tuple[tuple[Path, ...], tuple[SourceRows, ...]]:
    """Return the data files that a path stands for, and the rows of each.

    A file with a header and no rows is valid: on that day there was nothing to list. It has 0 rows.

    Args:
        columns: the columns to read of a table.
        others: readers of further kinds of file that these facts come in, by suffix.
    """
    readers = others or {}
    files = data_files(path, tuple(readers))

    def read(file: Path) -> SourceRows:
        name = file.name.lower()
        of_kind = next((reader for suffix, reader in readers.items() if name.endswith(suffix)), None)
        return read_rows(file, columns) if of_kind is None else of_kind(file)

    return files, tuple(map(read, files))


def require_a_row(path: Path, sources: Collection[SourceRows]) -> None:
    """Refuse a path whose files have a header only, where having no facts can't be right."""
    if not any(len(rows) for rows in sources):
        raise BadInput(path, "there is a header but no rows")


def without_rows(sources: Collection[SourceRows]) -> tuple[str, ...]:
    """Return the names of the sources that have a header and no rows."""
    return tuple(rows.source for rows in sources if not len(rows))


def read_rows(path: Path, columns: Collection[str]) -> SourceRows:
    """Return one file's rows, with only those of ``columns`` that it has (letter case doesn't matter).

    Raises:
        BadInput: the file has 0 bytes or no header, is truncated or damaged, or is not what its name says.
    """
    try:
        if not path.stat().st_size:
            raise BadInput(path, "the file is empty (0 bytes)")
        read = _read_parquet if path.name.lower().endswith(".parquet") else _read_csv
        return read(path, {column.lower() for column in columns})
    except OSError as error:
        raise BadInput(path, f"can't be read: {error.strerror or error}") from error


def is_json(path: Path) -> bool:
    return path.name.lower().endswith(JSON_SUFFIXES)


def read_json(path: Path) -> Any:
    """Return the document in a JSON file."""
    try:
        opened = gzip.open if path.name.lower().endswith(".gz") else Path.open
        with opened(path, "rb") as file:
            content = file.read(_LARGEST_JSON + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadInput(path, f"not a complete gzip file: {error}") from error
    except OSError as error:
        raise BadInput(path, f"can't be read: {error.strerror or error}") from error
    if not content.strip():
        raise BadInput(path, "the file is empty (0 bytes)" if not content else "the file is blank")
    if len(content) > _LARGEST_JSON:
        raise BadInput(path, f"the document is larger than {_LARGEST_JSON // 1024**2} MB", hint="split it")
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        hint = "is the file cut off?" if error.pos >= len(error.doc.rstrip()) else None
        raise BadInput(path, f"not readable as JSON: {error.msg}", row=error.lineno, hint=hint) from error
    except (ValueError, RecursionError) as error:  # not UTF-8, or a number of more digits than Python reads
        raise BadInput(path, f"not readable as JSON: {error}") from error


def _is_data(path: Path, suffixes: tuple[str, ...]) -> bool:
    return path.name.lower().endswith(suffixes) and not path.name.startswith(".")


def _read_parquet(path: Path, columns: Collection[str]) -> SourceRows:
    try:
        schema = pq.read_schema(path)
        names = schema.names
        flat = [field.name for field in schema if not pa.types.is_nested(field.type)]
        # Not read_table: it would add columns for directories named key=value. A text that many rows share stays one
        # text until it is known how long the column would be: a file of 1 MB may hold a terabyte.
        with pq.ParquetFile(path, read_dictionary=flat) as file:
            _check_header(path, names)
            wanted = [name for name in names if name.strip().lower() in columns]
            _check_sizes(path, file, wanted)
            read = _with_texts(path, file.read(columns=wanted))
            count = file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # the system's, not pyarrow's
            raise
        first_line = (str(error).splitlines() or [type(error).__name__])[0].rstrip(". ")
        raise BadInput(path, f"not a complete Parquet file: {first_line}") from error
    # Every name stays, so that a missing column's error can say what was found.
    table = pa.table({name: read[name] if name in read.column_names else pa.nulls(count) for name in names})
    return SourceRows(str(path), table, np.arange(1, table.num_rows + 1, dtype=np.int64))


def _check_sizes(path: Path, file: pq.ParquetFile, wanted: Collection[str]) -> None:
    """Refuse a Parquet file before it is read: by what its description says."""
    groups = [file.metadata.row_group(group) for group in range(file.metadata.num_row_groups)]
    if file.metadata.num_rows > MOST_ROWS or sum(group.total_byte_size for group in groups) > MOST_BYTES:
        raise _too_large(path)
    for name in wanted:
        kind = file.schema_arrow.field(name).type
        if pa.types.is_nested(kind) or pa.types.is_fixed_size_binary(kind):
            raise BadInput(path, f"it holds {kind}, not texts or numbers", column=name)


def _with_texts(path: Path, read: pa.Table) -> pa.Table:
    """Return a table with each row's text in place of its number in a dictionary, if they aren't too many."""
    for position, field in enumerate(read.schema):
        if pa.types.is_dictionary(field.type):
            column = read.column(position)
            lengths = [pc.take(pc.binary_length(each.dictionary), each.indices) for each in column.chunks]
            if sum(pc.sum(each).as_py() or 0 for each in lengths) > MOST_BYTES:
                raise _too_large(path)
            read = read.set_column(position, field.name, column.cast(field.type.value_type))
    return read


def _read_csv(path: Path, columns: Collection[str]) -> SourceRows:
    try:
        with _open_text(path) as text:
            reader = csv.reader(_lines(path, text), strict=True)
            header = [name.strip() for name in next(reader, [])]
            if not any(header):
                raise BadInput(path, "the file has no header line")
            if len(header) == 1 and (separator := next((s for s in ";\t|" if s in header[0]), None)):
                raise BadInput(path, f"the header is separated by {separator!r}", hint="separate by commas")
            _check_header(path, header)
            records, numbers = _records(path, reader, len(header))
    except UnicodeDecodeError as error:
        raise BadInput(path, f"not UTF-8 text: {error.reason}", hint="save it as UTF-8 CSV") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadInput(path, f"not a complete gzip file: {error}") from error
    except csv.Error as error:
        raise BadInput(path, f"not readable as CSV: {error}", row=reader.line_num) from error
    arrays = {
        name: pa.array([record[position] for record in records], pa.string())
        if name.lower() in columns
        else pa.nulls(len(records))
        for position, name in enumerate(header)
        if name
    }
    return SourceRows(str(path), pa.table(arrays), np.array(numbers, dtype=np.int64))


def _open_text(path: Path) -> TextIO:
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _lines(path: Path, text: TextIO) -> Iterator[str]:
    """Yield a text's lines, and stop before a file that is too large, or no table, fills the memory."""
    most = MOST_BYTES
    if path.name.lower().endswith(".gz"):
        most = min(most, max(SMALL_BYTES, MOST_EXPANSION * path.stat().st_size))
    read = 0
    while line := text.readline(LONGEST_LINE + 1):
        read += len(line)
        if len(line) > LONGEST_LINE:
            raise BadInput(
                path, f"a line is longer than {LONGEST_LINE:,} characters", hint="is it a CSV file?"
            )
        if read > most:
            raise _too_large(path, most)
        yield line


def _too_large(path: Path, most: int = MOST_BYTES) -> BadInput:
    return BadInput(
        path,
        f"larger than {MOST_ROWS:,} rows or {most >> 20:,} MiB of text",
        hint="split it into several files; if it is small on disk, ask its sender what it is",
    )


def _records(path: Path, reader: Iterator[list[str]], width: int) -> tuple[list[list[str]], list[int]]:
    records: list[list[str]] = []
    numbers: list[int] = []
    before = reader.line_num  # type: ignore[attr-defined]  # csv's reader has it, the Iterator type doesn't say
    for record in reader:
        number, before = before + 1, reader.line_num  # type: ignore[attr-defined]
        if not any(map(str.strip, record)):
            continue  # a blank line; a spreadsheet writes its commas
        if len(record) != width:
            raise BadInput(
                path,
                f"{len(record)} fields where the header has {width}",
                row=number,
                hint="is the file cut off?",
            )
        if len(records) == MOST_ROWS:
            raise _too_large(path)
        records.append(record)
        numbers.append(number)
    return records, numbers


def _check_header(path: Path, names: list[str]) -> None:
    if len(names) > MOST_COLUMNS:
        raise BadInput(path, f"{len(names):,} columns; {MOST_COLUMNS} are the most that can be read")
    if longest := next((name for name in names if len(name) > LONGEST_NAME), None):
        raise BadInput(path, f"a column's name is longer than {LONGEST_NAME} characters: {longest[:40]!r}...")
    counted = Counter(name.strip().lower() for name in names if name.strip())
    if repeated := [name for name in names if counted[name.strip().lower()] > 1]:
        problem = f"the header has {repeated[0]!r} more than once"
        raise BadInput(path, problem, column=repeated[0], hint=recognized(names))
