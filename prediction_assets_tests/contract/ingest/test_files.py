"""Which files are read, and how damaged ones are refused."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prediction_assets.errors import BadInput
from prediction_assets.ingest import files, values
from prediction_assets.ingest.files import data_files, read_json, read_rows
from prediction_assets.ingest.game_logs import read_game_logs


def test_a_directory_stands_for_its_data_files_by_name(tmp_path: Path) -> None:
    for name in ("b.csv", "a.parquet", "c.CSV.GZ", ".hidden.csv", "notes.txt", "d.csv.part", "sub/e.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert [file.name for file in data_files(tmp_path)] == ["a.parquet", "b.csv", "c.CSV.GZ"]


def test_a_directory_without_data_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(BadInput, match=r"holds no data files; expected \.csv, \.csv\.gz or \.parquet"):
        data_files(tmp_path)


def test_a_missing_file_and_a_foreign_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "book.xlsx").write_bytes(b"x")
    with pytest.raises(BadInput, match="no such file"):
        data_files(tmp_path / "nothing.csv")
    with pytest.raises(BadInput, match=r"'book\.xlsx' is not a kind of file"):
        data_files(tmp_path / "book.xlsx")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("zero.csv", b"", r"the file is empty \(0 bytes\)"),
        ("zero.csv.gz", b"", r"the file is empty \(0 bytes\)"),
        ("zero.parquet", b"", r"the file is empty \(0 bytes\)"),
        ("nothing.csv.gz", gzip.compress(b"", mtime=0), "no header line"),
        ("bad.csv.gz", b"PTS,MIN\n1,2\n", "not a complete gzip file"),
        (
            "short.csv.gz",
            gzip.compress(b"PTS,MIN\n" + b"1,2\n" * 99, mtime=0)[:-12],
            "not a complete gzip file",
        ),
        ("bad.parquet", b"PAR1 but not really", "not a complete Parquet file"),
        ("latin.csv", "PTS,PLAYER\n1,Brežina\n".encode("cp1250"), "not UTF-8 text.*save it as UTF-8"),
        ("semicolons.csv", b"PTS;MIN\n1;2\n", "separated by ';'; separate by commas"),
        ("wide.csv", b";".join([b"A_LONG_COLUMN_NAME"] * 30) + b"\n", "separated by ';'; separate by commas"),
        ("tabs.csv", b"PTS\tMIN\n1\t2\n", r"separated by '\\t'; separate by commas"),
        ("twice.csv", b"PTS,MIN,pts\n1,2,3\n", "the header has 'PTS' more than once"),
        ("ragged.csv", b"PTS,MIN\n1,2\n\n3\n", "row 4: 1 fields where the header has 2; is the file cut off"),
        ("quote.csv", b'PTS,MIN\n1,"2\n', "not readable as CSV"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadInput, match=problem) as refused:
        read_rows(path, ("PTS", "MIN"))
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


def test_a_number_that_is_too_long_for_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    path.write_text('{"a": ' + "1" * 5000 + "}", "utf-8")
    with pytest.raises(BadInput, match="not readable as JSON: Exceeds the limit"):
        read_json(path)


def test_a_truncated_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.parquet"
    pq.write_table(pa.table({"PTS": list(range(1000))}), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadInput, match="not a complete Parquet file"):
        read_rows(path, ("PTS",))


def test_a_row_is_counted_by_the_line_it_begins_on(tmp_path: Path) -> None:
    path = tmp_path / "lines.csv"
    path.write_bytes(b'\xef\xbb\xbfName,Points\r\n"two\nlines",1\r\n\r\nplain,2\r\nlast,x\r\n')
    rows = read_rows(path, ("name", "points"))
    assert rows.numbers.tolist() == [2, 5, 6]
    with pytest.raises(BadInput, match="row 6, column Points: 'x' is not a whole number"):
        rows.parse("POINTS", values.whole_number(), pa.int64())


@pytest.mark.parametrize("blank", ["", ",", " , ", '"",""'])
def test_a_line_of_blank_cells_is_no_row_wherever_it_is(tmp_path: Path, blank: str) -> None:
    path = tmp_path / "lines.csv"
    path.write_text(f"Name,Points\n{blank}\nplain,2\n{blank}\nlast,3\n{blank}\n", encoding="utf-8")
    rows = read_rows(path, ("name", "points"))
    assert rows.table.to_pydict() == {"Name": ["plain", "last"], "Points": ["2", "3"]}
    assert rows.numbers.tolist() == [3, 5]


def test_a_folder_named_like_a_hive_partition_adds_no_column(tmp_path: Path) -> None:
    path = tmp_path / "PTS=7" / "part.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table({"MIN": [1]}), path)
    assert read_rows(path, ("PTS", "MIN")).table.column_names == ["MIN"]


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_every_kind_of_file_says_the_same(
    suffix: str, tmp_path: Path, box_score: Callable[..., dict], write_csv: Callable[..., Path]
) -> None:
    expected = read_game_logs(write_csv([box_score()], "expected.csv")).table
    path = tmp_path / f"rows{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([box_score()]), path)
    else:
        write_csv([box_score()], path.name)
    assert read_game_logs(path).table.equals(expected)


def refusal(path: Path) -> str:
    with pytest.raises(BadInput) as refused:
        read_rows(path, {"PTS"})
    return str(refused.value)


@pytest.mark.parametrize("line", [b"1,2\n", b",\n"])
def test_a_small_gzip_file_that_expands_without_end_is_refused_in_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    monkeypatch.setattr(files, "SMALL_BYTES", 1 << 16)
    path = tmp_path / "bomb.csv.gz"
    with gzip.open(path, "wb") as file:
        file.write(b"PTS,MIN\n")
        for _ in range(40):
            file.write(line * ((1 << 20) // len(line)))
    monkeypatch.setattr(files, "MOST_EXPANSION", 1)
    tracemalloc.start()
    try:
        said = refusal(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "split it into several files; if it is small on disk, ask its sender what it is" in said
    assert most < 25 << 20, "of 40 MiB of text"


def test_a_small_parquet_file_of_one_long_text_in_every_row_is_refused_in_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own description says how much it is on disk, not in memory."""
    path = tmp_path / "bomb.parquet"
    numbers = pa.array(np.zeros(100_000, np.int32))
    text = pa.DictionaryArray.from_arrays(numbers, pa.array(["x" * 20_000]))
    pq.write_table(pa.table({"PTS": text}), path, compression="zstd", store_schema=False)
    assert path.stat().st_size < 2000
    pool = pa.default_memory_pool()
    at_most = max(pool.max_memory(), pool.bytes_allocated() + (64 << 20))
    assert "larger than 2,000,000 rows or 1,024 MiB of text" in refusal(path)
    assert pool.max_memory() <= at_most, "of 2 GB of text"
    monkeypatch.setattr(files, "MOST_BYTES", 20_000 * 100_000)
    pq.write_table(pa.table({"PTS": text.take(numbers[:3])}), path, store_schema=False)
    assert read_rows(path, ["pts"]).table["PTS"].to_pylist() == ["x" * 20_000] * 3


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pa.array([[0] * 1000]), "list<element: int64>"),
        (pa.array([b"xx"], pa.binary(2)), "fixed_size_binary[2]"),
    ],
    ids=["lists", "blocks"],
)
def test_a_parquet_column_of_which_one_cell_may_be_of_any_size_is_refused(
    tmp_path: Path, column: pa.Array, kind: str
) -> None:
    path = tmp_path / "cells.parquet"
    pq.write_table(pa.table({"PTS": column}), path)
    assert f"column PTS: it holds {kind}, not texts or numbers" in refusal(path)


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "line.csv.gz"
    with gzip.open(path, "wb") as file:
        file.write(b"PTS,MIN\n1,")
        for _ in range(100):
            file.write(b"x" * (1 << 20))
    assert "a line is longer than 1,048,576 characters; is it a CSV file?" in refusal(path)


