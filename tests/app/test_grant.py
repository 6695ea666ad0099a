"""The worker's account of what it is doing."""

from __future__ import annotations

from pathlib import Path

from app.grant import Activity


def test_a_run_that_ends_takes_its_marker_away_and_a_paused_one_leaves_it(tmp_path: Path) -> None:
    marker = tmp_path / "working"
    ended = Activity(marker)
    with ended.work():
        assert marker.exists()
    assert not marker.exists()
    paused = Activity(marker)
    with paused.work():
        paused.pause()
    assert marker.exists()
