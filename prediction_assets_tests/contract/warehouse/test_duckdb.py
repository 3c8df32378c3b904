"""What only the embedded warehouse has to see to."""

from __future__ import annotations

import duckdb
import pytest

from prediction_assets.stores.local.warehouse import DuckDBWarehouse


@pytest.mark.parametrize(("setting", "value"), [("enable_progress_bar", "false"), ("TimeZone", "UTC")])
def test_a_connection_prints_no_progress_into_a_command_s_output_and_reads_times_as_utc(
    open_duckdb, setting, value
):
    asked = "SELECT value FROM duckdb_settings() WHERE name = $setting"
    assert open_duckdb().query(asked, {"setting": setting}).to_pylist() == [{"value": value}]


@pytest.mark.parametrize("failures", [1, 2])
def test_a_read_that_an_assertion_of_duckdbs_own_interrupts_is_repeated_once(
    open_duckdb, monkeypatch, failures
):
    left = failures
    select = DuckDBWarehouse._select

    def interrupted(self, *arguments):
        nonlocal left
        if left:
            left -= 1
            raise duckdb.InternalException("INTERNAL Error: dict-surviving cache: changed identity")
        return select(self, *arguments)

    monkeypatch.setattr(DuckDBWarehouse, "_select", interrupted)
    if failures == 1:
        assert open_duckdb().query("SELECT 1 AS one").to_pylist() == [{"one": 1}]
    else:
        with pytest.raises(duckdb.InternalException):
            open_duckdb().query("SELECT 1 AS one")
