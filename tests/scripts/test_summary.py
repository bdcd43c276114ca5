"""What `make call` says of its own cost, and when that is wrong."""

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from loadtest.report import Figure
from scripts.summary import accuracy, disk_bytes, duration, exceeded, resources, show


def shown(figure: Figure) -> str:
    console = Console(record=True, width=120, color_system=None, file=io.StringIO())
    show(console, figure)
    return console.export_text().strip()


@pytest.mark.parametrize(
    ("figure", "line"),
    [
        (resources(1_250_000_000, 0)[0], "Memory of all processes together: 1.25 GB (≤ 3 GB)"),
        (resources(3_100_000_000, 0)[0], "Memory of all processes together: 3.10 GB (≤ 3 GB)   over its bound"),
        (resources(0, 1_300_000_000)[1], "Disk that the set-up takes: 1.30 GB (≤ 3 GB)"),
        (accuracy(0.02), "Word error of what the caller heard: 2.00 % (≤ 15 %)"),
        (duration(61.0), "Time of all of it: 61.0 s (≤ 150 s)"),
        (duration(151.0), "Time of all of it: 151 s (≤ 150 s)   over its bound"),
    ],
)
def test_every_figure_stands_beside_its_bound(figure: Figure, line: str) -> None:
    assert shown(figure) == line


def test_what_is_over_a_bound_is_a_complaint() -> None:
    assert exceeded(resources(3 * 10**9, 3 * 10**9)) == []
    assert exceeded(resources(3_500_000_000, 10**9)) == ["memory of all processes together: 3.50 GB, ≤ 3 GB allowed"]
    assert len(exceeded(resources(4 * 10**9, 4 * 10**9))) == 2


def test_disk_is_counted_in_blocks_and_each_file_once(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(os.urandom(100_000))
    alone = disk_bytes(tmp_path)
    assert 100_000 <= alone < 120_000
    os.link(tmp_path / "deep" / "file", tmp_path / "other name")
    (tmp_path / "link").symlink_to(tmp_path / "deep")
    assert alone <= disk_bytes(tmp_path) <= alone + 4096
    (tmp_path / "second").write_bytes(os.urandom(100_000))
    assert disk_bytes(tmp_path) >= alone + 100_000
