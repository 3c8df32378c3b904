"""A board's copy: in a folder of any file system, whole or not at all."""

from __future__ import annotations

import fsspec
import pytest

from prediction_assets.board.copies import copy_board
from prediction_assets.errors import NotCopied
from prediction_assets_tests.made_up import SLATE


def test_a_copy_is_replaced_in_a_bucket():
    for page in (b"first", b"<p>second</p>"):
        copy_board("memory://bucket/boards", SLATE, page)
    assert fsspec.filesystem("memory").cat(f"/bucket/boards/{SLATE}.html") == b"<p>second</p>"


def test_a_copy_is_a_file_in_a_folder_that_is_made_for_it_and_nothing_else(tmp_path):
    copy_board(f"{tmp_path.as_uri()}/a/b", SLATE, b"page")
    assert [(each.name, each.read_bytes()) for each in (tmp_path / "a" / "b").iterdir()] == [
        (f"{SLATE}.html", b"page")
    ]


@pytest.mark.parametrize("folder", ["file:///dev/null/boards", "nowhere://bucket"])
def test_a_folder_that_cannot_be_written_is_named_with_its_setting(folder):
    with pytest.raises(NotCopied, match=rf"copied to {folder}: .*PREDICTION_ASSETS_BOARDS_COPY"):
        copy_board(folder, SLATE, b"page")
