"""Failpoints: nothing happens at one until a test installs a hook."""

from __future__ import annotations

from prediction_assets.steps import failpoints


def test_a_hook_is_called_with_each_point_that_is_reached_from_then_on(monkeypatch):
    seen: list[str] = []
    monkeypatch.setattr(failpoints, "_hook", failpoints._hook)  # set back after the test
    failpoints.reached("part_written")
    failpoints.install(seen.append)
    for point in failpoints.POINTS:
        failpoints.reached(point)
    assert tuple(seen) == failpoints.POINTS
