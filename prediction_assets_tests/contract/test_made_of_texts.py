"""The memory of what is made of texts: another process finds it, whatever the names by chance are."""

from __future__ import annotations

from pathlib import Path

import pytest

from prediction_assets_tests import made_of_texts
from prediction_assets_tests.made_of_texts import Made

ONE, OTHER = "1a" * 12, "2b" * 32


@pytest.fixture
def open_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(made_of_texts, "_FOLDER", tmp_path)
    return lambda *packages: Made("made", packages or ("pytest",), __file__, (ValueError,))


def test_what_was_made_of_a_text_is_found_by_another_process_and_has_the_names_of_its_own_text(open_memory):
    calls: list[str] = []

    def doubled(text: str) -> tuple[list[str], int]:
        calls.append(text)
        return [text, text], 2

    assert open_memory().once(doubled)(f"part_{ONE} test-{OTHER[:12]}") == (
        [f"part_{ONE} test-{OTHER[:12]}"] * 2,
        2,
    )
    assert open_memory().once(doubled)(f"part_{OTHER} test-{ONE[:12]}") == (
        [f"part_{OTHER} test-{ONE[:12]}"] * 2,
        2,
    )
    assert len(calls) == 1
    open_memory().once(doubled)(f"part_{ONE} test-{ONE[:12]} {ONE}")
    assert len(calls) == 2, "the same name twice is another text"
    open_memory("pytest", "hypothesis").once(doubled)(f"part_{ONE} test-{OTHER[:12]}")
    assert len(calls) == 3, "made by other packages"


def test_an_error_is_not_remembered_and_has_the_names_of_its_text(open_memory):
    def refused(text: str) -> str:
        raise ValueError(text)

    for _ in range(2):
        with pytest.raises(ValueError, match=ONE):
            open_memory().once(refused)(f"part_{ONE}")
