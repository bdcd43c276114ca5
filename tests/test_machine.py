"""When a test in real time is tried again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.machine import Moment

ROOT = Path(__file__).parents[1]
CONFTEST = """
import tests.conftest
from tests.conftest import pytest_runtest_protocol, pytest_terminal_summary
tests.conftest.BUSY = {busy}
"""
FLAKY = """
import pathlib, pytest

@pytest.mark.realtime
def test_fails_three_times(tmp_path):
    (tmp_path / "made for every try").mkdir()
    tries = pathlib.Path(__file__).with_name("tries")
    with tries.open("a") as file:
        file.write(".")
    assert len(tries.read_text()) == 4, "too slow"
"""


@pytest.mark.parametrize(("busy", "tries", "code"), [(-1.0, 4, 0), (2.0, 1, 1)])
def test_only_a_busy_machine_is_an_excuse(tmp_path: Path, busy: float, tries: int, code: int) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST.format(busy=busy))
    (tmp_path / "test_flaky.py").write_text(FLAKY)
    command = ["-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == code, run.stdout + run.stderr
    assert len((tmp_path / "tries").read_text()) == tries
    assert run.stdout.count("of the machine: ") == tries - 1
    assert "too slow" in run.stdout, "what went wrong is told in both cases"


def test_others_are_those_who_are_not_ours() -> None:
    before, after = Moment(10.0, 100.0, 40.0, 2), Moment(20.0, 112.0, 43.0, 2)
    assert after.others_since(before) == pytest.approx(0.45)
    assert Moment(20.0, 101.0, 43.0, 2).others_since(before) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is the Linux kernel's")
def test_what_a_child_works_is_ours() -> None:
    before = Moment.now()
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.5: pass"], check=True)
    after = Moment.now()
    assert before is not None
    assert after is not None
    assert after.ours - before.ours >= 0.45
    assert after.everybody - before.everybody >= 0.45
