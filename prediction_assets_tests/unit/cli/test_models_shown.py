"""What ``models`` prints: each trained model, what became of it, and why one was refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from prediction_assets.cli import forecasting
from prediction_assets.nba.forecasting.promotion import ERROR, Compared, Verdict
from prediction_assets.stores.sql.tables import POINTS_MODELS

COMPARED = {"ensemble": {ERROR: Compared(4.95, 4.93, 0.02, 0.004)}}
REFUSED = Verdict(
    "first", date(2026, 1, 1), date(2026, 1, 28), 28, 3000, ("ensemble: it is worse",), COMPARED
)
PROMOTED = Verdict("", date(2026, 1, 1), date(2026, 1, 28), 28, 3000, (), COMPARED)


def row(name: str, day: int, verdict: Verdict | None) -> dict[str, Any]:
    return {
        "model_id": name, "league": "NBA", "cutoff": date(2026, 2, day), "newest_game": date(2026, 1, 1),
        "trained_rows": 9, "seasons": "2025-26", "data_hash": "", "systems": "{}", "libraries": "{}", "document": "",
        "is_promoted": verdict is not None and verdict.is_promoted,
        "verdict": verdict and verdict.to_json(), "trained_at": datetime(2026, 2, day, tzinfo=UTC),
    }  # fmt: skip


@pytest.fixture
def _models(monkeypatch: pytest.MonkeyPatch) -> None:
    from prediction_assets_tests.in_memory import InMemoryWarehouse  # imports DuckDB: not at collection

    warehouse = InMemoryWarehouse()
    rows = [row("untried", 3, None), row("second", 2, REFUSED), row("first", 1, PROMOTED)]
    warehouse.upsert(POINTS_MODELS, POINTS_MODELS.arrow_table(rows))

    @contextmanager
    def look_into_home() -> Iterator[Any]:
        yield None, SimpleNamespace(warehouse=warehouse)

    monkeypatch.setattr(forecasting, "look_into_home", look_into_home)


@pytest.mark.usefixtures("_models")
def test_each_model_is_listed_with_what_became_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    forecasting.models(as_json=False)
    out = capsys.readouterr().out
    lines = {line.split("│")[-2].strip(): line for line in out.splitlines() if line.count("│") == 8}
    assert [*lines] == ["untried", "second", "first"]
    assert "not tried" in lines["untried"]
    assert all(said in lines["second"] for said in ("refused", "first", "+0.020 +- 0.004"))
    assert all(said in lines["first"] for said in ("promoted", "a moving average"))
    assert out.splitlines()[-1] == "second refused: ensemble: it is worse"


@pytest.mark.usefixtures("_models")
def test_the_json_has_the_whole_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    forecasting.models(as_json=True)
    untried, second, _ = json.loads(capsys.readouterr().out)
    assert untried["verdict"] is None
    assert second["verdict"]["systems"]["ensemble"][ERROR] == {
        "challenger": 4.95, "champion": 4.93, "difference": 0.02, "standard_error": 0.004,
    }  # fmt: skip
