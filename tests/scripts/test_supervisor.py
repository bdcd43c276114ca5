"""Processes that start, fail, die and are stopped: real ones, small."""

import asyncio
import os
import shutil
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from scripts.ports import free_port, is_free
from scripts.stack import ROOT
from scripts.supervisor import FIRST_DELAY, LONGEST_DELAY, Backoff, Program, StartFailed, Supervisor, why_it_ended
from tests.waiting import until

MODULES = {
    "steady": "import time, pathlib, os\npathlib.Path(os.environ['FLAG']).touch()\ntime.sleep(60)",
    "deaf": "import signal, time, pathlib, os\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "pathlib.Path(os.environ['FLAG']).touch()\ntime.sleep(60)",
    "broken": 'import sys\nprint(\'{"level": "info", "message": "hello"}\', file=sys.stderr)\n'
    "sys.exit('port 7001 is taken')",
}


class Stage:
    """Modules to run in a folder, and what the supervisor told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[tuple[str, str]] = []
        for name, source in MODULES.items():
            (folder / f"{name}.py").write_text(source)

    def program(self, module: str) -> Program:
        flag = self.folder / f"{module}.flag"
        flag.unlink(missing_ok=True)
        environment = {**os.environ, "PYTHONPATH": str(self.folder), "FLAG": str(flag)}
        return Program(module, module, environment, _exists(flag))

    def supervisor(self, *modules: str) -> Supervisor:
        programs = [self.program(module) for module in modules]
        return Supervisor(programs, self.folder / "log", lambda name, what: self.told.append((name, what)))


def _exists(flag: Path) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        return flag.exists()

    return ask


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


async def test_starts_and_stops(stage: Stage) -> None:
    supervisor = stage.supervisor("steady")
    await supervisor.start()
    pid = supervisor.pid("steady")
    assert pid is not None
    assert supervisor.died() == []
    assert supervisor.peak_bytes()["steady"] > 10**6
    await supervisor.stop()
    assert supervisor.pid("steady") is None
    assert not Path(f"/proc/{pid}").exists()
    assert stage.told[0] == ("steady", "starting")
    assert stage.told[1][1].startswith("ready after")
    assert stage.told[-1] == ("steady", "stopped")


async def test_what_does_not_start_says_why_and_leaves_nothing_behind(stage: Stage) -> None:
    supervisor = stage.supervisor("steady", "broken")
    with pytest.raises(StartFailed, match=r"^broken: port 7001 is taken$"):
        await supervisor.start()
    assert supervisor.pid("steady") is None


async def test_what_dies_is_started_again(stage: Stage) -> None:
    supervisor = stage.supervisor("steady")
    await supervisor.start()
    watching = asyncio.create_task(supervisor.watch())
    first = supervisor.pid("steady")
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: supervisor.pid("steady") not in (None, first))
    watching.cancel()
    await supervisor.stop()
    assert (
        "steady",
        f"ended: killed by SIGKILL; see {supervisor.log('steady')}; starting again in 0.5 s",
    ) in stage.told


async def test_a_deaf_process_is_killed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.supervisor.STOP_SECONDS", 0.3)
    supervisor = stage.supervisor("deaf")
    await supervisor.start()
    await supervisor.stop()
    assert supervisor.died() == ["deaf"]


def test_backoff_doubles_and_forgets() -> None:
    backoff = Backoff()
    assert [backoff.delay(1.0) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, LONGEST_DELAY, LONGEST_DELAY]
    assert backoff.delay(61.0) == FIRST_DELAY


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (
            "cannot listen on 127.0.0.1:7001: the port is taken.\n",
            "cannot listen on 127.0.0.1:7001: the port is taken.",
        ),
        ('{"level": "error", "message": "model is gone"}\n{"level": "info", "message": "bye"}\n', "model is gone"),
        ('{"level": "info", "message": "serving"}\n', "exit code 3"),
        ("", "exit code 3"),
    ],
)
def test_the_line_that_explains(tmp_path: Path, lines: str, why: str) -> None:
    log = tmp_path / "one.log"
    log.write_text(f"what an earlier life said\n{lines}")
    assert why_it_ended(log, 3, since=len("what an earlier life said\n")).startswith(why)


def test_ports() -> None:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        port = free_port()
        assert is_free(port)
        with socket.socket(socket.AF_INET, kind) as taken:
            taken.bind(("127.0.0.1", port))
            assert not is_free(port)


KILLED = """
import asyncio, os, sys
from pathlib import Path
from tests.scripts.test_supervisor import Stage

async def main():
    supervisor = Stage(Path(sys.argv[1])).supervisor("steady")
    await supervisor.start()
    print(supervisor.pid("steady"), flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="util-linux is not installed: no setpriv")
async def test_a_supervisor_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, str(tmp_path), cwd=ROOT, stdout=pipe)
    assert process.stdout is not None
    child = int(await process.stdout.readline())
    assert Path(f"/proc/{child}").exists()
    process.kill()
    await process.wait()
    await until(lambda: gone(child), seconds=30)  # by itself it would end after 60


def gone(pid: int) -> bool:
    """Ended, whether or not somebody has collected it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True
