"""Every other cause of a finding: the first command that `health` names, followed literally, ends it."""

from __future__ import annotations

import pytest

from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets_tests.orchestration.health.test_first_command import (
    CASES,
    SHORT,
    follow_the_first_command,
)

REST = [case for case in CASES if case not in SHORT]


@pytest.mark.parametrize(("cause", "kind", "starts"), REST, ids=[case[0].__name__ for case in REST])
def test_the_first_command_followed_literally_ends_it(
    finished: SlateRun, capsys, monkeypatch, cause, kind, starts
):
    follow_the_first_command(finished, capsys, monkeypatch, cause, kind, starts)