@pytest.mark.parametrize(
    ("header", "row", "problem"),
    [
        (",".join(f"c{n}" for n in range(501)), "1", "501 columns; 500 are the most that can be read"),
        ("PTS," + "x" * 201, "1,2", "a column's name is longer than 200 characters: 'xxxx"),
        ("PTS,MIN", "1," + "x" * 200_000, "field larger than field limit (131072)"),
        ("PTS,MIN", '1,"' + "x\n" * 100_000 + '"', "field larger than field limit (131072)"),
        ("PTS,M\x1b[2JIN", "1,2,3", "3 fields where the header has 2"),
    ],
)
def test_too_many_columns_and_too_long_names_and_fields_are_refused(
    tmp_path: Path, header: str, row: str, problem: str
) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(f"{header}\n{row}\n", "utf-8")
    assert problem in refusal(path)


def test_more_rows_than_a_file_may_have_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_ROWS", 3)
    pq.write_table(pa.table({"PTS": [1, 2, 3, 4]}), tmp_path / "rows.parquet")
    (tmp_path / "rows.csv").write_text("PTS,MIN\n" + "1,2\n" * 4, "utf-8")
    for name in ("rows.parquet", "rows.csv"):
        assert "larger than 3 rows" in refusal(tmp_path / name)
    (tmp_path / "rows.csv").write_text("PTS,MIN\n" + "1,2\n" * 3, "utf-8")
    assert len(read_rows(tmp_path / "rows.csv", {"PTS"})) == 3


def test_the_names_that_an_error_quotes_move_no_cursor(tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    path.write_text("P\x1b[2JTS\x07,M\u202eIN\n1,2\n", "utf-8")
    with pytest.raises(BadInput) as refused:
        read_rows(path, {"PTS"}).require(["points"])
    assert str(refused.value).isprintable()
    assert r"columns found: P\x1b[2JTS\x07, M\u202eIN" in str(refused.value)
