"""What the kernel knows of a process, and the crowd of callers that loads one."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.onecall import CallFailed
from scripts.stack import ROOT

_TICKS = os.sysconf("SC_CLK_TCK")
_UP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Footprint:
    """A process at one moment."""

    cpu_seconds: float
    resident_bytes: int
    threads: int
    files: int
    sockets: int


def footprint(pid: int) -> Footprint:
    """Read from /proc. Raises FileNotFoundError where the process is gone."""
    root = Path(f"/proc/{pid}")
    fields = (root / "stat").read_text().rpartition(")")[2].split()
    links = [_link(entry) for entry in (root / "fd").iterdir()]
    sockets = sum(link.startswith("socket:") for link in links)
    return Footprint(
        cpu_seconds=(int(fields[11]) + int(fields[12])) / _TICKS,
        resident_bytes=int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
        threads=int(fields[17]),
        files=len(links) - sockets,
        sockets=sockets,
    )


def _link(entry: Path) -> str:
    try:
        return str(entry.readlink())
    except FileNotFoundError:
        return ""


@dataclass(frozen=True)
class Callers:
    """Arguments of a crowd."""

    scenario: str
    target: tuple[str, int]
    calls: int
    at_once: int
    seconds: float
    prefix: Sequence[str] = ()
    """Put before the command, such as `taskset -c 1`."""


class CrowdProcess:
    """A crowd of callers under way. Made by `crowd`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def everybody_up(self) -> None:
        """Return once so many are on the line as shall be at once. Raises CallFailed."""
        try:
            await asyncio.wait_for(self._line(), _UP_SECONDS)
        except TimeoutError:
            raise CallFailed(f"the callers were not on the line after {_UP_SECONDS:g} s") from None

    async def tally(self) -> dict[str, int]:
        """What became of the calls, once all are over. Raises CallFailed."""
        return await self._line()

    async def _line(self) -> dict[str, int]:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise CallFailed("the crowd of callers has ended early; its message is above")
        table: dict[str, int] = json.loads(line)
        return table


@asynccontextmanager
async def crowd(callers: Callers) -> AsyncIterator[CrowdProcess]:
    """Callers in a process of their own, which is killed at the end."""
    host, port = callers.target
    process = await asyncio.create_subprocess_exec(
        *callers.prefix, sys.executable, "-m", "loadtest.crowd", callers.scenario, "--to", f"sip:agent@{host}:{port}",
        "--calls", str(callers.calls), "--at-once", str(callers.at_once), "--seconds", str(callers.seconds),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        yield CrowdProcess(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
