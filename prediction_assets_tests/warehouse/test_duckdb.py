"""What only the embedded warehouse has to see to."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(("setting", "value"), [("enable_progress_bar", "false"), ("TimeZone", "UTC")])
def test_a_connection_prints_no_progress_into_a_command_s_output_and_reads_times_as_utc(
    open_duckdb, setting, value
):
    asked = "SELECT value FROM duckdb_settings() WHERE name = $setting"
    assert open_duckdb().query(asked, {"setting": setting}).to_pylist() == [{"value": value}]
