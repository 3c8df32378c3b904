"""Which files are read, and how damaged ones are refused."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prediction_assets.errors import BadInput
from prediction_assets.ingest import values
from prediction_assets.ingest.files import data_files, read_rows
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
